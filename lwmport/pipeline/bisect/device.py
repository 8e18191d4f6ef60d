"""Tensors that a device gave, held against the reference: each operator of the reference runs on the device's inputs.

So what a device passes on is told from what it makes wrong itself. Between two tensors that were brought back the
reference computes what lies between.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from lwmport.diagnosis.diagnose import diagnose
from lwmport.diagnosis.evidence import Evidence
from lwmport.errors import ArtifactError
from lwmport.pipeline.bisect.anchors import Anchors, layers_of
from lwmport.pipeline.bisect.evidence import around, neighbours_of, readers_of, side_of
from lwmport.pipeline.bisect.measure import EQUAL, heat_of, measured, worst_of
from lwmport.pipeline.bisect.search import UNKNOWN, Found, Place
from lwmport.reports.bisection import First, Measured, Tap
from lwmport.runtime.brought.read import Brought, BroughtTensor, matched, read_brought, unmatched, values
from lwmport.runtime.pieces.spec import Operator, Pieces
from lwmport.types import Array, Progress

ROUNDING: Final = 1e-2
"""The relative difference that half precision explains on a device, of one operator or a few: 11 bits, and sums."""

SIMILAR: Final = 0.99
"""The cosine below which a tensor that only a tool's own comparison tells of is wrong: msit's and msprobe's limit."""


OTHER: Final = "On the inputs that the device had, the reference gives other values."


class Device:
    """What a folder holds, by the names of a model's tensors."""

    def __init__(self, path: Path, pieces: Pieces) -> None:
        self.brought: Brought = read_brought(path)
        self._pieces = pieces
        names = {name for operator in pieces.operators for name in operator.outputs if name}
        names |= {spec.name for spec in pieces.inputs}
        nodes = {
            (operator.name, number): name
            for operator in pieces.operators
            for number, name in enumerate(operator.outputs)
            if name
        }
        outputs = [spec.name for spec in pieces.outputs]
        self.tensors: Mapping[str, BroughtTensor] = matched(self.brought, names, outputs=outputs, nodes=nodes)
        self.notes = (*self.brought.notes, *unmatched(self.brought, names, outputs=outputs, nodes=nodes))
        if not self.tensors:
            raise ArtifactError(
                f"expected tensors of the model in {path}, found {len(self.brought.tensors)} of other names; they are "
                f"matched by the names of the model's tensors and operators"
            )

    def value(self, name: str, like: Array) -> Array | None:
        """Return what the device gave for a tensor, in the model's sizes, order and dtype; None without values."""
        tensor = self.tensors.get(name)
        if tensor is None or tensor.load is None:
            return None
        order = "NCHW" if self._pieces.format == "onnx" else "NHWC"
        return values(tensor, like.shape, like.dtype.name, order).astype(like.dtype, copy=False)

    def inputs(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """Return the inputs that the device ran on, as far as they were brought back, else those that are given."""
        return {name: self._input(name, value) for name, value in given.items()}

    def _input(self, name: str, usual: Array) -> Array:
        own = self.value(name, usual)
        return usual if own is None else own


@dataclass(frozen=True, kw_only=True)
class _Brought:
    """One tensor that was brought back: the operator that gives it, and its value on both sides.

    ``right`` is the reference's, ``expected`` what the reference makes of the device's own inputs, ``passed``;
    ``given`` is the device's, None where its tool wrote statistics alone.
    """

    pieces: Pieces
    operator: Operator
    name: str
    tensor: BroughtTensor
    passed: Mapping[str, Array]
    right: Array
    expected: Array
    given: Array | None


def search_device(
    pieces: Pieces, device: Device, case: Mapping[str, Array], anchors: Anchors, progress: Progress
) -> Found:
    """Return where what a device gave leaves the reference."""
    found, right, seen = Found(), dict(case), dict(case)
    order: list[str] = []
    for number, operator in enumerate(pieces.operators):
        wanted = [name for name in operator.outputs if name]
        feeds, passed = ({name: side[name] for name in operator.inputs if name in side} for side in (right, seen))
        same = all(passed[name] is feeds[name] for name in passed)
        right.update(pieces.run([number], feeds, wanted))
        expected = {name: right[name] for name in wanted} if same else pieces.run([number], passed, wanted)
        for name in wanted:
            anchors.see(name, right[name])
            order.append(name)
            given = device.value(name, right[name])
            seen[name] = expected[name] if given is None else given
            if name in device.tensors:
                one = _Brought(
                    pieces=pieces,
                    operator=operator,
                    name=name,
                    tensor=device.tensors[name],
                    passed=passed,
                    right=right[name],
                    expected=expected[name],
                    given=given,
                )
                _look(one, anchors, found)
        progress(operator.name, number + 1, len(pieces.operators))
    layers = layers_of(order, anchors)
    found.taps = [replace(tap, layer=layers.get(tap.output, "")) for tap in found.taps]
    return found


def _look(one: _Brought, anchors: Anchors, found: Found) -> None:
    """Add the tap of a tensor, and the place if an error enters there."""
    whole = told(one.tensor.statistics, one.right) if one.given is None else measured(one.right, one.given)
    own = None if one.given is None else measured(one.expected, one.given)
    rounding = 0.0 if one.right.dtype.kind in "biu" else ROUNDING
    tap = Tap(
        tap=anchors.found.get(one.name, one.name),
        node=one.operator.name,
        operator=one.operator.type,
        output=one.name,
        whole=whole,
        own=own,
        enters=whole.cosine < SIMILAR if own is None else own.relative > rounding,
    )
    found.taps.append(tap)
    if tap.enters:
        found.places.append(Place(first=_first(one, tap), relative=(own or whole).relative))


def told(statistics: Mapping[str, float], reference: Array) -> Measured:
    """Return how far a tensor is, as a tool's own comparison tells it; what it does not tell is not a number."""
    lost = math.nan
    relative = statistics.get("rel_euclid", lost)
    scale = float(np.abs(reference.astype(np.float64)).max(initial=0.0))
    largest = statistics.get("max_abs", lost)
    noise = -20 * math.log10(relative) if relative > 0 else (EQUAL.sqnr_db if relative == 0 else lost)
    return Measured(
        max_abs=largest,
        relative=largest / scale if scale else lost,
        sqnr_db=noise,
        cosine=statistics.get("cosine", 1.0),
    )


def _first(one: _Brought, tap: Tap) -> First:
    first = First(
        tap=tap.tap,
        node=tap.node,
        operator=tap.operator,
        output=tap.output,
        whole=tap.whole,
        own_inputs=tap.own or tap.whole,
        cause=None,
        explanation=f"{UNKNOWN} The device's tool gives no values of it.",
        neighbours=neighbours_of(one.pieces, one.operator, {**one.passed, one.name: one.expected}),
    )
    if one.given is None:
        return first
    found = diagnose(
        Evidence(
            format=one.pieces.format,
            expected=side_of(one.pieces, one.operator, one.passed),
            found=None,
            reference=one.expected,
            observed=one.given,
            rounding=ROUNDING,
            consumers=readers_of(one.pieces, one.name),
            expected_around=around(one.pieces, one.operator),
        )
    )
    heat, axes = heat_of(one.expected, one.given)
    return replace(
        first,
        cause=None if found is None else found.cause,
        explanation=found.explanation if found else f"{UNKNOWN} {OTHER}",
        heat=heat,
        axes=axes,
        worst=worst_of(one.expected, one.given),
    )
