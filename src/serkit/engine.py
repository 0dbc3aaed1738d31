"""Engines: the same function on many shards, on the processes of one machine or of several, through Ray.

A process or a machine that ends takes its shard with it; the shard is tried again, elsewhere if need be. What a shard
returns is small: results go to files.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from serkit.errors import UserError

Task = TypeVar("Task")

#: Name of the engine on --engine. A cluster elsewhere is named by its address.
RAY = "ray"
# Number of shards that wait per processor of the cluster. More would keep a million of them in memory.
_AHEAD = 2


@dataclass(frozen=True)
class Lost:
    """A shard that ended its process each time it was tried, with the reason."""

    reason: str


class Engine:
    """A cluster of Ray.

    Args:
        text: `ray`: the cluster that `RAY_ADDRESS` names, the one that runs on this machine (`ray start`), or a new one
            of this machine's processors; `ray://HOST:PORT`: a cluster elsewhere.

    Raises:
        UserError: it is no engine, Ray is not installed, or the cluster does not answer.
    """

    def __init__(self, text: str) -> None:
        if text != RAY and not text.startswith("ray://"):
            raise UserError(f"--engine must be '{RAY}' or ray://HOST:PORT, got '{text}'")
        # Read when Ray is imported. Nothing is sent to anyone.
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
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
                reason = str(error).partition("\n")[0]
                raise UserError(f"--engine {text}: does not answer, or cannot be started ({reason})") from None

    def resources(self, kind: str) -> float:
        """Return how many `CPU` or `GPU` the cluster has."""
        return float(self._ray.cluster_resources().get(kind, 0))

    def map(
        self, function: Callable[[Task], Any], shards: Iterable[Task], cpus: int = 1, gpus: int = 0, retries: int = 3
    ) -> Iterator[tuple[Task, Any]]:
        """Call a function with each shard, somewhere in the cluster.

        Args:
            function: can be pickled; runs in the current folder of this process, which must exist on each machine.
            shards: arguments, taken only as they are needed.
            cpus: processors for each call; no more than the largest machine has.
            gpus: GPUs for each call, which sees no others.
            retries: how often a shard is tried again after its process or machine has ended.

        Returns:
            Each shard with its result, as they end, or with `Lost`.

        Raises:
            Exception: whatever the function raised; the calls in progress are canceled.
        """
        ray = self._ray
        largest = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=1)
        remote = ray.remote(_call).options(
            num_cpus=max(1, min(cpus, int(largest))), num_gpus=gpus, max_retries=retries, name=_name(function)
        )
        here, sent = os.getcwd(), ray.put(function)
        upcoming = iter(shards)
        running: dict[Any, Task] = {}
        try:
            while True:
                # Machines may have come or gone.
                room = max(2, int(_AHEAD * self.resources("CPU") / max(1, cpus))) - len(running)
                for shard in islice(upcoming, max(0, room)):
                    running[remote.remote(sent, shard, here)] = shard
                if not running:
                    return
                ready, _ = ray.wait(list(running), num_returns=1, timeout=5)
                for reference in ready:
                    yield running.pop(reference), self._result(reference)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def _result(self, reference: Any) -> Any:
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError) as error:
            return Lost(type(error).__name__)


def _call(function: Callable[[Task], Any], shard: Task, folder: str) -> Any:
    """Call the function in a process of the cluster."""
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
