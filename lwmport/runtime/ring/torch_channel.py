"""A channel over torch.distributed: Gloo between processors, NCCL or HCCL between devices."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import torch
import torch.distributed as dist

from lwmport import extras
from lwmport.errors import LostRankError, RunnerError, one_line
from lwmport.registry import check_known
from lwmport.runtime.ring.channel import Addressed, Wait

DEVICES: Final = {"gloo": "cpu", "nccl": "cuda", "hccl": "npu"}
"""Backend -> the kind of device whose memory it sends from."""

IDLE: Final = timedelta(days=30)
"""How long a rank waits that nothing was asked of. The end of the other side ends the wait at once."""

PLACE: Final = re.compile(r"\[[^]]*\.cc:\d+\] *")
"""Where in Gloo's code an error comes from, which helps no user."""

HERE: Final = "file:"
"""How the URL of a meeting begins whose ranks are all on this machine."""

LOOPBACK: Final = {"linux": "lo", "darwin": "lo0"}
"""System -> the interface that no other machine can reach."""


class TorchChannel:
    """The process group of all ranks. A process has one at a time.

    Args:
        backend: one of `DEVICES`.
        rank: this process.
        ranks: how many there are.
        seconds: how long an answer may take.
        meeting: where the ranks find each other, as a URL: ``file:`` and a path that nothing is at yet, if all are on
            this machine; ``tcp:`` and the address of rank 0. Empty: the variables of the environment say where rank 0
            is (MASTER_ADDR, MASTER_PORT), as torchrun sets them.

    Raises:
        LostRankError: the others did not come in time.
        RunnerError: the process has a group already, or the backend is not there.
        UsageError: an unknown backend.
    """

    def __init__(self, backend: str, rank: int, ranks: int, seconds: float, meeting: str = "") -> None:
        check_known("backend of a ring", backend, DEVICES)
        self.rank, self.ranks = rank, ranks
        self._seconds, self._device = seconds, _device(backend)
        self.name = f"{backend} of torch.distributed"
        if dist.is_initialized():
            raise RunnerError("expected a process without a group of torch.distributed, found one; use another process")
        try:
            with _on_loopback(meeting.startswith(HERE)):
                wait, place = timedelta(seconds=seconds), meeting or "env://"
                dist.init_process_group(backend, init_method=place, rank=rank, world_size=ranks, timeout=wait)
        except (RuntimeError, ValueError) as error:
            raise LostRankError(
                f"expected {ranks} ranks that meet over {backend} within {seconds:g} s, found: {one_line(error)}"
            ) from error

    def exchange(self, out: Addressed, into: Addressed, *, idle: bool = False) -> Wait:
        """Begin to send and to receive, as one batch; return what waits for all of it."""
        sent = [(rank, torch.from_numpy(array).to(self._device)) for rank, array in out if array.size]
        found = [(rank, array, torch.from_numpy(array).to(self._device)) for rank, array in into if array.size]
        batch = [dist.P2POp(dist.isend, tensor, rank) for rank, tensor in sent]
        batch += [dist.P2POp(dist.irecv, tensor, rank) for rank, _, tensor in found]
        names = ", ".join(str(rank) for rank in sorted({*(rank for rank, _ in sent), *(rank for rank, *_ in found)}))
        works = self._told(names, lambda: dist.batch_isend_irecv(batch)) if batch else []
        limit = IDLE if idle else timedelta(seconds=self._seconds)

        def wait() -> None:
            self._told(names, lambda: [work.wait(limit) for work in works])
            for _, array, tensor in found:
                if self._device != "cpu":
                    array[...] = tensor.cpu().numpy()

        return wait

    def close(self) -> None:
        """Leave the group. A second call does nothing."""
        if dist.is_initialized():
            dist.destroy_process_group()

    def _told(self, names: str, begin: Any) -> Any:
        try:
            return begin()
        except RuntimeError as error:
            raise LostRankError(
                f"expected an answer of rank {names} within {self._seconds:g} s, found: "
                f"{PLACE.sub('', one_line(error))}; look at what that rank says, and start again"
            ) from error


def _device(backend: str) -> str:
    """Return the device that arrays are sent from: that of this process among those of its machine."""
    kind = DEVICES[backend]
    if kind == "cpu":
        return kind
    if kind == "npu":
        extras.require("torch_npu")
    number = int(os.environ.get("LOCAL_RANK", "0"))
    try:
        getattr(torch, kind).set_device(number)
    except (AssertionError, AttributeError, RuntimeError) as error:
        raise RunnerError(f"expected the device {kind}:{number} for {backend}, found: {one_line(error)}") from error
    return f"{kind}:{number}"


@contextmanager
def _on_loopback(local: bool) -> Iterator[None]:  # noqa: FBT001 - whether all ranks are on this machine
    """Let Gloo listen where no other machine reaches it, if all ranks are on this one."""
    name, own = "GLOO_SOCKET_IFNAME", LOOPBACK.get(sys.platform)
    if not local or own is None or name in os.environ:
        yield
        return
    os.environ[name] = own
    try:
        yield
    finally:
        del os.environ[name]
