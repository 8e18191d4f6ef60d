"""What the walks from a program to each format have in common: what is known already, and which rule is whose."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Generic, NamedTuple, TypeVar

from lwmport.checkpoints.stored_weights import packed_of, stored_of
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import composite_name, is_literal
from lwmport.graphs.program import Program
from lwmport.types import Array, Scheme, Weights

Own = TypeVar("Own")


class Quantised(NamedTuple):
    """A weight of integers: its name, its scheme, and whether an atom has its two axes the other way round."""

    name: str
    scheme: Scheme
    turned: bool

    @property
    def grouped(self) -> int:
        """The axis of the atom along which the groups of a matrix or of a table lie."""
        return int((self.scheme.channel == 0) != self.turned)


class Walk(Generic[Own]):
    """A program at work, its weights, and the rules of one format, which are called with its ``Own`` emitter."""

    def __init__(
        self,
        program: Program,
        weights: Weights,
        primitives: Mapping[str, Callable[[Own, Any], None]],
        composites: Mapping[str, Callable[[Own, Any], None]],
    ) -> None:
        self.program = program
        self.weights = weights
        self.packed = packed_of(weights)
        self.schemes = stored_of(weights)
        self._primitives = primitives
        self._composites = composites
        self._producers = {out: equation for equation in program.jaxpr.eqns for out in equation.outvars}

    def rule_for(self, equation: Any, reader: str, advice: str) -> Callable[[Own, Any], None]:
        """Return the rule of an equation.

        Raises:
            LoweringError: there is none; ``reader`` is what cannot express it, ``advice`` what to do.
        """
        name = composite_name(equation)
        rule = self._composites.get(name) if name else self._primitives.get(equation.primitive.name)
        if rule is None:
            place = "/".join(part for part in (self.program.component, path_of(equation)) if part)
            raise LoweringError(
                f"expected operations that {reader} can express, found {name or equation.primitive.name} in {place}; "
                f"{advice}"
            )
        return rule

    def is_known(self, atom: Any) -> bool:
        """Return whether an atom can be computed at conversion."""
        return atom in self.program.known

    def is_done(self, equation: Any) -> bool:
        """Return whether nothing is to be emitted for an equation: all that it computes is known."""
        return all(map(self.is_known, equation.outvars))

    def known_value(self, atom: Any) -> Array:
        """Return the value of a known atom now; for small ones whose value decides what is emitted."""
        return self.program.known.value(atom, self.weights)

    def packed_name(self, atom: Any) -> str:
        """Return the name of the weight that an atom is, in some order, if that is stored in another dtype; else ""."""
        name = self.program.known.rearranged(atom) if self.schemes else ""
        return name if name in self.schemes and not self.schemes[name].scales else ""

    def quantised(self, atom: Any) -> Quantised | None:
        """Return the weight of integers that an atom is, or that it is with its two axes turned; None for any other."""
        name = self.program.known.rearranged(atom) if self.schemes else ""
        if name not in self.schemes or not self.schemes[name].scales:
            return None
        turned = self.program.known.is_turned(atom)
        return None if turned is None else Quantised(name, self.schemes[name], turned)

    def scalar(self, atom: Any) -> float | None:
        """Return the value of a known atom with one element, and None for any other atom."""
        if not self.is_known(atom) or prod(atom.aval.shape) != 1 or self.program.known.root(atom):
            return None
        return float(self.known_value(atom).item())

    def scalar_and_other(self, equation: Any) -> tuple[float | None, Any]:
        """Return the constant scalar among two operands and the other operand, or None twice."""
        first, second = equation.invars
        for constant, other in ((first, second), (second, first)):
            number = self.scalar(constant)
            if number is not None:
                return number, other
        return None, None

    def producer(self, atom: Any) -> Any:
        """Return the equation that computes an atom, and None for literals and inputs."""
        return None if is_literal(atom) else self._producers.get(atom)

    def readers(self, variable: Any) -> list[Any]:
        """Return the equations that read a variable; None stands for an output."""
        return self.program.readers[variable]

    def sole_reader(self, variable: Any) -> Any:
        """Return the one equation that reads a variable, and None if there are more or the program returns it."""
        found = self.readers(variable)
        return found[0] if len(found) == 1 else None


def path_of(equation: Any) -> str:
    """Return the module path of an equation, which is the prefix of its weights: ``decoder/MidBlock_0/Conv_0``."""
    parts = str(equation.source_info.name_stack).split("/")
    return "/".join(part for part in parts if part and "." not in part)
