"""An ``.om`` through pyACL, CANN's own binding: every call returns a code, and none raises."""

import importlib
import weakref
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport.errors import RunnerError, one_line
from lwmport.runtime.devices.gear import GearChoice
from lwmport.runtime.devices.tensors import DeviceTensor
from lwmport.types import Array, dtype_of

DTYPES: Final = {
    0: "float32",
    1: "float16",
    2: "int8",
    3: "int32",
    4: "uint8",
    9: "int64",
    12: "bool",
    27: "bfloat16",
}
"""``aclDataType`` -> numpy's names."""

HIDDEN: Final = "ascend_mbatch_shape_data"
ALREADY: Final = 100002
"""``acl.init`` in a process where something else did it."""

TO_DEVICE: Final = 1
TO_HOST: Final = 2
HUGE_FIRST: Final = 0
UNWRITTEN: Final = 0xFF
"""What output buffers are filled with before each run: NaN as floats, -1 as integers. An output that the device did
not write must not look like the last run's."""


class AclSession:
    """One loaded model with its buffers on the device.

    Raises:
        RunnerError: a call failed; the message names it.
    """

    def __init__(self, path: Path, device: int) -> None:
        self._acl = _import()
        code = self._acl.init()
        self._check("acl.init", 0 if code == ALREADY else code)
        self._check("acl.rt.set_device", self._acl.rt.set_device(device))
        self._context = self._made("acl.rt.create_context", self._acl.rt.create_context(device))
        self._model = self._made(f"acl.mdl.load_from_file({path.name})", self._acl.mdl.load_from_file(str(path)))
        self._desc = self._acl.mdl.create_desc()
        self._check("acl.mdl.get_desc", self._acl.mdl.get_desc(self._desc, self._model))
        every = self._ports("input")
        self._hidden = next((number for number, port in enumerate(every) if port.name == HIDDEN), None)
        self.inputs = tuple(port for port in every if port.name != HIDDEN)
        self.outputs = self._ports("output")
        self._feeds, self._feed_buffers = self._dataset(every)
        self._results, self._result_buffers = self._dataset(self.outputs)
        self._order = [number for number, port in enumerate(every) if port.name != HIDDEN]
        buffers = (*self._feed_buffers, *self._result_buffers)
        self._release = weakref.finalize(
            self, _release, self._acl, (self._model, self._desc), (self._feeds, self._results), buffers
        )

    def infer(self, feeds: list[Array], gear: GearChoice | None) -> list[Array]:
        """Return the outputs, in the order of the file, in memory of their own.

        Raises:
            RunnerError: a call failed.
        """
        self._check("acl.rt.set_context", self._acl.rt.set_context(self._context))
        for number, feed in zip(self._order, feeds, strict=True):
            pointer, size = self._feed_buffers[number]
            if gear is None and feed.nbytes != size:
                raise RunnerError(f"expected input {number} with {size} bytes on the device, found {feed.nbytes}")
            self._copy(pointer, size, feed.ctypes.data, feed.nbytes, TO_DEVICE)
        if gear is not None:
            self._shift(gear)
        for pointer, size in self._result_buffers:
            self._check("acl.rt.memset", self._acl.rt.memset(pointer, size, UNWRITTEN, size))
        self._check("acl.mdl.execute", self._acl.mdl.execute(self._model, self._feeds, self._results))
        return [self._fetch(number, gear) for number in range(len(self.outputs))]

    def close(self) -> None:
        """Give the device its memory back."""
        self._release()

    def _shift(self, gear: GearChoice) -> None:
        if self._hidden is None:
            raise RunnerError(f"expected a model with gears, found none of its inputs named {HIDDEN}")
        if gear.batch is not None:
            code = self._acl.mdl.set_dynamic_batch_size(self._model, self._feeds, self._hidden, gear.batch)
            self._check("acl.mdl.set_dynamic_batch_size", code)
            return
        dims = {"dimCount": len(gear.dims), "name": "", "dims": gear.dims}
        code = self._acl.mdl.set_input_dynamic_dims(self._model, self._feeds, self._hidden, dims)
        self._check("acl.mdl.set_input_dynamic_dims", code)

    def _fetch(self, number: int, gear: GearChoice | None) -> Array:
        port = self.outputs[number]
        shape = port.shape
        if gear is not None:
            dims = self._made("acl.mdl.get_cur_output_dims", self._acl.mdl.get_cur_output_dims(self._desc, number))
            shape = tuple(int(size) for size in dims["dims"])
        found = np.empty(shape, dtype_of(port.dtype))
        pointer, size = self._result_buffers[number]
        if found.nbytes > size:
            raise RunnerError(f"expected {port.name} with {found.nbytes} bytes, found a buffer of {size}")
        self._copy(found.ctypes.data, found.nbytes, pointer, found.nbytes, TO_HOST)
        return found

    def _ports(self, kind: str) -> tuple[DeviceTensor, ...]:
        mdl, desc = self._acl.mdl, self._desc
        found = []
        for number in range(getattr(mdl, f"get_num_{kind}s")(desc)):
            dims = self._made(f"acl.mdl.get_{kind}_dims", getattr(mdl, f"get_{kind}_dims")(desc, number))
            dtype = getattr(mdl, f"get_{kind}_data_type")(desc, number)
            if dtype not in DTYPES:
                raise RunnerError(f"expected a dtype that numpy has for {kind} {number}, found aclDataType {dtype}")
            found.append(
                DeviceTensor(
                    name=str(getattr(mdl, f"get_{kind}_name_by_index")(desc, number)),
                    shape=tuple(int(size) for size in dims["dims"]),
                    dtype=DTYPES[dtype],
                    nbytes=int(getattr(mdl, f"get_{kind}_size_by_index")(desc, number)),
                )
            )
        return tuple(found)

    def _dataset(self, ports: tuple[DeviceTensor, ...]) -> tuple[Any, list[tuple[int, int]]]:
        """Return a data set with one buffer on the device for each port, and where those are."""
        dataset = self._acl.mdl.create_dataset()
        buffers = []
        for port in ports:
            pointer = self._made(f"acl.rt.malloc({port.nbytes})", self._acl.rt.malloc(port.nbytes, HUGE_FIRST))
            buffer = self._acl.create_data_buffer(pointer, port.nbytes)
            self._made("acl.mdl.add_dataset_buffer", self._acl.mdl.add_dataset_buffer(dataset, buffer))
            buffers.append((pointer, port.nbytes))
        return dataset, buffers

    def _copy(self, target: int, room: int, source: int, count: int, way: int) -> None:
        self._check("acl.rt.memcpy", self._acl.rt.memcpy(target, room, source, count, way))

    def _made(self, call: str, found: tuple[Any, int]) -> Any:
        value, code = found
        self._check(call, code)
        return value

    def _check(self, call: str, code: int) -> None:
        if code == 0:
            return
        last = getattr(self._acl, "get_recent_err_msg", None)
        said = " ".join(str(last()).split()) if last else ""
        raise RunnerError(f"expected {call} to return 0, found {code}{': ' + said if said else ''}")


def _release(acl: Any, model: tuple[int, Any], datasets: tuple[Any, ...], buffers: tuple[tuple[int, int], ...]) -> None:
    """Give the device its memory back."""
    number, description = model
    for dataset in datasets:
        acl.mdl.destroy_dataset(dataset)
    for pointer, _ in buffers:
        acl.rt.free(pointer)
    acl.mdl.unload(number)
    acl.mdl.destroy_desc(description)


def _import() -> Any:
    try:
        return importlib.import_module("acl")
    except ImportError as error:
        raise RunnerError(f"pyACL does not load: {one_line(error)}; source set_env.sh of CANN") from error
