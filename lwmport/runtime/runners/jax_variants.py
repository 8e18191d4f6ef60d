"""The reference and many like it that differ in one weight, side by side: each weight is read once for all.

Up to the weight that makes the difference, a variant is the reference: it begins there, from the same values. Where the
values of those under way take much memory, the others wait for a further pass.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.graphs.atoms import is_literal, value_of
from lwmport.graphs.inline import inline
from lwmport.runtime.inputs import check_inputs
from lwmport.runtime.runners.jax_streamed import StreamedJaxRunner, bound, last_uses, output_names, traced
from lwmport.types import Array, Progress

Values: TypeAlias = dict[Any, Any]
SAME = ""
"""The name of the reference itself among the variants."""

HELD: Final = 1 << 31
"""Bytes of values of variants under way from which no further one begins in the same pass."""


class VariantRunner(StreamedJaxRunner):
    """Runs a component as it is, and once more for each of some weights that is another one."""

    def run_variants(
        self,
        inputs: Mapping[str, Array],
        output: str,
        others: Mapping[str, Callable[[], Array]],
        progress: Progress = lambda *_: None,
    ) -> Iterator[tuple[str, Array]]:
        """Yield `SAME` and an output of the reference, then each weight's name and the output with the other one.

        A weight that the output does not follow from is left out.

        Raises:
            RunnerError: names, shapes, dtypes or indices of the inputs do not fit the signature.
        """
        check_inputs(self.component.signature.inputs, inputs)
        closed = inline(traced(self.component, inputs))
        left = {SAME, *others}
        while left:
            met: set[str] = set()
            asked = {name: other for name, other in others.items() if name in left}
            for name, found in self._pass(closed, inputs, output, asked, progress):
                met.add(name)
                if name in left:
                    yield name, found
            left = left - met if met - {SAME} else set()

    def _pass(
        self,
        closed: Any,
        inputs: Mapping[str, Array],
        output: str,
        others: Mapping[str, Callable[[], Array]],
        progress: Progress,
    ) -> Iterator[tuple[str, Array]]:
        """Yield the same of the reference and of as many others as memory is for."""
        given, values = self._begun(closed, inputs)
        wanted = closed.jaxpr.outvars[output_names(self.component).index(output)]
        last = next(number for number, one in enumerate(closed.jaxpr.eqns) if wanted in one.outvars)
        states: dict[str, Values] = {SAME: values}
        waiting: set[str] = set()
        uses = last_uses(closed)
        starts = [number for number, one in enumerate(closed.jaxpr.eqns[: last + 1]) if _weights(one, given)]
        with self._on_device():
            for done, (begin, end) in enumerate(zip([0, *starts[1:]], [*starts[1:], last + 1], strict=True)):
                equations = list(enumerate(closed.jaxpr.eqns[begin:end], begin))
                held = {name: self._read(name) for _, one in equations for name in _weights(one, given)}
                for name in held:
                    if name in others and name not in states and name not in waiting:
                        if _has_room(states):
                            states[name] = dict(states[SAME])
                        else:
                            waiting.add(name)  # also where it is read once more, later
                changed = {name: self._placed(name, others[name]()) for name in held if name in states}
                progress(next(iter(held), ""), done, len(starts))
                for name in list(states):
                    own = {**held, name: changed[name]} if name in changed else held
                    for number, equation in equations:
                        _bind(equation, given, own, states[name])
                        for variable in uses.get(number, ()):
                            states[name].pop(variable, None)
                    if end > last:  # one output at a time is in memory
                        yield name, np.asarray(states.pop(name)[wanted])


def _has_room(states: Mapping[str, Values]) -> bool:
    """Return whether one more variant may begin: always where none is under way."""
    held = {id(value): value for values in states.values() for value in values.values()}
    return len(states) == 1 or sum(getattr(value, "nbytes", 0) for value in held.values()) < HELD


def _weights(equation: Any, given: Mapping[Any, str]) -> list[str]:
    return [given[atom] for atom in equation.invars if not is_literal(atom) and atom in given]


def _bind(equation: Any, given: Mapping[Any, str], weights: Mapping[str, Any], values: Values) -> None:
    """Compute an equation and put what it makes among the values."""
    operands = [
        weights[given[atom]] if not is_literal(atom) and atom in given else value_of(atom, values)
        for atom in equation.invars
    ]
    values.update(zip(equation.outvars, bound(equation, operands), strict=True))
