"""LiteRT's compiled models on the CPU: what a run reads and writes lies in buffers that a caller keeps."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport import extras
from lwmport.errors import RunnerError, one_line
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.runners.litert_file import checked
from lwmport.types import Array, Signature, dtype_of

ALIGNED: Final = 64
"""Bytes: LiteRT uses the memory of an array as it is if it starts at a multiple of this (its ``TensorBuffer``)."""

NOWHERE: Final = f"{os.devnull}/none"
"""Where LiteRT looks for accelerators and for compilers of vendors, so that it loads none of them."""


class CompiledRunner(BaseRunner):
    """Runs a ``.tflite`` file as a ``CompiledModel``, with the numbers of `LiteRTRunner`.

    A buffer that one run wrote can be read by the next one. LiteRT copies neither.

    Args:
        path: the file.
        threads: processors to use.
        signature: inputs and outputs of the file. The first size of a shape may be a name: any batch.

    Raises:
        RunnerError: the file is not whole, or LiteRT refuses it.
        MissingExtraError: LiteRT is not installed.
    """

    name = "LiteRT"

    def __init__(self, path: Path, threads: int, signature: Signature) -> None:
        self.path, self.threads = path, threads
        self.inputs, self.outputs = signature.inputs, signature.outputs
        self._key = checked(path)
        self._batch = 0
        self._own: dict[str, Any] = {}
        self._results: dict[str, tuple[Any, Array]] = {}
        compiled = extras.require("ai_edge_litert.compiled_model")
        self._buffers = compiled.TensorBuffer
        places = dict.fromkeys(("runtime_path", "compiler_plugin_path", "dispatch_library_path"), NOWHERE)
        try:
            options = compiled.Options(cpu_options=compiled.CpuOptions(num_threads=threads))
            with extras.silence():  # LiteRT names each accelerator that it looks for
                environment = compiled.Environment.create(options=compiled.EnvironmentOptions(**places))
                self._model = compiled.CompiledModel.from_file(str(path), environment=environment, options=options)
                self._outputs = self._model.get_output_tensor_details(self._key)
                buffer = self.buffer(self.inputs[0].name)
                write(buffer, read(buffer))  # LiteRT looks for accelerators once more where a buffer is first written
        except (AttributeError, RuntimeError, TypeError, ValueError) as error:
            raise RunnerError(f"LiteRT refused {path}: {one_line(error)}") from error

    def resize(self, batch: int) -> None:
        """Take this many items at once, if the model takes any number. New buffers then have their size.

        Raises:
            RunnerError: LiteRT refuses them.
        """
        opened = [spec for spec in self.inputs if isinstance(spec.shape[0], str)]
        if not opened or batch == self._batch:
            return
        self._batch, self._own, self._results = 0, {}, {}
        try:
            for spec in opened:
                sizes = [batch, *spec.shape[1:]]
                self._model.resize_input_tensor_by_name(self._key, spec.name, sizes)
        except (RuntimeError, ValueError) as error:
            raise RunnerError(f"LiteRT refused a batch of {batch}: {one_line(error)}") from error
        self._batch = batch

    def buffer(self, name: str) -> Any:
        """Return a new buffer of the size of an input. Runs read it, and write it as an output of the same shape."""
        return self._model.create_input_buffer_by_name(self._key, name)

    def run_on(self, inputs: Mapping[str, Array], fed: Mapping[str, Any], taken: Mapping[str, Any]) -> dict[str, Array]:
        """Return the outputs that are not ``taken``.

        Args:
            inputs: arrays by input, of the batch of `resize`.
            fed: buffers for the other inputs.
            taken: buffers for outputs. None of them is fed as well.

        Raises:
            RunnerError: LiteRT failed.
        """
        try:
            for name, array in inputs.items():
                if name not in self._own:
                    self._own[name] = self.buffer(name)
                write(self._own[name], array)
            results = {name: self._result(name) for name in self._outputs if name not in taken}
            self._check(taken)
            given = {name: self._own[name] for name in inputs}
            self._model.run_by_name(self._key, {**given, **fed}, {**results, **taken})
        except (KeyError, RuntimeError, ValueError) as error:
            raise RunnerError(f"LiteRT failed on the inputs: {one_line(error)}") from error
        return {name: self._results[name][1].copy() for name in results}

    def _result(self, name: str) -> Any:
        """Return a buffer for an output, over the memory of an array.

        LiteRT makes none of the right size where the batch is open: it knows the batch of outputs when it has run.
        """
        if name not in self._results:
            shape, dtype = self._type(name)
            count = math.prod(shape) * dtype.itemsize
            memory = np.empty(count + ALIGNED, np.uint8)
            start = -memory.ctypes.data % ALIGNED
            array = memory[start : start + count].view(dtype).reshape(shape)
            self._results[name] = self._buffers.create_from_host_memory(array), array
        return self._results[name][0]

    def _check(self, taken: Mapping[str, Any]) -> None:
        """Raise an error if a buffer is not of its output's size: LiteRT writes beyond its end without a word."""
        for name, buffer in taken.items():
            if (found := _type(buffer.get_tensor_details())) != (wanted := self._type(name)):
                raise RunnerError(
                    f"expected a state of {wanted[1]} {wanted[0]} for {name}, found {found[1]} {found[0]}"
                )

    def _type(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return shape and dtype of an output. The file tells them, for a batch of 1 where the batch is open."""
        (first, *others), dtype = _type(self._outputs[name])
        return (self._batch or first, *others), dtype

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self.resize(next((len(inputs[spec.name]) for spec in self.inputs if isinstance(spec.shape[0], str)), 0))
        return self.run_on(inputs, {}, {})

    def _release(self) -> None:
        with extras.silence():
            del self._own, self._results, self._model


def write(buffer: Any, array: Array) -> None:
    """Copy an array into a buffer of its size, as bytes: LiteRT's own dtypes lack int64."""
    buffer.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def read(buffer: Any) -> Array:
    """Return a copy of what a buffer for an input holds."""
    shape, dtype = _type(buffer.get_tensor_details())
    found: Array = buffer.read(math.prod(shape) * dtype.itemsize, np.uint8)
    return found.view(dtype).reshape(shape)


def _type(details: Mapping[str, Any]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    return tuple(details["shape"]), dtype_of(details["dtype"])
