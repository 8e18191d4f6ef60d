"""What an equation of a program costs: floating-point operations and bytes, by the shapes of its operands and results.

A multiplication and an addition are two operations, any other function of a number is one, and moving numbers is none.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np

from lwmport.graphs.atoms import composite_name, is_literal

FREE: Final = frozenset(
    {
        *("bitcast_convert_type", "broadcast_in_dim", "concatenate", "convert_element_type", "copy", "dim_as_value"),
        *("dynamic_slice", "dynamic_update_slice", "expand_dims", "gather", "iota", "pad", "reshape", "rev", "scatter"),
        *("slice", "split", "squeeze", "stop_gradient", "transpose"),
    }
)
"""Primitives that move numbers and compute none."""


@dataclass(frozen=True, kw_only=True)
class EquationCost:
    """What one equation costs.

    ``flop`` counts what it is made of, ``main`` those of products of matrices and convolutions. ``inside`` counts the
    primitives that a composite or a loop is made of, once each as they are written. ``open_loops`` are loops whose
    number of rounds is not known: one round is counted.
    """

    flop: int
    main: int
    bytes: int
    inside: Mapping[str, int]
    open_loops: int = 0


def cost_of(equation: Any) -> EquationCost:
    """Return what an equation of static shapes costs."""
    flop, main, loops = _flop(equation)
    inner: Counter[str] = Counter(name_of(one) for one, _ in _inner(equation))
    return EquationCost(flop=flop, main=main, bytes=_bytes(equation), inside=inner, open_loops=loops)


def name_of(equation: Any) -> str:
    """Return what an equation is called: a composite by its own name."""
    return (composite_name(equation) or str(equation.primitive.name)).removeprefix("lwmport.")


def _inner(equation: Any) -> Iterator[tuple[Any, int]]:
    """Yield the equations inside an equation, at any depth, with how often each runs."""
    for jaxpr, times in _bodies(equation):
        for inner in jaxpr.eqns:
            yield inner, times
            for deeper, more in _inner(inner):
                yield deeper, times * more


def _bodies(equation: Any) -> Iterator[tuple[Any, int]]:
    """Yield the programs inside an equation, with how often each runs; a loop of unknown length runs once."""
    times = int(equation.params.get("length", 1)) if equation.primitive.name == "scan" else 1
    for value in equation.params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            jaxpr = getattr(item, "jaxpr", item)
            if hasattr(jaxpr, "eqns"):
                yield jaxpr, times


def _flop(equation: Any) -> tuple[int, int, int]:
    """Return the operations of an equation, those of its products, and its loops of unknown length."""
    bodies = list(_bodies(equation))
    if not bodies:
        own = _own(equation)
        main = own if equation.primitive.name in {"dot_general", "conv_general_dilated"} else 0
        return own, main, 0
    total, main, loops = 0, 0, int(equation.primitive.name == "while")
    for jaxpr, times in bodies:
        for inner in jaxpr.eqns:
            found = _flop(inner)
            total, main, loops = total + times * found[0], main + times * found[1], loops + found[2]
    return total, main, loops


def _own(equation: Any) -> int:
    name = equation.primitive.name
    made = sum(_elements(variable) for variable in equation.outvars)
    if name in FREE:
        return 0
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return 2 * made * prod(int(equation.invars[0].aval.shape[axis]) for axis in contracted)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        outputs = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
        return 2 * made * (prod(map(int, kernel)) // max(int(outputs), 1))
    if name.startswith(("reduce_", "arg", "cum")):
        return sum(_elements(atom) for atom in equation.invars)
    return made


PICKED: Final = frozenset({"dynamic_slice", "gather", "slice"})
"""Primitives that read as much of their first operand as they make."""


def _bytes(equation: Any) -> int:
    made = equation.outvars
    operands = (*made, *equation.invars[1:]) if equation.primitive.name in PICKED else equation.invars
    atoms = [atom for atom in operands if not is_literal(atom)]
    return sum(_elements(atom) * _width(atom) for atom in (*atoms, *made))


def _elements(atom: Any) -> int:
    return prod(int(size) for size in atom.aval.shape)


def _width(atom: Any) -> int:
    return int(np.dtype(atom.aval.dtype).itemsize)
