"""The second verdict on a model that rounds its cache: does it read and write the cache right?

Two programs that round drift apart: one value on the other side of a tie moves what lies behind it, and with enough
layers all low bits of a prompt's cache are another's. So the first verdict, on all that comes out, leaves room for the
rounding itself. Two things have not drifted yet, and there the tolerance is tight: the states of the first layers, and
all that comes out of a run of one token behind a cache that both sides are given.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from lwmport.pipeline.validate.judge import Judgement, diffs_of
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.types import Signature, Status, TensorDiff
from lwmport.validators.outputs import summarise
from lwmport.validators.tolerances import EARLY, LONE

FIRST: Final = 4
"""States that have not drifted: keys and values of two layers. The second one sees what the first one attended to."""

AGREES: Final = (
    "The cache is rounded. The states of the first two layers, and all outputs for one token behind a given cache, "
    "agree within the tolerance of the few values that lie next to a tie."
)


def judge_cache(judgement: Judgement, signature: Signature, run: ReferenceRun, precision: str) -> Judgement:
    """Return a verdict with the second one, where ``precision`` is that of a model with a rounded cache."""
    if precision not in EARLY or judgement.validation.status is not Status.PASSED:
        return judgement
    diffs = tuple(_second(judgement, signature, run, precision))
    status, reason = summarise(diffs)
    if status is Status.PASSED:
        return replace(judgement, notes=(*judgement.notes, AGREES))
    failed = tuple(diff for diff in diffs if diff.status is not Status.PASSED)
    found = replace(
        judgement.validation,
        status=status,
        reason=f"where the cache has not drifted: {reason}",
        diffs=(*judgement.validation.diffs, *failed),
    )
    return replace(judgement, validation=found)


def _second(judgement: Judgement, signature: Signature, run: ReferenceRun, precision: str) -> Iterator[TensorDiff]:
    """Yield the verdict on each output that has not drifted."""
    ran = list(zip(run.all, judgement.outputs, strict=True))
    early = [spec for spec in signature.outputs if spec.name in signature.caches][:FIRST]
    names = {spec.name for spec in early}
    firsts = [{name: array for name, array in outputs.items() if name in names} for _, outputs in ran]
    for diff in diffs_of(run, replace(signature, outputs=tuple(early)), firsts, EARLY[precision]):
        yield replace(diff, name=f"{diff.name}, early")
    lone = [(one, outputs) for one, outputs in ran if _is_lone(one)]
    if lone:
        first, *others = (one for one, _ in lone)
        alone = replace(first, others=tuple(others))
        for diff in diffs_of(alone, signature, [outputs for _, outputs in lone], LONE[precision]):
            yield replace(diff, name=f"{diff.name}, one token")


def _is_lone(run: ReferenceRun) -> bool:
    """Return whether a run has one new token behind a cache that holds some."""
    held = [run.inputs[state.input] for state in run.component.signature.states if state.input in run.inputs]
    tokens = run.inputs.get("position_ids")
    return tokens is not None and tokens.shape[-1] == 1 and any(array.size for array in held)
