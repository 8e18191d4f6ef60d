"""The rules that lower a program to plain TensorFlow operators: one table for primitives, one for composites."""

from typing import Final

from lwmport.converters.saved_model import cache, control, convolution, elementwise, integers, reductions, shapes
from lwmport.converters.saved_model.emitter import Rule
from lwmport.converters.saved_model.forms import FORMS
from lwmport.graphs.atoms import composite_name
from lwmport.graphs.program import Program
from lwmport.types import Dialect

PRIMITIVES: Final[dict[str, Rule]] = {
    **cache.RULES,
    **control.RULES,
    **convolution.RULES,
    **elementwise.RULES,
    **integers.RULES,
    **reductions.RULES,
    **shapes.RULES,
}


def native_rules(dialect: Dialect) -> dict[str, Rule]:
    """Return the rule of every composite that the dialect writes in a form of its own, which is its first."""
    return {composite: FORMS[names[0]] for composite, names in dialect.composites.items() if names}


def expanded(program: Program, dialect: Dialect) -> Program:
    """Return the program with every other composite decomposed."""
    rules = native_rules(dialect)
    return program.expand(lambda equation: composite_name(equation) in rules)
