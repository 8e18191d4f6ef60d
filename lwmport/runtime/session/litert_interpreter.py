"""States in LiteRT's interpreter, where its compiled models cannot be had: they stay in the interpreter's tensors."""

import weakref
from collections.abc import Mapping
from typing import Any

from lwmport.errors import RunnerError, one_line
from lwmport.runtime.session.backend import OpenedModels, PhaseModel
from lwmport.runtime.session.layout import MASK
from lwmport.types import DECODE, Array


class Resident:
    """States that lie in the input tensors of the decode, or in ``arrays`` after another session took these."""

    def __init__(self, arrays: Mapping[str, Array] | None = None) -> None:
        self.arrays = arrays


class InterpreterBackend(OpenedModels):
    """Moves each state from an output tensor to its input tensor, once a run, inside the interpreter's memory.

    Sessions that share the models take turns: whose states lie in the tensors is noted, and they are copied out before
    another session's come in. Where the batch is open, an interpreter is resized whenever another batch comes.
    """

    def __init__(self, models: Mapping[str, PhaseModel]) -> None:
        super().__init__(models)
        self._decode = models[DECODE].runner
        self._resident: weakref.ref[Resident] | None = None
        self._batches: dict[Any, int] = {}

    def hold(self, arrays: Mapping[str, Array]) -> Resident:
        """Return the states by input; a run takes them into the interpreter."""
        return Resident(dict(arrays))

    def run(self, phase: str, inputs: Mapping[str, Array], held: Any) -> tuple[dict[str, Array], Resident]:
        """Return (results by name, states).

        Raises:
            RunnerError: LiteRT failed.
        """
        model = self._models[phase]
        interpreter, (places, outputs) = model.runner.interpreter, model.runner.places
        if model.fed:
            self._take_in(held)
        else:
            self._resize(model, len(inputs[MASK]))
        try:
            for name, array in inputs.items():
                interpreter.set_tensor(places[name], array)
            interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise RunnerError(f"LiteRT failed on the inputs: {one_line(error)}") from error
        results = {name: interpreter.get_tensor(outputs[name]) for name in model.results}
        self._make_way(held)
        views = {own: interpreter.tensor(outputs[output])() for output, own in model.kept.items()}
        return results, self._settle(views)

    def cut(self, held: Resident, tokens: int) -> Resident:  # noqa: ARG002 - slots are written over
        """Return the same states: a model of fixed sizes has slots, and the mask hides what is behind the tokens."""
        return held

    def copy(self, held: Resident) -> Resident:
        """Return the same states in memory of their own."""
        arrays = self._read() if held.arrays is None else held.arrays
        return Resident({name: array.copy() for name, array in arrays.items()})

    def _take_in(self, held: Resident) -> None:
        """Bring states into the tensors, unless they lie there."""
        if held.arrays is not None:
            self._make_way(held)
            self._write(held.arrays)
            held.arrays = None
            self._resident = weakref.ref(held)

    def _make_way(self, held: Resident | None) -> None:
        """Copy the states that lie in the tensors out of them, if they are another's who still needs them."""
        other = self._resident() if self._resident else None
        if other is held:
            return
        if other is not None:
            other.arrays = self._read()
        self._resident = None

    def _resize(self, model: PhaseModel, batch: int) -> None:
        """Give the inputs of a model this batch, if they have another one. What lies in its tensors is lost then."""
        runner, opened = model.runner, {spec.name for spec in model.signature.inputs if isinstance(spec.shape[0], str)}
        if not opened or self._batches.get(runner) == batch:
            return
        shapes = {int(tensor["index"]): tensor["shape"] for tensor in runner.interpreter.get_input_details()}
        places, _ = runner.places
        try:
            for name in opened:
                size = [batch, *map(int, shapes[places[name]][1:])]
                runner.interpreter.resize_tensor_input(places[name], size)
            runner.interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise RunnerError(f"LiteRT refused a batch of {batch}: {one_line(error)}") from error
        self._batches[runner] = batch

    def _settle(self, views: Mapping[str, Array]) -> Resident:
        self._write(views)
        made = Resident()
        self._resident = weakref.ref(made)
        return made

    def _read(self) -> dict[str, Array]:
        places, _ = self._decode.places
        return {name: self._decode.interpreter.get_tensor(places[name]) for name in self._models[DECODE].fed}

    def _write(self, arrays: Mapping[str, Array]) -> None:
        self._resize(self._models[DECODE], len(next(iter(arrays.values()))))
        places, _ = self._decode.places
        for name, array in arrays.items():
            self._decode.interpreter.tensor(places[name])()[...] = array
