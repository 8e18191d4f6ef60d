"""Settings of an operator that differ: attributes, and the constant inputs that are settings."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.moves import dtype_asked
from lwmport.diagnosis.formulas.norms import NORMS
from lwmport.diagnosis.formulas.rotary import is_rotary
from lwmport.diagnosis.reading import (
    alike,
    as_value,
    given,
    is_named_after,
    name_of,
    plain,
    setting,
    with_input,
    with_setting,
)
from lwmport.diagnosis.roles import around, constants_of, role_of
from lwmport.diagnosis.suspicion import Suspicion, both
from lwmport.types import Array

DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "group": 1,
        "epsilon": 1e-5,
        "countincludepad": 0,
        "interleaved": 0,
        "approximate": "none",
        "alpha": 1.0,
        "beta": 1.0,
        "transa": 0,
        "transb": 0,
        "autopad": "NOTSET",
        "nearestmode": "round_prefer_floor",
        "coordinatetransformationmode": "half_pixel",
        "selectlastindex": 0,
        "stashtype": 1,
    }
)
"""Setting -> what ONNX has where it is left out."""

NARROWER: Final = frozenset({"float16", "bfloat16", "int8", "uint8"})
WIDTHS: Final[Mapping[str, int]] = MappingProxyType(
    {"float64": 64, "float32": 32, "bfloat16": 16, "float16": 16, "half": 16, "int64": 64, "int32": 32, "int16": 16}
    | {"int8": 8, "uint8": 8}
)
SLICES: Final = frozenset({"slice", "stridedslice"})
NORM_PARTS: Final = frozenset({"sqrt", "rsqrt", "pow", "square", "squareddifference"})
LONGEST: Final = 100
"""Characters of a setting beyond which it is a body, not a value."""


def wrong_settings(evidence: Evidence) -> Iterator[Suspicion]:
    """Return a suspicion for each setting that differs."""
    sides = both(evidence)
    if sides is None or plain(sides[0].type) != plain(sides[1].type):
        return
    yield from _attributes(evidence, *sides)
    yield from _inputs(evidence, *sides)


def _attributes(evidence: Evidence, expected: Side, found: Side) -> Iterator[Suspicion]:
    right, other = (
        {plain(key): as_value(value) for key, value in side.attributes.items()} for side in (expected, found)
    )
    for key in {**right, **other}:
        one, two = (values.get(key, DEFAULTS.get(key)) for values in (right, other))
        if one is None or two is None or _is_body(one) or _is_body(two) or alike(one, two):
            continue
        spelled = next(name for side in (expected, found) for name in side.attributes if plain(name) == key)
        yield Suspicion(
            cause=_word(evidence, expected, found, key),
            says=_says(expected, spelled, one, two),
            change=with_setting(key, two),
        )


def _says(side: Side, spelled: str, right: Any, found: Any) -> str:
    if plain(spelled) == "epsilon":
        return f"The epsilon of {side.type} is {found:.7g} where {right:.7g} is right."
    if plain(side.type) == "cast":
        return f"The cast is to {dtype_asked(with_setting(spelled, found)(side))} where {dtype_asked(side)} is right."
    return f"{spelled} of {side.type} is {_short(found)} where {_short(right)} is right."


def _inputs(evidence: Evidence, expected: Side, found: Side) -> Iterator[Suspicion]:
    """Return the differences of inputs that are settings: axes, orders, paddings, sizes, bounds."""
    for place in constants_of(expected):
        role = role_of(evidence, expected, place)
        right, other = given(expected, place), given(found, place)
        if not role.startswith(":") or right is None or other is None:
            continue
        if not alike(as_value(right), as_value(other)):
            key = role.removeprefix(":")
            cause = _word(evidence, expected, found, key, (as_value(right), as_value(other)))
            if _reads_another(expected, found, place) and plain(expected.type) in SLICES:
                if not is_cosine_and_sine(given(expected, 0)):
                    continue  # two slices whose outputs are exchanged look the same
                cause = "swapped-rotary-halves"
            yield Suspicion(
                cause=cause,
                says=f"{key} of {found.type} ({name_of(found, place)}) is {_short(as_value(other))} where "
                f"{_short(as_value(right))} is right.",
                change=with_input(place, other),
            )


def _reads_another(expected: Side, found: Side, place: int) -> bool:
    """Return whether a setting is read under another name, not under its own or one made of it."""
    if min(len(expected.names), len(found.names)) <= place:
        return False
    right, other = expected.names[place], found.names[place]
    return bool(right and other) and not is_named_after(other, right) and not is_named_after(right, other)


def is_cosine_and_sine(x: Array | None) -> bool:
    """Return whether the halves of the last axis are cosines and sines of the same angles."""
    if x is None or x.dtype.kind != "f" or not x.ndim or x.shape[-1] % 2:
        return False
    one, other = np.split(x.astype(np.float64), 2, axis=-1)
    return bool((np.abs(one**2 + other**2 - 1) < 0.01).all())


def _word(evidence: Evidence, expected: Side, found: Side, key: str, values: tuple[Any, Any] | None = None) -> str:
    """Return the word for a setting that differs; most have none of their own."""
    kind = plain(expected.type)
    right, other = values if values is not None else (setting(expected, key), setting(found, key))
    if key in {"axis", "axes"}:
        parts = kind in {"reducemean", "mean", "reducesum", "sum"} and NORM_PARTS & around(evidence)
        return "wrong-norm-axis" if kind in NORMS or parts else "wrong-attribute"
    if kind == "cast" and key in {"to", "outdatatype", "dstt"}:
        return _cast_word(expected, found)
    if key in {"nearestmode", "coordinatetransformationmode", "aligncorners", "halfpixelcenters"}:
        nearest = kind == "resizenearestneighbor" or setting(expected, "mode", default="nearest") == "nearest"
        return "nearest-rounding" if nearest else "wrong-attribute"
    special = {
        "wrong-padding-side": key in {"pads", "paddings", "autopad"} and _same_totals(right, other),
        "tanh-gelu": key == "approximate" and other in {"tanh", True},
        "wrong-operator": key == "approximate",
        "mask-overflow": key == "maskfiltervalue" and not np.isfinite(float(other)),
        "swapped-rotary-halves": key == "interleaved" and is_rotary(expected),
    }
    return next((word for word, holds in special.items() if holds), SETTING_WORDS.get(key, "wrong-attribute"))


SETTING_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "epsilon": "wrong-epsilon",
        "countincludepad": "average-without-padding",
        "stashtype": "narrow-accumulator",
        "softmaxprecision": "narrow-accumulator",
        "dataformat": "wrong-layout",
    }
)
"""Setting -> the word for it, where any other value means the same."""


def _cast_word(expected: Side, found: Side) -> str:
    right, other = dtype_asked(expected), dtype_asked(found)
    x = given(expected, 0)
    if other in NARROWER and x is not None and x.size and holds_positions(x):
        return "half-precision-positions"
    narrows = WIDTHS.get(other, 64) < WIDTHS.get(right, 64)
    return "wrong-dtype" if narrows else "wrong-attribute"


def holds_positions(x: Any) -> bool:
    """Return whether values are whole numbers, the largest of them beyond what bfloat16 has exactly."""
    finite = x.dtype.kind in "iuf" and bool(np.isfinite(x).all())
    return finite and float(x.max()) > 256 and float(x.min()) >= 0 and bool((x == np.round(x)).all())


def _same_totals(right: Any, other: Any) -> bool:
    if isinstance(right, str) or isinstance(other, str):
        return {right, other} == {"SAME_UPPER", "SAME_LOWER"}
    one, two = (np.asarray(values) for values in (right, other))
    if one.shape != two.shape:
        return False
    sums = (pads.sum(1) if pads.ndim == 2 else pads.reshape(2, -1).sum(0) for pads in (one, two))
    return bool(np.array_equal(*sums))


def _is_body(value: Any) -> bool:
    return isinstance(value, str) and len(value) > LONGEST


def _short(value: Any) -> str:
    text = f"{value:.7g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
