"""Masks that are written as smaller numbers: when they still hide what they hid, and how far that was tried."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import onnx

from lwmport.errors import PortError
from lwmport.targets.fix import guards, numbers
from lwmport.targets.fix.draft import Draft
from lwmport.targets.fix.proof import LeftOut, Proof, agreements
from lwmport.targets.fix.scores import Masked, meaningless, spread
from lwmport.targets.fix.test_inputs import Feed, after_shapes, holed, masked_trials, usual_trials
from lwmport.targets.fix.writing import write
from lwmport.targets.graphs.onnx_file import read
from lwmport.targets.graphs.record import Graph, Value
from lwmport.targets.rules.numbers import HALF_MAX
from lwmport.types import Array

SPARE: Final = 20.0
"""How far below the largest shown score a hidden one has to stay: exp(-20) is 2e-9, and 48,000 of them weigh 1e-4."""

SCALES: Final = (1.0, 10.0, 100.0, 1000.0)
"""By how much floats are scaled in the trials, until the models differ."""

SEEDS: Final = (3, 4, 5, 6)

HOLES: Final = ((7, "first"), (8, "rows"), (9, "shown rows"), (10, "all"))
"""Seeds and kinds of inputs whose masks hide more than the last entries: `lwmport.targets.fix.test_inputs.holed`."""


@dataclass(frozen=True, kw_only=True)
class Softening:
    """What was found of a model with smaller masks on masked inputs.

    ``same`` is the largest scale on which the models agree, ``other`` the one on which they do not, if there is one.
    """

    masked: Masked
    same: float
    other: float | None

    @property
    def condition(self) -> str:
        """When the masks hide what they hid, and what was tried, in words."""
        number, limit = len(self.masked.masks), self.masked.limit
        count = f"{number} mask{' is' if number == 1 else 's are'}"
        seen = (
            "their distance could not be measured"
            if self.masked.apart is None
            else f"{self.masked.apart:.3g} was measured"
        )
        broken = f", but not at {self.other:g} times" if self.other else ""
        return (
            f"only while the scores of a row lie within {limit - SPARE:g} of each other and of 0 and one of them is "
            f"shown ({seen}), for {count} {-limit:g} now; on masked random inputs the two agree up to {self.same:g} "
            f"times the usual size{broken}"
        )


def soften(
    draft: Draft, masks: Sequence[str], limit: float, paths: tuple[Path, Path], given: Sequence[Feed] = ()
) -> Masked:
    """Write a draft as it is to the first path, and with masks of ``-limit`` to the second.

    Masks of -50 hide scores of ordinary size alone. Where those of random inputs lie further apart, larger masks are
    written, as far as float16 goes. ``given`` are the inputs to try, random ones if there are none.

    Raises:
        ArtifactError: a tensor is not there.
        PortError: scores lie so far apart that float16 holds no mask that hides them.
        UsageError: an input's size is not known.
        RunnerError: ONNX Runtime refuses one of the models.
    """
    model = onnx.ModelProto()
    model.CopyFrom(draft.model)
    before = read(write(draft, paths[0])[0])
    found = _clipped(draft, Masked(before=before, after=before, masks=tuple(masks), limit=limit), paths[1])
    apart = spread(found, given or _trials(after_shapes(found.before, found.after), found.before))
    if apart is not None and apart + SPARE > limit:
        undo(draft, model, len(draft.notes) - found.notes)
        limit = float(math.ceil(apart + SPARE))
        if limit > HALF_MAX:
            raise PortError(
                f"expected scores within {HALF_MAX - SPARE:g} of each other on random inputs, found {apart:.3g}: no "
                f"mask that float16 holds hides them; nothing was written"
            )
        found = _clipped(draft, replace(found, limit=limit), paths[1])
    return replace(found, apart=apart)


def _clipped(draft: Draft, found: Masked, path: Path) -> Masked:
    """Return a model with masks of ``-limit``, and what looks for them looking for that, written to a path."""
    count = len(draft.notes)
    numbers.clip(draft, list(found.masks), found.limit)
    guards.follow(draft, list(found.masks), found.limit)
    return replace(found, after=read(write(draft, path)[0]), notes=len(draft.notes) - count)


def undo(draft: Draft, model: onnx.ModelProto, notes: int) -> None:
    """Bring a draft back to a model and its first notes."""
    draft.model.CopyFrom(model)
    draft.limits.clear()
    draft.changed()
    del draft.notes[notes:]


def _trials(values: Sequence[Value], graph: Graph) -> list[Feed]:
    """Return usual inputs, and those whose masks hide the last entries, the first, some rows whole, or all."""
    holes = [{value.name: holed(value, graph, seed, kind) for value in values} for seed, kind in HOLES]
    return [*usual_trials(values, graph), *masked_trials(values, graph, SEEDS, SCALES[0]), *holes]


def left_out(found: Masked, known: Graph) -> LeftOut:
    """Return what says which elements of a model's outputs mean nothing, for they hang on rows that are masked whole.

    ``known`` is the model as it was, whose names may be others.
    """

    def of(feeds: Sequence[Feed]) -> list[Mapping[str, Array]]:
        inputs = {old.name: new.name for old, new in zip(known.inputs, found.before.inputs, strict=True)}
        outputs = {new.name: old.name for old, new in zip(known.outputs, found.before.outputs, strict=True)}
        made = meaningless(found, [{inputs[name]: array for name, array in feed.items()} for feed in feeds])
        return [{outputs[name]: array for name, array in one.items()} for one in made]

    return of


def try_out(found: Masked, known: Graph, given: Sequence[Feed] = ()) -> tuple[Proof, Softening]:
    """Return how far a model with smaller masks is from what it was, on usual and masked inputs, and how far it goes.

    Sizes on which the first model is not steady say nothing, and are passed over; so are all but the first where no
    input is a float.
    """
    values = after_shapes(known, found.after)
    trials = given
    sets: list[list[Feed]] = []
    if not given:
        trials = _trials(values, known)
        larger = SCALES[1:] if _has_floats(values) else ()
        sets = [masked_trials(values, known, SEEDS, scale) for scale in larger]
    usual, others = agreements((known, found.after), trials, sets, left_out(found, known))
    same, other = SCALES[0], None
    for scale, proof in zip(SCALES[1:], others, strict=False):
        if not proof.equal:
            other = scale
            break
        same = scale if proof.runs else same
    return usual, Softening(masked=found, same=same, other=other)


def _has_floats(values: Sequence[Value]) -> bool:
    return any(value.dtype == "bfloat16" or value.dtype.startswith("float") for value in values)
