"""The reference, run a weight at a time for what its matrices are multiplied with.

Who looks at a matrix says what the run goes on with: what lies behind it sees what it has become.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

from lwmport.graphs.inline import inline
from lwmport.runtime.inputs import check_inputs
from lwmport.runtime.runners.jax_streamed import StreamedJaxRunner, Wanted, traced
from lwmport.types import Array

Look: TypeAlias = Callable[[str, Sequence[Any]], Array]
"""Called with the name of a weight and what each run multiplies with it from the left, [..., inputs]: nothing where it
is no matrix of a plain product. Returns the weight that the runs go on with."""


class MatrixRunner(StreamedJaxRunner):
    """Runs a component up to the last of some weights, and shows what each weight meets."""

    def run_up_to(self, cases: Sequence[Mapping[str, Array]], names: Collection[str], look: Look) -> None:
        """Call ``look`` for each weight in the order of the program, until it was called for all ``names``.

        Raises:
            RunnerError: names, shapes, dtypes or indices of a case do not fit the signature.
        """
        for inputs in cases:
            check_inputs(self.component.signature.inputs, inputs)
        programs: dict[Any, Any] = {}
        walks = [self._walk(self._program(programs, inputs), inputs) for inputs in cases]
        waiting: dict[int, Wanted] = {}
        left = set(names)
        self._send(walks, waiting, range(len(walks)), None)
        while waiting and left:
            name = next(iter(waiting.values())).name
            own = [number for number, wanted in waiting.items() if wanted.name == name]
            factors = [waiting[number].factor for number in own]
            weight = look(name, [factor for factor in factors if factor is not None])
            del factors
            left.discard(name)
            if left:
                self._send(walks, waiting, own, self._placed(name, weight))

    def _send(self, walks: Sequence[Any], waiting: dict[int, Wanted], numbers: Collection[int], weight: Any) -> None:
        """Send some runs the weight that they wait for, and note what each waits for then."""
        for number in numbers:
            wanted = self._advance(walks[number], weight)
            waiting.pop(number, None)
            if wanted is not None:
                waiting[number] = wanted

    def _program(self, programs: dict[Any, Any], inputs: Mapping[str, Array]) -> Any:
        """Return the program for inputs of these sizes, traced once."""
        key = tuple((name, array.shape) for name, array in sorted(inputs.items()))
        if key not in programs:
            programs[key] = inline(traced(self.component, inputs))
        return programs[key]
