"""Paddings, pools, resizing and other settings whose other values give an output of the same shape."""

import itertools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.rotary import is_rotary
from lwmport.diagnosis.formulas.windows import ROUNDINGS
from lwmport.diagnosis.reading import given, plain, setting, with_input, with_setting
from lwmport.diagnosis.suspicion import Suspicion

COORDINATES: Final = ("half_pixel", "asymmetric", "align_corners")


def other_paddings(evidence: Evidence) -> Iterator[Suspicion]:
    """Return suspicions of padding on the other side, for what has explicit paddings or a TensorFlow ``SAME``."""
    side = evidence.expected
    if side is None:
        return
    kind = plain(side.type)
    pads = given(side, 1) if kind in {"pad", "padv2"} else None
    if pads is not None and pads.ndim in {1, 2}:
        moved = pads[:, ::-1] if pads.ndim == 2 else pads.reshape(2, -1)[::-1].ravel()
        yield _moved(side, pads.tolist(), moved.tolist(), with_input(1, moved))
    elif kind in {"conv", "averagepool"} and setting(side, "pads"):
        right = np.reshape(setting(side, "pads"), (2, -1))
        totals = right.sum(0)
        splits = itertools.product(*([(0, one), (one, 0), (one - one // 2, one // 2)] for one in totals.tolist()))
        for split in dict.fromkeys(splits):
            other = np.transpose(split).ravel().tolist()
            if other != right.ravel().tolist():
                yield _moved(side, right.ravel().tolist(), other, with_setting("pads", other))
    elif kind in {"conv2d", "depthwiseconv2d"}:
        yield from _same_lower(side)


def other_windows(evidence: Evidence) -> Iterator[Suspicion]:
    """Return suspicions of a pool that counts its padding or does not, and of the other nearest place."""
    side = evidence.expected
    if side is None:
        return
    if plain(side.type) in {"averagepool", "averagepool2d", "avgpool"}:
        right = setting(side, "countincludepad", default=0)
        does = ("leaves the padding out", "counts it") if right else ("counts the padding", "leaves it out")
        says = f"The average {does[0]} where the reference {does[1]}."
        change = with_setting("countincludepad", 1 - right)
        yield Suspicion(cause="average-without-padding", says=says, change=change)
    if plain(side.type) == "resize":
        yield from _nearest(side)
    if plain(side.type) == "resizenearestneighbor":
        for aligned, half in itertools.product((False, True), repeat=2):
            says = f"The nearest place is that of align_corners {aligned} and half_pixel_centers {half}."
            change = _both(("aligncorners", aligned), ("halfpixelcenters", half))
            yield Suspicion(cause="nearest-rounding", says=says, change=change)


def other_settings(evidence: Evidence) -> Iterator[Suspicion]:
    """Return suspicions of an axis, an order of axes, a dilation, or the pairs of a rotary embedding."""
    side = evidence.expected
    x = None if side is None else given(side, 0)
    if side is None or x is None:
        return
    kind = plain(side.type)
    if kind in {"softmax", "argmin", "argmax"}:
        right = int(setting(side, "axis", default=-1))
        for axis in (axis for axis in range(x.ndim) if axis != right % x.ndim and x.shape[axis] > 1):
            yield _attribute(side, "axis", right, axis)
    if kind == "transpose" and x.ndim <= 5:
        order = given(side, 1)
        perms = list(setting(side, "perm") if order is None else np.ravel(order).tolist())
        shape = [x.shape[axis] for axis in perms]
        for perm in itertools.permutations(range(x.ndim)):
            if list(perm) != perms and [x.shape[axis] for axis in perm] == shape:
                change = with_setting("perm", list(perm)) if order is None else with_input(1, np.array(perm))
                yield Suspicion(
                    cause="wrong-attribute",
                    says=f"perm of {side.type} is {list(perm)} where {perms} is right.",
                    change=change,
                )
    if kind == "conv" and x.ndim == 4 and setting(side, "dilations", default=[1, 1]) == [1, 1]:
        kernel, pads = given(side, 1), setting(side, "pads", default=[0] * 4)
        more = [0, 0] if kernel is None else [(size - 1) // 2 for size in kernel.shape[2:]]
        wider = [one + extra for one, extra in zip(pads, more * 2, strict=True)]
        says = f"dilations of {side.type} are [2, 2] where [1, 1] is right."
        yield Suspicion(cause="wrong-attribute", says=says, change=_both(("dilations", [2, 2]), ("pads", wider)))
    if is_rotary(side):
        right = int(setting(side, "interleaved", default=0))
        says = f"interleaved of {side.type} is {1 - right} where {right} is right."
        yield Suspicion(cause="swapped-rotary-halves", says=says, change=with_setting("interleaved", 1 - right))


def _moved(side: Side, right: list[Any], found: list[Any], change: Any) -> Suspicion:
    says = f"{side.type} pads {found} where {right} is right."
    return Suspicion(cause="wrong-padding-side", says=says, change=change)


def _same_lower(side: Side) -> Iterator[Suspicion]:
    """Return the suspicion of ``SAME`` with the odd place in front; the formats have no word for it."""
    says = f"{side.type} has the odd place of SAME in front where it is behind."
    yield Suspicion(cause="wrong-padding-side", says=says, change=with_setting("padding", "SAME_LOWER"))


def _nearest(side: Side) -> Iterator[Suspicion]:
    right = (
        setting(side, "coordinatetransformationmode", default="half_pixel"),
        setting(side, "nearestmode", default="round_prefer_floor"),
    )
    for kind, rounding in itertools.product(COORDINATES, ROUNDINGS):
        if (kind, rounding) != right:
            says = f"The nearest place is that of {kind} and {rounding} where {right[0]} and {right[1]} are right."
            change = _both(("coordinatetransformationmode", kind), ("nearestmode", rounding))
            yield Suspicion(cause="nearest-rounding", says=says, change=change)


def _attribute(side: Side, key: str, right: object, found: object) -> Suspicion:
    says = f"{key} of {side.type} is {found} where {right} is right."
    return Suspicion(cause="wrong-attribute", says=says, change=with_setting(key, found))


def _both(*settings: tuple[str, Any]) -> Any:
    def change(side: Side) -> Side:
        for key, value in settings:
            side = with_setting(key, value)(side)
        return side

    return change
