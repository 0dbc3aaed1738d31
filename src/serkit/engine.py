"""Engines: the same function on many shards, on the processes of one machine or of several, through Ray.

A process or a machine that ends takes its shard with it; the shard is tried again, elsewhere if need be. What a shard
returns is small: results go to files.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain, islice
from typing import Any, Generic, TypeVar

from serkit.errors import UserError

Task = TypeVar("Task")

#: Name of the engine on --engine. A cluster elsewhere is named by its address.
RAY = "ray"
_ADDRESS = re.compile(r"(?:ray://)?(?P<host>[\w.-]+|\[[0-9a-f:]+\]):(?P<port>\d{1,5})")
# Time in s to reach the machine of a cluster. Ray itself tries for minutes.
_PATIENCE = 10
# What Ray says where a machine lacks serkit or one of its libraries.
_NOT_IMPORTED = "failed to import on the worker"
# Number of shards that wait per processor of the cluster. More would keep a million of them in memory.
_AHEAD = 2


@dataclass(frozen=True)
class Lost:
    """A shard that ended its process each time it was tried, with the reason."""

    reason: str


@dataclass(frozen=True)
class _Try(Generic[Task]):
    """A shard, and how often it may still be tried again."""

    shard: Task
    retries: int


class Engine:
    """A cluster of Ray.

    Args:
        text: `ray`: the cluster that `RAY_ADDRESS` names, the one that runs on this machine (`ray start`), or a new one
            of this machine's processors; `ray://HOST:PORT`: a cluster elsewhere.

    Raises:
        UserError: it is no engine, Ray is not installed, or the cluster does not answer.
    """

    def __init__(self, text: str) -> None:
        if text != RAY and not (text.startswith("ray://") and _ADDRESS.fullmatch(text)):
            raise UserError(f"--engine must be '{RAY}' or ray://HOST:PORT, got '{text}'")
        # All of these are read when Ray is imported. Nothing is sent to anyone.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        if _reach(text):
            # Where something else than Ray listens, Ray would try 20 times, 40 s each.
            os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
        try:
            import ray
        except ImportError:
            raise UserError(f"--engine {text} requires the cluster extra: pip install 'serkit[cluster]'") from None
        self._ray = ray
        if not ray.is_initialized():
            # A dashboard would listen on a port.
            options: dict[str, Any] = {"include_dashboard": False} if text == RAY else {}
            try:
                ray.init(None if text == RAY else text, log_to_driver=False, logging_level=logging.ERROR, **options)
            except Exception as error:  # Ray raises its base class, too
                raise UserError(f"--engine {text}: does not answer, or cannot be started ({_line(error)})") from None

    def resources(self, kind: str) -> float:
        """Return how many `CPU` or `GPU` the cluster has."""
        return float(self._ray.cluster_resources().get(kind, 0))

    def map(
        self,
        function: Callable[[Task], Any],
        shards: Iterable[Task],
        cpus: int | None = 1,
        gpus: int = 0,
        retries: int = 3,
    ) -> Iterator[tuple[Task, Any]]:
        """Call a function with each shard, somewhere in the cluster.

        Args:
            function: can be pickled; runs in the current folder of this process, which must exist on each machine.
            shards: arguments, taken only as they are needed.
            cpus: processors for each call; no more than the largest machine has. None: all of those, so that nothing
                else runs there.
            gpus: GPUs for each call, which sees no others.
            retries: how often a shard is tried again after its process or machine has ended.

        Returns:
            Each shard with its result, as they end, or with `Lost`.

        Raises:
            Exception: whatever the function raised; the calls in progress are canceled.
        """
        ray = self._ray
        largest = int(max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=1))
        cpus = max(1, largest if cpus is None else min(cpus, largest))
        # Ray would try a call that takes too much memory again without end, whatever its limit for other calls.
        remote = ray.remote(_call).options(num_cpus=cpus, num_gpus=gpus, max_retries=0, name=_name(function))
        here, sent, release = os.getcwd(), ray.put(function), version("serkit")
        upcoming = (_Try(shard, retries) for shard in shards)
        # Behind all others: what exceeds the memory of a machine together with them may fit later.
        again: deque[_Try[Task]] = deque()
        running: dict[Any, _Try[Task]] = {}
        try:
            while True:
                # Machines may have come or gone.
                room = max(2, int(_AHEAD * self.resources("CPU") / cpus)) - len(running)
                for one in islice(chain(upcoming, _emptied(again)), max(0, room)):
                    running[remote.remote(sent, one.shard, here, release)] = one
                if not running:
                    return
                ready, _ = ray.wait(list(running), num_returns=1, timeout=5)
                for reference in ready:
                    one, found = running.pop(reference), self._result(reference)
                    if isinstance(found, Lost) and one.retries:
                        again.append(_Try(one.shard, one.retries - 1))
                    else:
                        yield one.shard, found
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def _result(self, reference: Any) -> Any:
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError) as error:
            return Lost("out of memory" if isinstance(error, exceptions.OutOfMemoryError) else type(error).__name__)
        except exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, (ImportError, exceptions.RaySystemError)) or _NOT_IMPORTED in str(cause):
                raise _differs(str(cause)) from None
            raise cause if isinstance(cause, Exception) else error from None
        except exceptions.RaySystemError as error:
            raise _differs(str(error)) from None


def _emptied(waiting: deque[_Try[Task]]) -> Iterator[_Try[Task]]:
    """Yield and remove what waits."""
    while waiting:
        yield waiting.popleft()


def _reach(text: str) -> bool:
    """Return whether an address of a cluster is given, where somebody listens.

    Args:
        text: value of --engine; `ray` means the cluster that `RAY_ADDRESS` names, if it names any.

    Raises:
        UserError: nobody listens there.
    """
    address = os.environ.get("RAY_ADDRESS", "") if text == RAY else text
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return False
    shown = f"--engine {text}" if text != RAY else f"--engine {RAY} (RAY_ADDRESS={address})"
    try:
        socket.create_connection((found["host"].strip("[]"), int(found["port"])), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        reason = "no answer" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or str(error)
        raise UserError(f"{shown}: there is no cluster ({reason})") from None
    return True


def _line(error: BaseException) -> str:
    """Return the message of an error in one line."""
    return " ".join(str(error).split())[:500]


def _differs(reason: str) -> UserError:
    last = (reason.strip().splitlines() or ["?"])[-1]
    needed = f"serkit {version('serkit')} with the same extras"
    return UserError(f"a machine of the cluster cannot do the work ({last}); each needs {needed}")


def _call(function: Callable[[Task], Any], shard: Task, folder: str, release: str) -> Any:
    """Call the function in a process of the cluster."""
    if (found := version("serkit")) != release:
        raise UserError(f"a machine of the cluster has serkit {found}, and this one {release}; install one on all")
    try:
        os.chdir(folder)
    except OSError as error:
        raise UserError(
            f"{folder}: a machine of the cluster does not have this folder ({error.strerror}); start the command in a "
            "folder that all of them share"
        ) from None
    return function(shard)


def _name(function: Any) -> str:
    return f"serkit {getattr(getattr(function, 'func', function), '__name__', 'task')}"
