"""What each constant of an operator is for: a kernel, a bias, an epsilon, a mask, a table, a setting."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.linear import LINEAR
from lwmport.diagnosis.formulas.norms import NORMS
from lwmport.diagnosis.formulas.rotary import is_rotary, tables_of
from lwmport.diagnosis.reading import given, is_constant, plain
from lwmport.types import Array

GAMMA_BETA: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "skipsimplifiedlayernormalization": ("", "", "gamma", "bias"),
        "skiplayernormalization": ("", "", "gamma", "beta", "bias"),
    }
)
"""Type of a norm -> roles of its inputs, where they are not gamma and beta behind what is normed."""

SETTINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "reshape": ("", "shape"),
        "slice": ("", "starts", "ends", "axes", "steps"),
        "stridedslice": ("", "begin", "end", "strides"),
        "pad": ("", "pads", "value", "axes"),
        "padv2": ("", "pads", "value"),
        "resize": ("", "roi", "scales", "sizes"),
        "resizenearestneighbor": ("", "size"),
        "transpose": ("", "perm"),
        "expand": ("", "shape"),
        "broadcastto": ("", "shape"),
        "tile": ("", "repeats"),
        "squeeze": ("", "axes"),
        "unsqueeze": ("", "axes"),
        "clip": ("", "min", "max"),
        "concatv2": (),
        "gatherv2": ("", "", "axis"),
        "argmin": ("", "axis"),
        "argmax": ("", "axis"),
        "mean": ("", "axes"),
        "sum": ("", "axes"),
        "cumsum": ("", "axis"),
        "range": ("start", "limit", "delta"),
        **dict.fromkeys(("reducemean", "reducesum", "reducemax", "reducemin", "reduceprod"), ("", "axes")),
    }
)
"""Type -> names of the inputs that are settings, by place."""

PRODUCTS: Final = frozenset({"matmul", "batchmatmul", "batchmatmulv2", "batchmatmulv3"})
"""Products of which either operand may be a weight."""

ADDED: Final = frozenset({"add", "addv2", "biasadd"})
SCALED: Final = frozenset({"mul", "div", "realdiv"})
ROOTS: Final = frozenset({"sqrt", "rsqrt"})
LARGEST_EPSILON: Final = 1e-2
MASKING: Final = 1e4
"""A number beyond it hides what a mask hides."""

UNKNOWN: Final = frozenset({"", "weight", "number"})
"""Roles of a constant that may be a bias too."""

BIAS: Final = re.compile(r"(^|[^a-z])(bias|beta)($|[^a-z])", re.IGNORECASE)
QUERY_KEY: Final = re.compile(r"(^|[^a-z])(w[qk]|[qk]_proj|to_[qk]|query|key|qkv|c_attn)($|[^a-z])", re.IGNORECASE)
VISION_NORM: Final = re.compile(r"ln_?vision|post_?layernorm", re.IGNORECASE)


def role_of(evidence: Evidence, side: Side, place: int) -> str:
    """Return what an input that is a constant is for, ``""`` where that is not known.

    ``kernel``, ``bias``, ``gamma``, ``beta``, ``table``, ``epsilon``, ``mask``, ``number``, ``weight``, or a setting's
    name with a colon in front.
    """
    kind, value = plain(side.type), given(side, place)
    named = _by_type(side, kind, place)
    if named is not None:
        return named
    if value is None or value.dtype.kind not in "fiuV":
        return ""
    if value.size == 1:
        return _of_number(evidence, kind, float(np.ravel(value)[0]))
    return _of_array(kind, value) if value.dtype.kind in "fV" else ""


def _by_type(side: Side, kind: str, place: int) -> str | None:
    """Return the role of an input of an operator whose inputs all have one, None for other operators."""
    if kind in SETTINGS:
        named = _at(SETTINGS[kind], place)
        return f":{named}" if named else None
    if kind in LINEAR and kind not in PRODUCTS:
        return _at(("", "kernel", "bias"), place)
    if kind in NORMS:
        return _at(GAMMA_BETA.get(kind, ("", "gamma", "beta")), place)
    if is_rotary(side):
        return "table" if place in tables_of(side)[1:] else ""
    return None


def _of_array(kind: str, value: Array) -> str:
    if _hides(value):
        return "mask"
    roles = {"kernel": PRODUCTS, "bias": ADDED, "gamma": SCALED}
    found = next((role for role, kinds in roles.items() if kind in kinds), "")
    if found == "kernel" or (found and _is_vector(value)):
        return found
    return "table" if kind.startswith("gather") and _is_table(value) else "weight"


def constants_of(side: Side) -> list[int]:
    """Return the places of the inputs that are constants and known."""
    return [at for at in range(len(side.inputs)) if is_constant(side, at) and given(side, at) is not None]


def around(evidence: Evidence) -> frozenset[str]:
    """Return the types of the operators near this place on either side."""
    return frozenset(map(plain, (*evidence.expected_around, *evidence.found_around, *evidence.consumers)))


def is_bias(role: str, *names: str) -> bool:
    """Return whether a constant is a bias, by its role or by a name."""
    return role in {"bias", "beta"} or (role in UNKNOWN and any(BIAS.search(name) for name in names))


def is_query_key(evidence: Evidence, *names: str) -> bool:
    """Return whether a weight makes queries or keys: by its name, or because a rotary embedding reads the result."""
    read = any(plain(one) == "rotaryembedding" for one in evidence.consumers)
    return read or any(QUERY_KEY.search(name) for name in (evidence.source, *names))


def is_vision_norm(evidence: Evidence, *names: str) -> bool:
    """Return whether a weight is of the norm behind MiniGPT-4's vision tower."""
    return any(VISION_NORM.search(name) for name in (evidence.source, *names))


def is_turning(value: Array) -> bool:
    """Return whether a matrix turns pairs by a quarter: each row has one 1 or -1, and its transpose is its negative."""
    if value.ndim != 2 or value.shape[0] != value.shape[1] or len(value) > 1024:
        return False
    return bool((np.abs(value).sum(1) == 1).all() and (value == -value.T).all())


def _of_number(evidence: Evidence, kind: str, value: float) -> str:
    if kind in ADDED | {"max", "maximum"} and 0 < abs(value) < LARGEST_EPSILON:
        return "epsilon" if ROOTS & around(evidence) else "number"
    return "mask" if not abs(value) < 0.99 * MASKING else "number"


def _hides(value: Array) -> bool:
    if not 0 < value.size <= 1 << 24:
        return False
    return bool(value.min() <= -MASKING) and bool(np.abs(value).min() <= MASKING)


def _is_vector(value: Array) -> bool:
    return bool(sum(size > 1 for size in value.shape) == 1)


def _is_table(value: Array) -> bool:
    """Return whether rows may be cosines and sines: none is beyond 1, and the first row is of 0 and 1."""
    first = value[0]
    whole = np.isin(np.abs(first), (0, 1)).all() and first.any()
    return bool(whole) and value.ndim == 2 and bool(float(np.abs(value).max()) <= 1)


def _at(names: tuple[str, ...], place: int) -> str:
    return names[place] if place < len(names) else ""
