"""LiteRT (TensorFlow Lite) on the CPU, with its default delegate XNNPACK."""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lwmport import extras
from lwmport.errors import RunnerError, one_line
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.inputs import spec_of
from lwmport.runtime.runners.litert_compiled import CompiledRunner
from lwmport.runtime.runners.litert_file import checked
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, Runner, TensorSpec


class LiteRTRunner(BaseRunner):
    """Runs a ``.tflite`` file, whose weights the runtime maps into memory.

    Inputs and outputs have the names of the file's signature, those of its tensors where it has none.
    ``undelegated`` names the operators that LiteRT runs by itself, in order, because XNNPACK did not take them.
    ``interpreter`` is LiteRT's own, ``places`` are the tensors of its inputs and of its outputs, by name.

    Raises:
        RunnerError: the file is not whole, or LiteRT refuses it.
        MissingExtraError: LiteRT is not installed.
    """

    name = "LiteRT"

    def __init__(self, path: Path, threads: int) -> None:
        self._key = checked(path)
        litert = extras.require("ai_edge_litert.interpreter")
        try:
            self.interpreter = litert.Interpreter(str(path), num_threads=threads)
            self.interpreter.allocate_tensors()
            sides = self._opened()
        except (RuntimeError, ValueError) as error:
            raise RunnerError(f"LiteRT refused {path}: {one_line(error)}") from error
        inputs, outputs = sides.get_input_details(), sides.get_output_details()
        self.inputs, self.outputs = _specs(inputs), _specs(outputs)
        self.places = (_indices(inputs), _indices(outputs))
        self.undelegated = undelegated(self.interpreter._get_ops_details())  # noqa: SLF001 - no public way
        counts = ", ".join(f"{count} {name}" for name, count in sorted(Counter(self.undelegated).items()))
        self.notes = (f"Outside {self.name}'s delegate: {counts or 'nothing'}.",)

    @cached_property
    def _signature(self) -> Any:
        """What runs by name, made when it is needed: while it lives, LiteRT refuses `Interpreter.invoke`."""
        return self._opened()

    def _opened(self) -> Any:
        return self.interpreter.get_signature_runner(self._key) if self._key else _Tensors(self.interpreter)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            found = self._signature(**inputs)
        except (RuntimeError, ValueError) as error:
            raise RunnerError(f"LiteRT failed on the inputs: {one_line(error)}") from error
        return {name: np.asarray(found[name]) for name in sorted(found)}

    def _release(self) -> None:
        self.__dict__.pop("_signature", None)
        del self.interpreter


def open_model(path: Path, context: RunnerContext) -> Runner:
    """Return a TFLite file, ready to run; for a session as LiteRT's compiled model, unless LiteRT refuses that."""
    if context.session and context.signature is not None:
        with contextlib.suppress(RunnerError):
            return CompiledRunner(path, context.threads, context.signature)
    return LiteRTRunner(path, context.threads)


class _Tensors:
    """Runs a file without a signature, as LiteRT's runner of signatures does, by the names of its tensors."""

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter

    def __call__(self, **inputs: Array) -> dict[str, Array]:
        places = {name: tensor["index"] for name, tensor in self.get_input_details().items()}
        for name, array in inputs.items():
            self._interpreter.resize_tensor_input(places[name], array.shape)
        self._interpreter.allocate_tensors()
        for name, array in inputs.items():
            self._interpreter.set_tensor(places[name], array)
        self._interpreter.invoke()
        found = self.get_output_details()
        return {name: self._interpreter.get_tensor(tensor["index"]) for name, tensor in found.items()}

    def get_input_details(self) -> dict[str, Mapping[str, Any]]:
        return {tensor["name"]: tensor for tensor in self._interpreter.get_input_details()}

    def get_output_details(self) -> dict[str, Mapping[str, Any]]:
        return {tensor["name"]: tensor for tensor in self._interpreter.get_output_details()}


def undelegated(operators: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the operators outside every delegate, in order.

    The interpreter lists the original operators and, behind them, one ``DELEGATE`` for each part that a delegate took;
    the part is what lies between that node's inputs and outputs.
    """
    own = [node for node in operators if node["op_name"] != "DELEGATE"]
    makers = {int(tensor): node for node in own for tensor in node["outputs"]}
    taken: set[int] = set()
    for part in operators:
        if part["op_name"] == "DELEGATE":
            taken |= _between(makers, set(map(int, part["inputs"])), list(map(int, part["outputs"])))
    return tuple(str(node["op_name"]) for node in own if node["index"] not in taken)


def _between(makers: Mapping[int, Mapping[str, Any]], edge: set[int], wanted: list[int]) -> set[int]:
    """Return the operators that lead from the tensors ``edge`` to the tensors ``wanted``."""
    found: set[int] = set()
    while wanted:
        tensor = wanted.pop()
        node = makers.get(tensor)
        if node is not None and tensor not in edge and node["index"] not in found:
            found.add(node["index"])
            wanted.extend(map(int, node["inputs"]))
    return found


def _indices(details: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    return {name: int(tensor["index"]) for name, tensor in details.items()}


def _specs(tensors: Mapping[str, Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(spec_of(name, _dynamic(tensor), np.dtype(tensor["dtype"]).name) for name, tensor in tensors.items())


def _dynamic(tensor: Mapping[str, Any]) -> list[int | None]:
    """Return the shape of a tensor with None for sizes that may change."""
    signature = tensor["shape_signature"] if len(tensor["shape_signature"]) else tensor["shape"]
    return [None if size < 0 else int(size) for size in signature]
