"""The operators of an ONNX file in another runtime than ONNX Runtime: each run writes a small model and opens it."""

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from lwmport.errors import RunnerError, UsageError
from lwmport.runtime.pieces.onnx import OnnxPieces, open_onnx
from lwmport.runtime.registry import open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, TensorSpec

SIZES: Final = 16
"""Elements that the value of a shape has at most."""


class RunnerPieces:
    """The operators of an ONNX file, run by one of `lwmport.runtime.registry.RUNNERS`; weights lie in each piece."""

    format = "onnx"

    def __init__(self, path: Path, threads: int, runner: str) -> None:
        if path.suffix != ".onnx":
            raise UsageError(f"expected an ONNX file for {runner}, an operator at a time, found {path}")
        self._own: OnnxPieces = open_onnx(path, threads)
        self._threads, self._runner = threads, runner
        self.inputs: tuple[TensorSpec, ...] = self._own.inputs
        self.outputs: tuple[TensorSpec, ...] = self._own.outputs
        self.operators = self._own.operators
        self.constants: Mapping[str, TensorSpec] = self._own.constants
        self.public_inputs: Mapping[str, str] = MappingProxyType({})
        self.public_outputs: Mapping[str, str] = MappingProxyType({})

    def constant(self, name: str) -> Array:
        """Return the value of a constant."""
        return self._own.constant(name)

    def run(self, operators: Sequence[int], feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        """Return some tensors that a few operators compute: see `lwmport.runtime.pieces.spec.Pieces.run`."""
        given = self._own.given(operators, feeds)
        fed = {name: value for name, value in given.items() if name in feeds and not _is_size(value)}
        inside = {name: value for name, value in given.items() if name not in fed}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "piece.onnx"
            path.write_bytes(self._own.piece(operators, fed, inside, wanted, sized=fed).SerializeToString())
            context = RunnerContext(threads=self._threads)
            with contextlib.closing(open_runner(path, context, self._runner)) as opened:
                names = {spec.name for spec in opened.inputs}
                found = list(opened.run({name: value for name, value in fed.items() if name in names}).values())
        if len(found) != len(wanted):
            raise RunnerError(f"expected {len(wanted)} outputs of {self._runner}, found {len(found)}")
        return dict(zip(wanted, found, strict=True))

    def close(self) -> None:
        """Give back what is held."""
        self._own.close()


def _is_size(value: Array) -> bool:
    """Return whether a value may be a shape, which runtimes want to know when they open a model."""
    return value.dtype.kind in "iu" and value.ndim <= 1 and value.size <= SIZES
