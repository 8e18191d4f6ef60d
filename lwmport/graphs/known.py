"""The part of a program that depends on weights and constants only, computed one variable at a time."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from lwmport.graphs.atoms import has_static_results, is_literal, is_random, is_size, value_of
from lwmport.graphs.evaluate import evaluate, rearrange
from lwmport.types import Array, Weights

LAYOUTS: Final = frozenset({"copy", "reshape", "squeeze", "transpose"})
"""Primitives that keep every element of a tensor and its value."""


class Known:
    """What can be computed at conversion. Nothing is kept, so that memory follows the largest single tensor."""

    def __init__(self, weights: Mapping[Any, str], constants: Mapping[Any, Any], jaxpr: Any) -> None:
        self._weights = weights
        self._constants = {variable: np.asarray(value) for variable, value in constants.items()}
        self._producers: dict[Any, Any] = {}
        for equation in jaxpr.eqns:
            if (
                all(atom in self for atom in equation.invars)
                and has_static_results(equation)
                and not is_random(equation)
                and not is_size(equation)
            ):
                self._producers.update(dict.fromkeys(equation.outvars, equation))

    def __contains__(self, atom: Any) -> bool:
        """Return whether an atom is a literal, a weight, a constant, or computed from those."""
        if is_literal(atom):
            return True
        return atom in self._weights or atom in self._constants or atom in self._producers

    def root(self, atom: Any) -> str | None:
        """Return the checkpoint name of the first weight that an atom is computed from, to name the result after."""
        if is_literal(atom):
            return None
        if atom in self._producers:
            names = (self.root(operand) for operand in self._producers[atom].invars)
            return next((name for name in names if name), None)
        return self._weights.get(atom)

    def rearranged(self, atom: Any) -> str:
        """Return the checkpoint name of the weight whose elements an atom has in some order; empty for any other."""
        if is_literal(atom):
            return ""
        if atom in self._producers:
            equation = self._producers[atom]
            return self.rearranged(equation.invars[0]) if equation.primitive.name in LAYOUTS else ""
        return self._weights.get(atom, "")

    def is_turned(self, atom: Any) -> bool | None:
        """Return whether a weight's two axes are exchanged in an atom; None for what is neither it nor just that."""
        if atom in self._weights:
            return False
        equation = self._producers.get(atom)
        if equation is None or equation.primitive.name not in {"copy", "transpose"}:
            return None
        before = self.is_turned(equation.invars[0])
        if before is None or equation.primitive.name == "copy":
            return before
        return not before if tuple(equation.params["permutation"]) == (1, 0) else None

    def packed(self, atom: Any, weights: Weights) -> Array:
        """Return an atom that `rearranged` names a weight for, in the dtype in which ``weights`` have that."""
        if atom in self._weights:
            return weights.read(self._weights[atom])
        equation = self._producers[atom]
        return rearrange(equation, self.packed(equation.invars[0], weights))

    def value(self, atom: Any, weights: Weights) -> Array:
        """Return the value of a known atom, in the program's dtype and shape."""
        if is_literal(atom) or atom in self._constants:
            constant: Array = value_of(atom, self._constants)
            return constant
        if atom in self._weights:
            return np.asarray(weights.read(self._weights[atom]), dtype=atom.aval.dtype)
        equation = self._producers[atom]
        operands = [self.value(operand, weights) for operand in equation.invars]
        position: int = equation.outvars.index(atom)
        return evaluate(equation, operands)[position]
