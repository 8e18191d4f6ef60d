"""What weights take: in the dtypes that `lwmport convert` writes, and in 8 and 4 bits as bitsandbytes holds them.

A linear layer in 8 bits has a float32 scale for each output; in 4 bits a scale for each block of 64, of float32 or, in
``nf4-double``, of 8 bits with a float32 for each 256 of them. Tables, norms, biases, convolutions and the layer that
makes the logits stay in float16. Sources: Dettmers et al., arXiv:2208.07339 and arXiv:2305.14314; transformers'
``get_keys_to_not_convert``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from lwmport.graphs.atoms import is_literal
from lwmport.graphs.liveness import VIEWS
from lwmport.graphs.program import Program
from lwmport.pipeline.footprint.subject import Member
from lwmport.registry import Aliases
from lwmport.types import WeightSpec


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How a matrix is stored.

    Attributes:
        bits: of a value.
        block: values that share a scale; 0 for those of one output.
        scale: bytes of a scale.
        second: scales that share a second scale of float32; 0 for none.
    """

    bits: int
    block: int = 0
    scale: int = 4
    second: int = 0

    def nbytes(self, spec: WeightSpec) -> int:
        """Return the bytes of a matrix [in, out]: values and scales."""
        count = prod(spec.shape)
        scales = -(-count // self.block) if self.block else spec.shape[-1]
        seconds = 4 * -(-scales // self.second) if self.second else 0
        return -(-count * self.bits // 8) + scales * self.scale + seconds


PACKINGS: Final[Mapping[str, Packing]] = {
    "int8": Packing(bits=8),
    "nf4": Packing(bits=4, block=64),
    "nf4-double": Packing(bits=4, block=64, scale=1, second=256),
}
"""Precision of linear layers beside the dtypes -> how they are stored; all else is float16."""

DTYPES: Final = ("float32", "float16", "bfloat16")
PRECISIONS: Final = (*DTYPES, *PACKINGS)
WORDS: Final[Aliases] = {
    "8bit": ("int8",),
    "4bit": ("nf4-double",),
    "fp32": ("float32",),
    "fp16": ("float16",),
    "half": ("float16",),
    "bf16": ("bfloat16",),
}
"""Other words for precisions; LLaVA's ``--load-4bit`` asks for the double quantisation."""


def computed(precision: str) -> str:
    """Return the dtype that is computed in."""
    return "float16" if precision in PACKINGS else precision


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What the weights of one component take, in bytes.

    ``linear`` are those of matrices that a product reads, ``tables`` of those of which rows are picked, ``other`` the
    rest; ``parameters`` is their number, ``largest`` the bytes of the largest that is no table.
    """

    parameters: int
    largest: int
    linear: int
    tables: int
    other: int

    @property
    def bytes(self) -> int:
        """All of them."""
        return self.linear + self.tables + self.other


def stored(member: Member, program: Program, precision: str) -> Stored:
    """Return what the weights of a component take in a precision."""
    linear, tables = _linear(program), _tables(program)
    narrow = narrowed(member, program, precision)
    sizes, largest = {"linear": 0, "tables": 0, "other": 0}, 0
    for name, spec in member.component.weights.items():
        kind = "linear" if name in linear else "tables" if name in tables else "other"
        held = narrow[name].nbytes(spec) if name in narrow else spec.nbytes
        sizes[kind] += held
        largest = largest if kind == "tables" else max(largest, held)
    count = sum(prod(spec.shape) for spec in member.component.weights.values())
    return Stored(parameters=count, largest=largest, **sizes)


def narrowed(member: Member, program: Program, precision: str) -> dict[str, Packing]:
    """Return the weights of a component that are packed, and how."""
    if precision not in PACKINGS or not member.narrowed:
        return {}
    names = _linear(program) - _heads(program, member.logits) - member.component.kept
    return dict.fromkeys(names, PACKINGS[precision])


def root_of(program: Program, atom: Any) -> str:
    """Return the weight that an operand is, however it is turned; empty where it is none."""
    return "" if is_literal(atom) or atom not in program.known else program.known.root(atom) or ""


def _linear(program: Program) -> frozenset[str]:
    found = {
        root_of(program, atom)
        for equation in program.jaxpr.eqns
        if equation.primitive.name == "dot_general"
        for atom in equation.invars
    }
    return frozenset(found - {""})


def _tables(program: Program) -> frozenset[str]:
    """Return the weights that nothing but a gather reads."""
    variables = dict(zip(program.jaxpr.invars, program.weight_names, strict=False))
    readers = program.readers
    return frozenset(
        name
        for variable, name in variables.items()
        if readers[variable] and all(one and one.primitive.name == "gather" for one in readers[variable])
    )


def _heads(program: Program, logits: tuple[str, ...]) -> frozenset[str]:
    """Return the weights whose product is an output of logits."""
    makers = {out: equation for equation in program.jaxpr.eqns for out in equation.outvars}
    found = set()
    for spec, variable in zip(program.signature.outputs, program.jaxpr.outvars, strict=True):
        equation = makers.get(variable) if spec.name in logits and not is_literal(variable) else None
        while equation is not None and equation.primitive.name in (*VIEWS, "convert_element_type", "slice"):
            equation = makers.get(equation.invars[0])
        if equation is not None and equation.primitive.name == "dot_general":
            found |= {root_of(program, atom) for atom in equation.invars}
    return frozenset(found - {""})
