"""The operators of a file that somebody may have changed: they run in a process of their own.

An operator that ends the process is found so: it is the one that was asked for. As long as nothing is to be run there
is no such process.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lwmport import child
from lwmport.runtime.memory_footprint import held_bytes
from lwmport.runtime.pieces.opening import open_pieces
from lwmport.types import Array, TensorSpec


class IsolatedPieces:
    """The operators of a model file. The file is read here; what runs, runs in a child with bounds.

    ``runner`` names the runtime, by default the usual one of the file's format.
    """

    def __init__(self, path: Path, threads: int, runner: str | None = None) -> None:
        self._own = open_pieces(path, threads)
        self.format: str = self._own.format
        self.inputs: tuple[TensorSpec, ...] = self._own.inputs
        self.outputs: tuple[TensorSpec, ...] = self._own.outputs
        self.operators = self._own.operators
        self.constants: Mapping[str, TensorSpec] = self._own.constants
        self.public_inputs: Mapping[str, str] = self._own.public_inputs
        self.public_outputs: Mapping[str, str] = self._own.public_outputs
        bounds = child.Bounds.of(held_bytes(path))
        arguments = {"path": path.absolute(), "threads": threads, "runner": runner}
        self._server = child.Server(_opened, arguments, bounds, f"the operators of {path.name}")

    def constant(self, name: str) -> Array:
        """Return the value of a constant."""
        return self._own.constant(name)

    def run(self, operators: Sequence[int], feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        """Return some tensors that a few operators compute: see `lwmport.runtime.pieces.spec.Pieces.run`.

        Raises:
            ChildError: the runtime died of them, or took more memory or time than it may.
        """
        found: dict[str, Array] = self._server.ask(operators=list(operators), feeds=dict(feeds), wanted=list(wanted))
        return found

    def close(self) -> None:
        """Give back what is held."""
        self._server.close()
        self._own.close()


def _opened(path: Path, threads: int, runner: str | None) -> Callable[..., Any]:
    if runner is None:
        return open_pieces(path, threads).run
    from lwmport.runtime.pieces.by_runner import RunnerPieces

    return RunnerPieces(path, threads, runner).run
