"""The reference of a bisection: JAX, with its taps, in one pass over the weights where these are many.

What it gave is kept beside the unfinished search, so that one that goes on need not run it again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lwmport import plain
from lwmport.errors import UsageError
from lwmport.pipeline.bisect.anchors import Anchors, Print, print_of
from lwmport.pipeline.bisect.kept import Kept
from lwmport.runtime.runners.jax import JaxRunner, reference
from lwmport.runtime.runners.jax_streamed import StreamedJaxRunner, tap_names
from lwmport.types import TAPS, Array, Component, Progress, Weights

LAYERS, COMPOSITES = TAPS

LARGE: Final = 1 << 30
"""Bytes of weights from which JAX runs with one of them in memory at a time: a search takes no more than a few."""


class JaxSide:
    """JAX's outputs in every case, and the prints of its taps in the case that is looked at."""

    def __init__(self, component: Component, weights: Weights, kept: Kept) -> None:
        self._component, self._weights, self._kept = component, weights, kept
        large = sum(spec.nbytes for spec in component.weights.values()) > LARGE
        runner = StreamedJaxRunner(component, weights) if large else reference(component, weights)
        self._runner: JaxRunner | StreamedJaxRunner = runner
        self.name, self.streamed = runner.name, runner.streamed
        self._prints: dict[int, dict[str, Print]] = {}

    def run_all(self, cases: Sequence[Mapping[str, Array]], progress: Progress) -> list[dict[str, Array]]:
        """Return JAX's outputs in each case; in the same pass the taps of every case are seen, where it streams."""
        known = self._kept.read("jax")
        if known is not None:
            self._prints = {int(case): _decoded(prints) for case, prints in known["prints"].items()}
            outputs: list[dict[str, Array]] = known["outputs"]
            return outputs
        if isinstance(self._runner, StreamedJaxRunner) and self._has_taps(cases[0]):
            outputs = self._runner.run_all(cases, progress, (COMPOSITES, self._see))
        else:
            outputs = self._runner.run_all(cases, progress)
        prints = {str(case): plain.encode(found) for case, found in self._prints.items()}
        self._kept.write("jax", {"outputs": outputs, "prints": prints})
        return outputs

    def anchors(self, case: int, inputs: Mapping[str, Array]) -> Anchors:
        """Return the taps of one case; none where the component has nothing to tap."""
        if not self._has_taps(inputs):
            return Anchors({}, ())
        if case not in self._prints:
            for name, value in self._runner.taps(inputs, COMPOSITES):
                self._see(case, name, value)
        return Anchors(self._prints.get(case, {}), tap_names(self._component, inputs, LAYERS))

    def _has_taps(self, inputs: Mapping[str, Array]) -> bool:
        try:
            return bool(tap_names(self._component, inputs, COMPOSITES))
        except UsageError:
            return False

    def _see(self, case: int, name: str, value: Array) -> None:
        made = print_of(value)
        if made is not None:
            self._prints.setdefault(case, {})[name] = made


def _decoded(prints: Mapping[str, Any]) -> dict[str, Print]:
    return {name: plain.decode(Print, item, "the taps of an unfinished search") for name, item in prints.items()}
