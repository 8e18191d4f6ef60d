"""Reading jaxprs without importing jax: atoms, shapes, composites, and who reads what."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lwmport.types import Dim


def is_literal(atom: Any) -> bool:
    """Return whether an atom of a jaxpr is a literal rather than a variable."""
    return hasattr(atom, "val")


def value_of(atom: Any, values: Mapping[Any, Any]) -> Any:
    """Return what ``values`` holds for a variable; a literal brings its own value, in the dtype of the program."""
    return np.asarray(atom.val, atom.aval.dtype) if is_literal(atom) else values[atom]


def is_random(equation: Any) -> bool:
    """Return whether an equation draws random numbers, which no conversion may freeze."""
    return "random" in equation.primitive.name or equation.primitive.name == "threefry2x32"


def is_size(equation: Any) -> bool:
    """Return whether an equation turns a dynamic size into a number, which is known only when the program runs."""
    return bool(equation.primitive.name == "dim_as_value")


def enlarges(equation: Any) -> bool:
    """Return whether an equation only repeats what it reads: as a constant it would be stored over and over."""
    if equation.primitive.name != "broadcast_in_dim":
        return False
    return bool(equation.outvars[0].aval.size != equation.invars[0].aval.size)


def has_static_results(equation: Any) -> bool:
    """Return whether all that an equation computes has a known size."""
    return all(isinstance(dim, int) for variable in equation.outvars for dim in variable.aval.shape)


def shape_of(atom: Any) -> tuple[Dim, ...]:
    """Return the shape of an atom; a dynamic size is its text (``"batch"``, ``"256*batch"``)."""
    return tuple(dim if isinstance(dim, int) else str(dim) for dim in atom.aval.shape)


def is_empty(atom: Any) -> bool:
    """Return whether an atom is known to have no elements."""
    return any(isinstance(dim, int) and dim == 0 for dim in atom.aval.shape)


def composite_name(equation: Any) -> str | None:
    """Return the name of a composite equation, and None for any other."""
    return equation.params["name"] if equation.primitive.name == "composite" else None


def composite_attributes(equation: Any) -> dict[str, Any]:
    """Return the attributes of a composite equation: numbers, texts, or tuples of them."""
    return {name: leaves[0] if len(leaves) == 1 else tuple(leaves) for name, leaves, _ in equation.params["attributes"]}


def walk(jaxpr: Any) -> Iterator[Any]:
    """Yield every equation, those inside composites included."""
    for equation in jaxpr.eqns:
        yield equation
        if composite_name(equation):
            yield from walk(equation.params["jaxpr"].jaxpr)


def readers(jaxpr: Any) -> dict[Any, list[Any]]:
    """Return, for each variable, the equations that read it, once a reading; an output of the program reads as None."""
    found: dict[Any, list[Any]] = defaultdict(list)
    for equation in jaxpr.eqns:
        for atom in equation.invars:
            if not is_literal(atom):
                found[atom].append(equation)
    for atom in jaxpr.outvars:
        if not is_literal(atom):
            found[atom].append(None)
    return found
