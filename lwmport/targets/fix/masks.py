"""Masks that are written as smaller numbers: when they still hide what they hid, and how far that was tried."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import onnx

from lwmport.errors import PortError
from lwmport.targets.fix import numbers
from lwmport.targets.fix.draft import Draft
from lwmport.targets.fix.proof import Proof, agreement
from lwmport.targets.fix.scores import Masked, spread
from lwmport.targets.fix.test_inputs import after_shapes, masked_trials
from lwmport.targets.fix.writing import write
from lwmport.targets.graphs.onnx_file import read
from lwmport.targets.graphs.record import Value
from lwmport.targets.rules.numbers import HALF_MAX

SPARE: Final = 20.0
"""How far below the largest shown score a hidden one has to stay: exp(-20) is 2e-9, and 48,000 of them weigh 1e-4."""

SCALES: Final = (1.0, 10.0, 100.0, 1000.0)
"""By how much floats are scaled in the trials, until the models differ."""

SEEDS: Final = (3, 4, 5, 6)


@dataclass(frozen=True, kw_only=True)
class Softening:
    """What was found of a model with smaller masks on masked inputs.

    ``usual`` is the proof on inputs of ordinary size, which counts no runs, ``apart`` how far scores lie apart there,
    None where that could not be seen, ``same`` the largest scale on which the models agree, and ``other`` the one on
    which they do not, if there is one.
    """

    masked: Masked
    usual: Proof
    apart: float | None
    same: float
    other: float | None

    @property
    def condition(self) -> str:
        """When the masks hide what they hid, and what was tried, in words."""
        number, limit = len(self.masked.masks), self.masked.limit
        count = f"{number} mask{' is' if number == 1 else 's are'}"
        seen = "their distance could not be measured" if self.apart is None else f"{self.apart:.3g} was measured"
        broken = f", but not at {self.other:g} times" if self.other else ""
        return (
            f"only while the scores of a row lie within {limit - SPARE:g} of each other and of 0 and one of them is "
            f"shown ({seen}), for {count} {-limit:g} now; on masked random inputs the two agree up to {self.same:g} "
            f"times the usual size{broken}"
        )


def soften(draft: Draft, masks: Sequence[str], limit: float, paths: tuple[Path, Path]) -> tuple[list[Path], Softening]:
    """Write a draft as it is to the first path, and with masks of ``-limit`` to the second; return files and findings.

    Masks of -50 hide scores of ordinary size alone. Where those of random inputs lie further apart, larger masks are
    written, as far as float16 goes.

    Raises:
        ArtifactError: a tensor is not there.
        PortError: scores lie so far apart that float16 holds no mask that hides them.
        UsageError: an input's size is not known.
        RunnerError: ONNX Runtime refuses one of the models.
    """
    model = onnx.ModelProto()
    model.CopyFrom(draft.model)
    before = read(write(draft, paths[0])[0])
    numbers.clip(draft, list(masks), limit)
    files = write(draft, paths[1])
    found = Masked(before=before, after=read(files[0]), masks=tuple(masks), limit=limit)
    trials = masked_trials(after_shapes(found.before, found.after), found.before, SEEDS, SCALES[0])
    apart = spread(found, trials)
    if apart is not None and apart + SPARE > limit:
        draft.model.CopyFrom(model)
        draft.changed()
        draft.notes.pop()
        limit = float(math.ceil(apart + SPARE))
        if limit > HALF_MAX:
            raise PortError(
                f"expected scores within {HALF_MAX - SPARE:g} of each other on random inputs, found {apart:.3g}: no "
                f"mask that float16 holds hides them; nothing was written"
            )
        numbers.clip(draft, list(masks), limit)
        files = write(draft, paths[1])
        found = replace(found, after=read(files[0]), limit=limit)
    return files, _tried(found, apart)


def _tried(found: Masked, apart: float | None) -> Softening:
    """Return how far two models are apart on masked inputs of growing size.

    Sizes on which the first model is not steady say nothing, and are passed over; so are all but the first where no
    input is a float.
    """
    pair, values = (found.before, found.after), after_shapes(found.before, found.after)
    usual = agreement(pair, masked_trials(values, found.before, SEEDS, SCALES[0]))
    same, other = SCALES[0], None
    for scale in SCALES[1:] if usual.equal and _has_floats(values) else ():
        proof = agreement(pair, (), masked_trials(values, found.before, SEEDS, scale))
        if not proof.equal:
            other = scale
            break
        same = scale if proof.runs else same
    return Softening(masked=found, usual=replace(usual, runs=0), apart=apart, same=same, other=other)


def _has_floats(values: Sequence[Value]) -> bool:
    return any(value.dtype == "bfloat16" or value.dtype.startswith("float") for value in values)
