"""Ascend: a compiled ``.om`` through ais_bench, or through pyACL where that is not installed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from lwmport import extras
from lwmport.errors import RunnerError
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.devices.gear import GearChoice
from lwmport.runtime.devices.tensors import DeviceTensor, assign, from_port, notes, promised_by, sizes_of, to_port
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, Signature


class DeviceSession(Protocol):
    """A loaded ``.om``: ports in its own order, and runs on arrays in that order."""

    inputs: tuple[DeviceTensor, ...]
    outputs: tuple[DeviceTensor, ...]

    def infer(self, feeds: list[Array], gear: GearChoice | None) -> list[Array]:
        """Return the outputs, in the order of the file."""

    def close(self) -> None:
        """Give the device its memory back."""


class OmRunner(BaseRunner):
    """Runs a ``.om`` under the names and dtypes of the signature that it was compiled from.

    ``notes`` says which tensors the device holds in other dtypes.

    Raises:
        RunnerError: neither ais_bench nor pyACL is installed, the device refuses the file, or it is another model's.
    """

    name = "Ascend"

    def __init__(self, path: Path, signature: Signature, device: int = 0) -> None:
        self._session = open_session(path, device)
        self.inputs, self.outputs = signature.inputs, signature.outputs
        self._feeds = assign(signature.inputs, self._session.inputs, "inputs")
        self._results = assign(signature.outputs, self._session.outputs, "outputs")
        self.notes = (
            *notes(signature.inputs, self._session.inputs, self._feeds, "input"),
            *notes(signature.outputs, self._session.outputs, self._results, "output"),
        )

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        sizes = sizes_of(self.inputs, dict(inputs))
        feeds: list[Array] = [inputs[self.inputs[0].name]] * len(self._feeds) if self._feeds else []
        for spec, number in zip(self.inputs, self._feeds, strict=True):
            feeds[number] = to_port(inputs[spec.name], self._session.inputs[number])
        found = self._session.infer(feeds, self._gear(feeds, sizes))
        if len(found) != len(self._results):
            raise RunnerError(f"expected {len(self._results)} outputs from the device, found {len(found)}")
        pairs = zip(self.outputs, self._results, strict=True)
        return {spec.name: from_port(found[number], spec, sizes) for spec, number in pairs}

    def _release(self) -> None:
        self._session.close()
        del self._session

    def _gear(self, feeds: list[Array], sizes: dict[str, int]) -> GearChoice | None:
        """Return the gear of a run, or None for a model of static shapes."""
        if not sizes:
            return None
        shapes = {port.name: feed.shape for port, feed in zip(self._session.inputs, feeds, strict=True)}
        leading = all(isinstance(dim, int) or axis == 0 for spec in self.inputs for axis, dim in enumerate(spec.shape))
        batch = next(iter(sizes.values())) if leading and len(sizes) == 1 else None
        return GearChoice(batch, shapes)


def open_model(path: Path, context: RunnerContext) -> OmRunner:
    """Return an ``.om``, ready to run on a device."""
    return OmRunner(path, promised_by(context.signature, path), context.device)


def open_session(path: Path, device: int) -> DeviceSession:
    """Return the file loaded by ais_bench, or by pyACL.

    Raises:
        RunnerError: neither is installed, or the device refuses the file.
    """
    if not path.is_file():
        raise RunnerError(f"expected a compiled model at {path}, found none")
    if extras.installed("ais_bench"):
        from lwmport.runtime.devices.ais_bench import AisBenchSession

        return AisBenchSession(path, device)
    if extras.installed("acl"):
        from lwmport.runtime.devices.acl import AclSession

        return AclSession(path, device)
    raise RunnerError(
        "expected ais_bench or pyACL (acl) to run an .om, found neither; source set_env.sh of CANN, which brings acl"
    )
