"""Another operator on the same inputs: Sub for Add, tanh GELU for GELU, the operands exchanged."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.linear import LINEAR
from lwmport.diagnosis.formulas.pointwise import BINARY, COMMUTE, UNARY, tanh_erf
from lwmport.diagnosis.formulas.table import FORMULAS
from lwmport.diagnosis.reading import (
    given,
    is_constant,
    name_of,
    plain,
    setting,
    with_input,
    with_inputs,
    with_setting,
    with_type,
)
from lwmport.diagnosis.suspicion import Suspicion

ARITHMETIC: Final = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow")
FUNCTIONS: Final = (
    *("Sigmoid", "Tanh", "Relu", "Erf", "Exp", "Sqrt", "Rsqrt", "Reciprocal", "Square", "Abs", "Neg"),
    *("Identity", "Silu", "Floor", "Ceil", "Round", "Sin", "Cos"),
)
REDUCTIONS: Final = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin")
LIKE: Final = {"mean": "reducemean", "sum": "reducesum", "addv2": "add", "maximum": "max", "minimum": "min"}
"""What other formats call an operator -> its name here."""


def other_operators(evidence: Evidence) -> Iterator[Suspicion]:
    """Return suspicions of operators that are mistaken for this one."""
    side = evidence.expected
    if side is None:
        return
    kind = plain(side.type)
    families = {
        ARITHMETIC: kind in BINARY,
        FUNCTIONS: kind in UNARY,
        REDUCTIONS: kind in {"mean", "sum"} or kind.startswith("reduce"),
    }
    for family, belongs in families.items():
        for other in family if belongs else ():
            if plain(other) not in {kind, LIKE.get(kind, kind)}:
                yield _mistaken(side, other)
    yield from _gelu(side)


def other_operands(evidence: Evidence) -> Iterator[Suspicion]:
    """Return suspicions of operands that are exchanged, and of one that is read in another's place."""
    side = evidence.expected
    if side is None or plain(side.type) not in FORMULAS:
        return
    one, other = given(side, 0), given(side, 1)
    pairs = len(side.inputs) == 2 and (plain(side.type) in BINARY or plain(side.type) in LINEAR)
    if pairs and one is not None and other is not None and plain(side.type) not in COMMUTE:
        yield Suspicion(
            cause="swapped-inputs",
            says=f"{side.type} reads {name_of(side, 0)} and {name_of(side, 1)} in the other order.",
            change=with_inputs((other, one)),
        )
    if plain(side.type) in {"concat", "concatenation"} and len(side.inputs) > 1:
        yield Suspicion(
            cause="wrong-order",
            says=f"{side.type} reads its inputs in the reversed order.",
            change=with_inputs(side.inputs[::-1]),
        )
    yield from _read_twice(side)


def _read_twice(side: Side) -> Iterator[Suspicion]:
    for place, right in enumerate(side.inputs):
        for other, value in enumerate(side.inputs):
            if right is None or value is None or place == other or is_constant(side, place) or is_constant(side, other):
                continue
            if right.shape == value.shape and right.dtype.kind == value.dtype.kind == "f":
                yield Suspicion(
                    cause="wrong-wiring",
                    says=f"{side.type} reads {name_of(side, other)} where {name_of(side, place)} is right.",
                    change=with_input(place, value),
                )


def _mistaken(side: Side, other: str) -> Suspicion:
    says = f"{side.type} is computed as {other}."
    return Suspicion(cause="wrong-operator", says=says, change=with_type(other))


def _gelu(side: Side) -> Iterator[Suspicion]:
    kind, x = plain(side.type), given(side, 0)
    if kind == "erf" and x is not None:
        says = "The error function is computed by the tanh approximation of GELU."
        yield Suspicion(cause="tanh-gelu", says=says, predicted=partial(tanh_erf, x.astype(np.float64)))
    if kind != "gelu":
        return
    if setting(side, "approximate", default="none") in {"none", False}:
        says = "The tanh approximation is computed where the error function is right."
        yield Suspicion(cause="tanh-gelu", says=says, change=with_type("FastGelu"))
    else:
        says = "GELU is computed by the error function where the tanh approximation is right."
        yield Suspicion(cause="wrong-operator", says=says, change=with_setting("approximate", "none"))
    says = "GELU is computed as x sigmoid(1.702 x)."
    yield Suspicion(cause="wrong-operator", says=says, change=with_type("QuickGelu"))
