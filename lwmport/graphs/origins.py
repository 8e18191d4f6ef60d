"""Where the values of a program come from: the module and the operation, the weights and the values that it takes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from lwmport.graphs.atoms import is_literal
from lwmport.models.module_paths import module_paths


class Origin(NamedTuple):
    """Where one value comes from.

    ``number`` counts values: inputs of the program that are no weights first. ``label`` is the path of its module and
    the name of the operation. ``weights`` are those that the operation takes, as they are or laid out or computed by
    themselves; ``operands`` the numbers of the other values that it takes. ``alone`` tells that it is made of weights
    and of nothing else, ``literals`` are the numbers written in the operation.
    """

    number: int
    label: str
    weights: tuple[str, ...] = ()
    operands: tuple[int, ...] = ()
    alone: bool = False
    literals: tuple[float, ...] = ()


def origins(closed: Any, weights: Sequence[str], inputs: Sequence[str]) -> dict[Any, Origin]:
    """Return variable -> where it comes from, of a ``ClosedJaxpr`` that takes these weights, then these inputs."""
    jaxpr = closed.jaxpr
    made_of: dict[Any, tuple[str, ...]] = {
        variable: (name,) for variable, name in zip(jaxpr.invars, weights, strict=False)
    }
    found = {
        variable: Origin(number, name)
        for number, (variable, name) in enumerate(zip(jaxpr.invars[len(weights) :], inputs, strict=True))
    }
    paths = module_paths(jaxpr.eqns, weights)
    for equation in jaxpr.eqns:
        label = "/".join([*paths[id(equation)], equation.primitive.name])
        read = [atom for atom in equation.invars if not is_literal(atom)]
        held = tuple(dict.fromkeys(name for atom in read for name in made_of.get(atom, ())))
        operands = tuple(found[atom].number for atom in read if atom in found and atom not in made_of)
        literals = tuple(float(atom.val) for atom in equation.invars if is_literal(atom) and atom.aval.shape == ())
        for variable in equation.outvars:
            alone = bool(held) and not operands
            if alone:
                made_of[variable] = held
            found[variable] = Origin(len(found), label, held, operands, alone, literals)
    return found
