"""An ``.om`` through ais_bench's ``InferSession``."""

import importlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport.errors import RunnerError, one_line
from lwmport.runtime.devices.gear import GearChoice
from lwmport.runtime.devices.tensors import DeviceTensor
from lwmport.types import Array

HIDDEN: Final = "ascend_mbatch_shape_data"
"""The input that tells a model with gears which one to take; the library fills it."""


class AisBenchSession:
    """One loaded model.

    ``infer``'s mode is a word, and any that it does not know runs as static: gears are set by their own functions.

    Raises:
        RunnerError: the library or the device refuses the file.
    """

    def __init__(self, path: Path, device: int) -> None:
        try:
            interface = importlib.import_module("ais_bench.infer.interface")
            self._session = interface.InferSession(device_id=device, model_path=str(path))
            self.inputs = tuple(_port(item) for item in self._session.get_inputs() if item.name != HIDDEN)
            self.outputs = tuple(_port(item) for item in self._session.get_outputs())
        except Exception as error:  # the library raises RuntimeError, ImportError and types of its own
            raise RunnerError(f"ais_bench refused {path}: {one_line(error)}") from error

    def infer(self, feeds: list[Array], gear: GearChoice | None) -> list[Array]:
        """Return the outputs, in the order of the file.

        Raises:
            RunnerError: the device failed.
        """
        try:
            if gear is None:
                found = self._session.infer(feeds, mode="static")
            else:
                if gear.batch is not None:
                    self._session.set_dynamic_batchsize(str(gear.batch))
                else:
                    self._session.set_dynamic_dims(gear.text)
                found = self._session.run(feeds, out_array=True)
        except Exception as error:  # as above
            raise RunnerError(f"the device failed: {one_line(error)}") from error
        if not isinstance(found, list | tuple) or not all(isinstance(item, np.ndarray) for item in found):
            raise RunnerError("expected arrays from ais_bench, found something else; is it a version of 2023 or later?")
        return list(found)

    def close(self) -> None:
        """Give the device its memory back, where the library can."""
        free = getattr(self._session, "free_resource", None)  # older versions have none
        if free is not None:
            free()
        del self._session


def _port(item: Any) -> DeviceTensor:
    dtype = str(item.datatype).rpartition(".")[2].lower()
    return DeviceTensor(
        name=str(item.name),
        shape=tuple(int(size) for size in item.shape),
        dtype={"float": "float32", "half": "float16"}.get(dtype, dtype),
        nbytes=int(item.size or 0),
    )
