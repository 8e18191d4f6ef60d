"""What an artifact that is not float32 loses in pictures and codes, said of each output on the inputs it is judged on.

A statement beside the verdict, without one: the artifact, as its runtime computes it, beside the float32 model with
exact weights.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final, TypeAlias

import numpy as np

from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.choices import is_random
from lwmport.models.rounding import without_rounding
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.reports import numbers
from lwmport.runtime.runners.jax import quantized, reference
from lwmport.types import Array, Component, Kind, Quantized, TensorSpec, Weights
from lwmport.validators.accuracy import Accuracy, CodeAccuracy, PictureAccuracy, code_accuracy, picture_accuracy
from lwmport.validators.outputs import structure
from lwmport.validators.values import sqnr_db

SEEDED: Final = " Seeded weights: this says nothing about trained ones."

Outputs: TypeAlias = Sequence[Mapping[str, Array]]
"""The outputs of several runs, by name."""


def exact_outputs(weights: Weights, run: ReferenceRun) -> Outputs:
    """Return what the float32 model with exact weights gives in a run and in its others.

    Where ``weights`` are rounded to what is stored, that is one more run of the reference for each; for the first alone
    where no output is a picture or a code.
    """
    if not isinstance(weights, StoredWeights):
        return [one.outputs for one in run.all]
    wanted = run.all if _shown(run.component) else (run,)
    return reference(without_rounding(run.component), weights.exact).run_all([one.inputs for one in wanted])


def accuracy_of(
    weights: Weights, run: ReferenceRun, exact: Outputs, found: Outputs, precision: str
) -> tuple[Accuracy, ...]:
    """Return a statement on each output; none on a float32 artifact, nor where no output is a picture or a code.

    Args:
        weights: those that were converted.
        run: of the reference.
        exact: what `exact_outputs` returned.
        found: the artifact's outputs in each run. Where one is missing or has not the promised shape, the verdict says
            so, and nothing is stated.
        precision: what the artifact computes in.
    """
    stored = isinstance(weights, StoredWeights)
    specs = run.component.signature.outputs
    if (precision == "float32" and not stored) or not _shown(run.component) or len(found) != len(run.all):
        return ()
    if any(structure(spec, *sides) for sides in zip(exact, found, strict=True) for spec in specs):
        return ()
    held = weights.exact if isinstance(weights, StoredWeights) else weights
    return tuple(
        statement
        for case in dict.fromkeys(one.case for one in run.all)
        for statement in _Case(case, held, run.all, exact, found).statements()
    )


def _shown(component: Component) -> bool:
    return any(spec.kind is not Kind.VALUES for spec in component.signature.outputs)


@dataclass(frozen=True)
class _Case:
    """The runs of one case out of all: what both sides gave lies behind each other on the first axis."""

    name: str
    weights: Weights
    all: Sequence[ReferenceRun]
    exact: Outputs
    found: Outputs

    def statements(self) -> Iterator[Accuracy]:
        """Yield one for each output."""
        told = SEEDED if is_random(self.weights.source) else ""
        for spec in self.runs[0].component.signature.outputs:
            made = self._of_output(spec)
            output = f"{self.name}/{spec.name}" if self.name else spec.name
            yield replace(made, output=output, words=f"{output}: {made.words}.{told}")

    def _of_output(self, spec: TensorSpec) -> Accuracy:
        expected, found = self._outputs(self.exact, spec.name), self._outputs(self.found, spec.name)
        if spec.kind is Kind.INDICES:
            codes = code_accuracy(expected, found, self._quantized(spec.name) if (expected != found).any() else None)
            return Accuracy(output=spec.name, words=_code_words(codes), codes=codes)
        sqnr = sqnr_db(expected, found)
        if spec.kind is Kind.PICTURE:
            return self._pictures(spec, expected, found, sqnr)
        return Accuracy(output=spec.name, words=f"SQNR {numbers.decibels(sqnr)} beside float32", sqnr_db=sqnr)

    def _pictures(self, spec: TensorSpec, expected: Array, found: Array, sqnr: float) -> Accuracy:
        levels = spec.value_range or (-1.0, 1.0)
        pictures = picture_accuracy(expected, found, levels)
        made = Accuracy(output=spec.name, words=_picture_words(pictures), sqnr_db=sqnr, pictures=pictures)
        origins = [run.origin.get(spec.name) for run in self.runs]
        originals = np.concatenate([origin for origin in origins if origin is not None] or [found[:0]])
        if originals.shape != found.shape:
            return made
        own, other = (picture_accuracy(originals, side, levels) for side in (found, expected))
        words = f"{made.words}; on average {_mean(own)} beside the originals, where float32 has {_mean(other)}"
        return replace(made, words=words, originals=own, float32_originals=other)

    @property
    def runs(self) -> list[ReferenceRun]:
        """The runs of this case."""
        return [run for run in self.all if run.case == self.name]

    def _outputs(self, side: Outputs, name: str) -> Array:
        ran = zip(self.all, side, strict=True)
        return np.concatenate([outputs[name] for run, outputs in ran if run.case == self.name])

    def _quantized(self, name: str) -> Quantized | None:
        """Return what the exact weights made indices of, all runs behind each other; None where nobody knows."""
        component = without_rounding(self.runs[0].component)
        found = [made.get(name) for made in quantized(component, self.weights, [run.inputs for run in self.runs])]
        known = [made for made in found if made is not None]
        return replace(known[0], vectors=np.concatenate([made.vectors for made in known])) if known else None


def _code_words(codes: CodeAccuracy) -> str:
    share = numbers.percent(codes.agreeing / codes.codes)
    words = f"{numbers.count(codes.agreeing)} of {numbers.count(codes.codes)} codes are those of float32 ({share})"
    if codes.largest_tie_distance is None or codes.median_tie_distance is None:
        return words
    middle, largest = numbers.number(codes.median_tie_distance), numbers.number(codes.largest_tie_distance)
    return f"{words}; the others lie {middle} (median) to {largest} (largest) from a tie"


def _picture_words(found: PictureAccuracy) -> str:
    known = [value for value in found.ssim if value is not None]
    likeness = f", SSIM {numbers.near_one(min(known))}" if known else ""
    worst = numbers.decibels(min(found.psnr_db))
    among = f"the worst of {len(found.psnr_db)} pictures has " if len(found.psnr_db) > 1 else ""
    return f"{among}PSNR {worst}{likeness} beside float32"


def _mean(found: PictureAccuracy) -> str:
    return f"PSNR {numbers.decibels(fmean(found.psnr_db))}"
