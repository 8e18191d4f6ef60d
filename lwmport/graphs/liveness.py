"""How much memory the values inside a program take at most, while it runs equation by equation.

A value lives from the equation that makes it to the last one that reads it. What only looks at numbers in another shape
takes nothing, and an elementwise equation writes over an operand that nobody reads again, as the planners of runtimes
do. Weights, what is computed from them alone, and what is kept from run to run are counted elsewhere.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, Final

import numpy as np

from lwmport.graphs.atoms import composite_name, is_literal
from lwmport.graphs.program import Program
from lwmport.graphs.symbols import number_of

VIEWS: Final = frozenset(
    {"bitcast_convert_type", "broadcast_in_dim", "expand_dims", "reshape", "squeeze", "stop_gradient"}
)
"""Primitives whose result is their operand, seen in another shape."""

ELEMENTWISE: Final = frozenset(
    {
        *(
            "abs",
            "add",
            "and",
            "ceil",
            "clamp",
            "convert_element_type",
            "cos",
            "div",
            "eq",
            "erf",
            "exp",
            "floor",
            "ge",
        ),
        *("gt", "integer_pow", "le", "log", "logistic", "lt", "max", "min", "mul", "ne", "neg", "not", "or", "pow"),
        *("rem", "round", "rsqrt", "select_n", "sign", "sin", "sqrt", "square", "sub", "tanh"),
        *("lwmport.gelu", "lwmport.silu", "lwmport.softmax"),
    }
)
"""Primitives and composites that may write over an operand of the same bytes."""

LOOPS: Final = frozenset({"cond", "scan", "while"})

Extra = Callable[[Any, Mapping[str, int]], int]
"""Returns the bytes that a runtime needs beside the operands and results of an equation."""


def _nothing(_equation: Any, _sizes: Mapping[str, int]) -> int:
    return 0


@dataclass(frozen=True, kw_only=True)
class Peak:
    """The most bytes of values at one time, and the name of the equation that then runs."""

    bytes: int
    where: str


def peak_of(program: Program, sizes: Mapping[str, int], whole: Collection[str] = (), beside: Extra = _nothing) -> Peak:
    """Return the most memory that the values of a program take, for numbers in place of its dynamic sizes.

    Args:
        program: may have dynamic sizes.
        sizes: each of their names -> the number.
        whole: the composites that a runtime computes by one operator; of any other the values inside count.
        beside: what a runtime needs besides for an equation.

    Returns:
        The peak. Inputs and outputs count, but for those that are kept from one run to the next.
    """
    kept = {name for state in program.signature.states for name in (state.input, state.output)}
    pairs = (
        *zip(program.signature.inputs, program.input_vars, strict=True),
        *zip(program.signature.outputs, program.jaxpr.outvars, strict=True),
    )
    apart = {variable for spec, variable in pairs if spec.name in kept and not is_literal(variable)}
    apart |= {variable for variable in program.jaxpr.invars if variable in program.known}
    apart |= {out for eqn in program.jaxpr.eqns for out in eqn.outvars if out in program.known}
    fed = [variable for variable in program.input_vars if variable not in apart]
    return _Walk(sizes=sizes, whole=frozenset(whole), beside=beside).peak(program.jaxpr, fed, apart)


@dataclass(kw_only=True)
class _Walk:
    """One measurement; the numbers of sizes are looked up once."""

    sizes: Mapping[str, int]
    whole: frozenset[str]
    beside: Extra
    _numbers: dict[Any, int] = field(default_factory=dict)

    def peak(self, jaxpr: Any, fed: Iterable[Any], apart: Collection[Any]) -> Peak:
        """Return the peak of a jaxpr whose inputs ``fed`` count, and nothing that is ``apart``."""
        owner, last = _owners(jaxpr), _last_uses(jaxpr)
        ends: dict[Any, int] = {}
        for variable, place in last.items():
            ends[owner[variable]] = max(ends.get(owner[variable], -1), place)
        live = {owner[variable]: self.bytes(variable) for variable in fed}
        most = Peak(bytes=sum(live.values()), where="inputs")
        for place, equation in enumerate(jaxpr.eqns):
            inner = self._inside(equation) + self.beside(equation, self.sizes)
            made = {owner[out]: self.bytes(out) for out in equation.outvars if out not in apart}
            made = {root: count for root, count in made.items() if root not in live and root not in apart}
            free = [live[root] for root in _roots(equation, owner) if root in live and ends[root] <= place]
            reused = _reused(_name(equation), sum(made.values()), free)
            live.update(made)
            now = sum(live.values()) - reused + inner
            if now > most.bytes:
                most = Peak(bytes=now, where=_name(equation))
            live = {root: count for root, count in live.items() if ends.get(root, -1) > place}
        return most

    def bytes(self, variable: Any) -> int:
        """Return the bytes of a value."""
        return prod(map(self._number, variable.aval.shape)) * int(np.dtype(variable.aval.dtype).itemsize)

    def _number(self, dim: Any) -> int:
        if isinstance(dim, int):
            return dim
        if dim not in self._numbers:
            self._numbers[dim] = max(0, number_of(dim, self.sizes))
        return self._numbers[dim]

    def _inside(self, equation: Any) -> int:
        """Return the peak of what is inside a loop, or a composite that no operator computes."""
        name = composite_name(equation)
        if (name is None and equation.primitive.name not in LOOPS) or name in self.whole:
            return 0
        bodies = [getattr(item, "jaxpr", item) for value in equation.params.values() for item in _listed(value)]
        return max((self._body(body) for body in bodies if hasattr(body, "eqns")), default=0)

    def _body(self, jaxpr: Any) -> int:
        """Return the peak inside, without what the outer program counts: the operands, and results at the end."""
        results = {variable for variable in jaxpr.outvars if not is_literal(variable)}
        return self.peak(jaxpr, (), {*jaxpr.invars, *jaxpr.constvars, *results}).bytes


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, tuple | list) else (value,)


def _name(equation: Any) -> str:
    return composite_name(equation) or str(equation.primitive.name)


def _owners(jaxpr: Any) -> dict[Any, Any]:
    """Return each variable -> the one in whose memory it lies."""
    found = {variable: variable for variable in (*jaxpr.invars, *jaxpr.constvars)}
    for equation in jaxpr.eqns:
        source = equation.invars[0] if equation.primitive.name in VIEWS else None
        for variable in equation.outvars:
            found[variable] = variable if source is None or is_literal(source) else found[source]
    return found


def _last_uses(jaxpr: Any) -> dict[Any, int]:
    """Return each variable -> the number of the last equation that reads it; an output is read behind all."""
    found: dict[Any, int] = {}
    for place, equation in enumerate(jaxpr.eqns):
        found.update({atom: place for atom in equation.invars if not is_literal(atom)})
    found.update({atom: len(jaxpr.eqns) for atom in jaxpr.outvars if not is_literal(atom)})
    return found


def _roots(equation: Any, owner: Mapping[Any, Any]) -> set[Any]:
    return {owner[atom] for atom in equation.invars if not is_literal(atom)}


def _reused(name: str, made: int, free: list[int]) -> int:
    """Return the bytes of a result that take the place of an operand which is not read again."""
    return made if name in ELEMENTWISE and made and any(count >= made for count in free) else 0
