"""One training in several processes, one for each device, on one or several machines.

The first process runs the whole command. The others only follow its trainings: they wait for one, compute their part
of each batch, and wait for the next. Whatever is not trained by epochs, scored or written is therefore done once.

Each process computes the outputs of its rows of a batch. All outputs are then gathered, so that every process computes
the loss of the whole batch, as a single process does: also a loss that is not a mean over items, such as a concordance,
or one with weights or missing labels. The gradient that reaches the weights through a process's own rows is its part of
the whole gradient; the sum of all parts is the gradient of a single process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import itertools
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from serkit.errors import UserError
from serkit.networks.network import Batch, Output
from serkit.processes import blocked, end_with_parent
from serkit.training.precision import FLOAT32, make_fabric

# The others wait while the first one computes features, scores, or trains what only one can.
_PATIENCE = timedelta(days=30)

# Variables with which torchrun, or the first process here, tells a process what it is.
_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE = "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"

# Time in s for a process to end by itself after the last training.
_GOODBYE = 10.0


@dataclass(frozen=True)
class Group:
    """The processes of a training; one alone is a group, too.

    Args:
        rank: number of this process; 0 is the first.
        size: number of processes.
        devices: devices, and thus processes, of each machine.
        accelerator: accelerator for Lightning Fabric.
        control: torch's group for messages.
    """

    rank: int = 0
    size: int = 1
    devices: int = 1
    accelerator: str = "auto"
    control: Any = None

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1

    def share(self, value: Any) -> Any:
        """Return a value of the first process in all of them; it is called by all."""
        message = [value if self.first else None]
        torch.distributed.broadcast_object_list(message, 0, group=self.control)
        return message[0]

    def share_buffers(self, module: nn.Module) -> None:
        """Give a module the buffers of the first process, e.g. the statistics of batch normalization."""
        for buffer in module.buffers():
            torch.distributed.broadcast(buffer, 0)

    def compute(self, forward: Callable[[Batch], Output], batch: Batch) -> Output:
        """Compute this process's rows of a batch, and return the output of all rows.

        Only the own rows carry a gradient: that of the loss is this process's part.

        Raises:
            UserError: an output has not one row per item.
        """
        if self.alone:
            return forward(batch)
        # Batch normalization requires two items; a small batch has work for fewer processes.
        working = max(1, min(self.size, len(batch) // 2))
        bounds = [len(batch) * min(rank, working) // working for rank in range(self.size + 1)]
        counts = [end - begin for begin, end in itertools.pairwise(bounds)]
        begin, end = bounds[self.rank], bounds[self.rank + 1]
        # A process without rows computes some that are not counted.
        part = rows(batch, begin, end) if end > begin else rows(batch, 0, 2)
        output = forward(part)

        def gather(name: str, own: Tensor) -> Tensor:
            if own.dim() == 0 or len(own) != len(part):
                raise UserError(
                    f"the output '{name}' of the network has not one row per item, so that it cannot be trained on "
                    "several devices; use --devices 1"
                )
            return self._gather(own[: end - begin], counts)

        return Output(
            {name: gather(name, value) for name, value in output.predictions.items()},
            gather("features", output.features),
            {name: gather(name, value) for name, value in output.maps.items()},
        )

    def _gather(self, own: Tensor, counts: Sequence[int]) -> Tensor:
        """Join the rows of all processes; only the own ones carry a gradient."""
        most = max(counts)
        padded = own.new_zeros((most, *own.shape[1:]))
        padded[: len(own)] = own.detach()
        found = [torch.empty_like(padded) for _ in counts]
        torch.distributed.all_gather(found, padded)
        parts = [part[:count] for part, count in zip(found, counts, strict=True)]
        parts[self.rank] = own
        return torch.cat(parts)


def rows(batch: Batch, begin: int, end: int) -> Batch:
    """Return some items of a batch; their padding stays that of the whole batch."""

    def cut(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: value[begin:end] for name, value in values.items()}

    index = None if batch.index is None else batch.index[begin:end]
    return dataclasses.replace(
        batch,
        views=cut(batch.views),
        lengths=cut(batch.lengths),
        targets=cut(batch.targets),
        masks=cut(batch.masks),
        index=index,
    )


_ALONE = Group()
_joined: list[Group] = []


def group() -> Group:
    """Return the group that trains together."""
    return _joined[-1] if _joined else _ALONE


def run(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in all processes of the group; return what it returns in the first.

    Args:
        function: a function of a module.
        arguments: can be pickled.
    """
    together = group()
    if not together.alone:
        content = io.BytesIO()
        # Through torch, so that tensors on a device of the first process find their device in another one.
        torch.save((function, arguments), content, pickle_module=pickle)
        together.share(content.getvalue())
    return function(*arguments)


@contextmanager
def joined(devices: int, nodes: int, accelerator: str, threads: int = 0) -> Iterator[None]:
    """Train on several devices in the block, which only the first process enters.

    The others follow its trainings, and end with it (`SystemExit`).

    Args:
        devices: devices of each machine; the processes of torchrun count if it has started this one.
        nodes: machines.
        accelerator: accelerator for Lightning Fabric.
        threads: processor threads of each process; 0: the cores are shared.

    Raises:
        UserError: the devices do not exist, or the environment does not name the other machines.
    """
    launched = os.environ.get("TORCHELASTIC_RUN_ID") is not None and _RANK in os.environ
    if launched:
        devices, nodes = _of_torchrun(devices, nodes)
    if devices * nodes == 1:
        yield
        return
    others: list[multiprocessing.process.BaseProcess] = []
    if not launched:
        others = _launch(devices, nodes, accelerator, threads)
    torch.set_num_threads(threads or max(1, (os.cpu_count() or 1) // devices))
    try:
        together = _connect(devices, nodes, accelerator)
        if not together.first:
            _follow(together)
            raise SystemExit(0)
        _joined.append(together)
        try:
            yield
            together.share(b"")
            for other in others:
                other.join(_GOODBYE)
        finally:
            _joined.remove(together)
            torch.distributed.destroy_process_group()
    finally:
        for other in others:
            other.terminate()
        if not launched:
            for name in (_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE):
                os.environ.pop(name, None)


def _of_torchrun(devices: int, nodes: int) -> tuple[int, int]:
    """Return the devices and machines that torchrun has chosen."""
    size, local = int(os.environ[_SIZE]), int(os.environ[_LOCAL_SIZE])
    if (devices, nodes) not in ((1, 1), (local, size // local)):
        raise UserError(
            f"--devices {devices} --nodes {nodes}: torchrun has started {local} processes on each of {size // local} "
            "machines; leave both options out, or give these numbers"
        )
    return local, size // local


def _launch(devices: int, nodes: int, accelerator: str, threads: int) -> list[multiprocessing.process.BaseProcess]:
    """Start the other processes of this machine, and set the environment of this one."""
    if nodes > 1:
        missing = [name for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK") if name not in os.environ]
        if missing:
            raise UserError(
                f"--nodes {nodes}: set {', '.join(missing)} on each machine (address and port of the first one, and "
                "the number of this one from 0), or start the command with torchrun"
            )
    else:
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
        if sys.platform.startswith("linux"):
            # Otherwise gloo looks up the name of the machine, which has an address in some networks only.
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    node = int(os.environ["NODE_RANK"]) if nodes > 1 else 0
    environments = [
        {
            _RANK: str(node * devices + local),
            _SIZE: str(nodes * devices),
            _LOCAL_RANK: str(local),
            _LOCAL_SIZE: str(devices),
        }
        for local in range(devices)
    ]
    # Spawned, because torch's threads do not survive a fork, and neither does CUDA.
    context = multiprocessing.get_context("spawn")
    others: list[multiprocessing.process.BaseProcess] = []
    for environment in environments[1:]:
        arguments = (environment, devices, nodes, accelerator, threads)
        other = context.Process(target=_other, args=arguments, daemon=True)
        with blocked(signal.SIGINT):
            other.start()
        others.append(other)
    os.environ |= environments[0]
    return others


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _other(environment: dict[str, str], devices: int, nodes: int, accelerator: str, threads: int) -> None:
    """Main function of another process of this machine."""
    end_with_parent()
    # Ctrl-C on a terminal reaches every process; the first one ends this one, and says what is kept.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ |= environment
    torch.set_num_threads(threads or max(1, (os.cpu_count() or 1) // devices))
    _follow(_connect(devices, nodes, accelerator))


def _connect(devices: int, nodes: int, accelerator: str) -> Group:
    """Connect with the other processes."""
    try:
        make_fabric(accelerator, FLOAT32, devices, nodes)
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"--devices {devices} --nodes {nodes} with accelerator '{accelerator}': {reason}") from None
    control = torch.distributed.new_group(backend="gloo", timeout=_PATIENCE)
    rank, size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    return Group(rank, size, devices, accelerator, control)


def _follow(together: Group) -> None:
    """Take part in every training of the first process, until it has ended."""
    _joined.append(together)
    try:
        # The first process has ended, and has said why.
        with contextlib.suppress(RuntimeError):
            while content := together.share(None):
                function, arguments = torch.load(
                    io.BytesIO(content), map_location="cpu", weights_only=False, pickle_module=pickle
                )
                _take_part(functools.partial(function, *arguments))
            torch.distributed.destroy_process_group()
    finally:
        _joined.remove(together)


def _take_part(work: Callable[[], Any]) -> None:
    """Do the work of this process; if it fails, end at once, so that the others do not wait."""
    try:
        work()
    except UserError:  # which the first process raises, too
        os._exit(1)
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        os._exit(1)
