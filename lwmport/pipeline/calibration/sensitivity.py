"""What each tensor of a language model loses when it alone is rounded, from runs of the reference a weight at a time.

One tensor after the other is rounded to the fewest bits while all others stay exact, and the KL divergence of the
logits from those of the exact model is taken. For more bits it is less by as much as the squared error of the weights
is. The sum over tensors is a forecast of what all of them lose together: losses need not add up, and the sample is
short.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.models.schemes import uncalibrated
from lwmport.pipeline.calibration.cases import cases_of, without_states
from lwmport.pipeline.calibration.text import CalibrationText, tokens_of
from lwmport.pipeline.observer import Observer, tell_steps
from lwmport.quantise.budget import Sensitivity
from lwmport.runtime.runners.jax_streamed import StreamedJaxRunner
from lwmport.runtime.runners.jax_variants import SAME, VariantRunner
from lwmport.types import Array, Component, Scheme, Weights
from lwmport.validators.language import divergence

TOKENS: Final = 128
"""Tokens of a run, where a component takes any number."""

SAMPLES: Final = 8
"""Runs on which whole choices are measured; that in which tensors are rounded one by one is none, if there are more."""

LEAST: Final = 4
"""Bits that each tensor is rounded to alone."""


@dataclass(kw_only=True)
class Probe:
    """A component beside itself with other weights.

    Attributes:
        component: a language model.
        exact: its exact weights.
        output: its logits.
        text: what it is run on.
        observer: told how the work goes.
    """

    component: Component
    exact: Weights
    output: str
    text: CalibrationText
    observer: Observer
    _cases: Sequence[Mapping[str, Array]] = ()
    _expected: list[Array] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Cut the text."""
        self.component = without_states(self.component)
        specs = {spec.name: spec for spec in self.component.signature.inputs}
        cut = slice(None if isinstance(specs[tokens_of(self.component)].shape[1], int) else TOKENS)
        ids, codes = (tuple(row[cut] for row in rows[: SAMPLES + 1]) for rows in (self.text.ids, self.text.codes))
        with tempfile.TemporaryDirectory() as folder:
            self._cases = cases_of(self.component, self.exact, replace(self.text, ids=ids, codes=codes), Path(folder))

    @property
    def measured_on(self) -> str:
        """What whole choices are measured on, for a reader."""
        return self._words(self._measured)

    @property
    def table_on(self) -> str:
        """What tensors are rounded on one by one, for a reader."""
        return self._words(self._cases[:1])

    @property
    def _measured(self) -> Sequence[Mapping[str, Array]]:
        return self._cases[1:] or self._cases

    def _words(self, cases: Sequence[Mapping[str, Array]]) -> str:
        tokens = tokens_of(self.component)
        return f"{sum(case[tokens].size for case in cases)} tokens of {self.text.source}"

    def table(self, schemes: Mapping[str, Mapping[int, Scheme]]) -> list[Sensitivity]:
        """Return what each tensor costs; ``schemes`` are those of each for its bits, `LEAST` among them."""
        least = self.rounded({name: own[LEAST] for name, own in schemes.items()})
        runner, alone = VariantRunner(self.component, self.exact), dict.fromkeys(schemes, 0.0)
        others = {name: partial(least.read, name) for name in schemes}
        expected: Array | None = None
        tell = partial(tell_steps, self.observer)
        for name, logits in runner.run_variants(self._cases[0], self.output, others, tell):
            if name == SAME:
                expected = logits
            elif expected is not None:
                alone[name] = _mean([expected], [logits])
        rows = []
        for name, own in schemes.items():
            errors = {bits: self._error(name, scheme) for bits, scheme in own.items()}
            spec, whole = self.component.weights[name], errors[LEAST] or 1.0
            rows.append(
                Sensitivity(
                    name=name,
                    bytes={bits: scheme.stored_bytes(spec) for bits, scheme in own.items()},
                    loss={bits: alone[name] * error / whole for bits, error in errors.items()},
                )
            )
        return rows

    def loss(self, weights: Weights) -> float:
        """Return the mean KL divergence of the logits with other weights, nats."""
        if not self._expected:
            self._expected = self._logits(self.exact)
        return _mean(self._expected, self._logits(weights))

    def rounded(self, schemes: Mapping[str, Scheme]) -> StoredWeights:
        """Return the weights as schemes store them, by a method that needs no run."""
        own = {name: uncalibrated(scheme) for name, scheme in schemes.items()}
        return StoredWeights(self.exact, next(iter(own.values())), own)

    def _error(self, name: str, scheme: Scheme) -> float:
        lost = self.rounded({name: scheme}).read(name) - self.exact.read(name)
        return float(np.square(lost, dtype=np.float64).sum())

    def _logits(self, weights: Weights) -> list[Array]:
        found: list[dict[str, Any]] = StreamedJaxRunner(self.component, weights).run_all(
            self._measured, self.observer.progress
        )
        return [one[self.output] for one in found]


def _mean(expected: Sequence[Array], found: Sequence[Array]) -> float:
    """Return the mean KL divergence of all rows, a run at a time, in float64."""
    rows = [
        divergence(one.astype(np.float64), other.astype(np.float64)).reshape(-1)
        for one, other in zip(expected, found, strict=True)
    ]
    return float(np.concatenate(rows).mean())
