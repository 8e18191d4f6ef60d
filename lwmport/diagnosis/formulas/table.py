"""The formulas of all operators that have one, in one table."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Side
from lwmport.diagnosis.formulas.linear import LINEAR
from lwmport.diagnosis.formulas.moves import MOVES
from lwmport.diagnosis.formulas.norms import NORMS, REDUCED
from lwmport.diagnosis.formulas.pointwise import POINTWISE, UNARY
from lwmport.diagnosis.formulas.rotary import ROTARY
from lwmport.diagnosis.formulas.windows import WINDOWS
from lwmport.diagnosis.reading import as_float, plain, setting
from lwmport.types import Array

FORMULAS: Final[Mapping[str, Callable[..., Array]]] = MappingProxyType(
    {**POINTWISE, **LINEAR, **NORMS, **REDUCED, **WINDOWS, **MOVES, **ROTARY}
)
"""Type (`plain`) -> formula of the operator and of those of its inputs that are given."""

KEPT: Final = frozenset({*LINEAR, "gather", "gatherv2", "cast"})
"""Formulas that take their inputs as they are: kernels and tables may be large, a cast asks what it is given."""

FUSED: Final[Mapping[object, str]] = MappingProxyType({1: "relu", "RELU": "relu", 4: "tanh", "TANH": "tanh"})
"""Activations that TFLite fuses into an operator, by number and by name."""


def compute(side: Side) -> Array | None:
    """Return what an operator gives for its inputs, in float64, or None where that is not known.

    An operator that cannot be as it is asked to be (shapes that do not fit) gives nothing either.
    """
    formula = FORMULAS.get(plain(side.type))
    inputs = [one for one in side.inputs if one is not None]
    if formula is None or not inputs:
        return None
    try:
        found = formula(side, *(inputs if plain(side.type) in KEPT else map(as_float, inputs)))
        return _activated(side, as_float(np.asarray(found)))
    except (ValueError, IndexError, TypeError, KeyError, ZeroDivisionError, AssertionError, AttributeError):
        return None


def _activated(side: Side, found: Array) -> Array:
    fused = FUSED.get(setting(side, "fusedactivationfunction", default=0))
    return np.asarray(UNARY[fused](found)) if fused else found
