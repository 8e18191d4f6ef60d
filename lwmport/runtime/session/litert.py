"""States in LiteRT: the buffers that one run wrote are those that the next one reads, and none of them is copied."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lwmport.runtime.runners.litert import LiteRTRunner
from lwmport.runtime.runners.litert_compiled import CompiledRunner, read, write
from lwmport.runtime.session.backend import Backend, OpenedModels, PhaseModel
from lwmport.runtime.session.layout import MASK
from lwmport.runtime.session.litert_interpreter import InterpreterBackend
from lwmport.types import DECODE, Array


@dataclass(frozen=True, kw_only=True)
class Buffers:
    """States of so many sequences: LiteRT's buffer by input."""

    batch: int
    states: Mapping[str, Any]


class BufferBackend(OpenedModels):
    """Holds LiteRT's own buffers. A run reads one set and writes another; the set that was read is written next."""

    def __init__(self, models: Mapping[str, PhaseModel]) -> None:
        super().__init__(models)
        self._spare: Buffers | None = None

    def hold(self, arrays: Mapping[str, Array]) -> Buffers:
        """Return buffers that hold the states, by input."""
        made = self._made(len(next(iter(arrays.values()))))
        for name, array in arrays.items():
            write(made.states[name], array)
        return made

    def run(self, phase: str, inputs: Mapping[str, Array], held: Any) -> tuple[dict[str, Array], Buffers]:
        """Return (results by name, states).

        Raises:
            RunnerError: LiteRT failed.
        """
        model, batch = self._models[phase], len(inputs[MASK])
        taken = self._spare if self._spare is not None and self._spare.batch == batch else self._made(batch)
        self._spare = None
        model.runner.resize(batch)
        given = {name: held.states[name] for name in model.fed}
        results = model.runner.run_on(inputs, given, {out: taken.states[own] for out, own in model.kept.items()})
        self._spare = held
        return results, taken

    def cut(self, held: Buffers, tokens: int) -> Buffers:  # noqa: ARG002 - slots are written over
        """Return the same buffers: a model of fixed sizes has slots, and the mask hides what is behind the tokens."""
        return held

    def copy(self, held: Buffers) -> Buffers:
        """Return buffers of their own with the same states."""
        return self.hold({name: read(buffer) for name, buffer in held.states.items()})

    def close(self) -> None:
        """Close the models. A second call does nothing."""
        self._spare = None
        super().close()

    def _made(self, batch: int) -> Buffers:
        model = self._models[DECODE]
        model.runner.resize(batch)
        return Buffers(batch=batch, states={name: model.runner.buffer(name) for name in model.fed})


def litert_backend(models: Mapping[str, PhaseModel]) -> Backend:
    """Return what keeps the states: LiteRT's buffers, if it took every model as a compiled one."""
    compiled = [model.runner for model in models.values() if isinstance(model.runner, CompiledRunner)]
    if len(compiled) == len(models):
        return BufferBackend(models)
    for runner in compiled:
        runner.close()
    opened = {runner: LiteRTRunner(runner.path, runner.threads) for runner in compiled}
    return InterpreterBackend(
        {phase: replace(model, runner=opened.get(model.runner, model.runner)) for phase, model in models.items()}
    )
