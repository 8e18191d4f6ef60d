"""What is known of a place where an error enters, gathered for the rules of the diagnosis."""

from collections.abc import Mapping

import numpy as np

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.pipeline.bisect.walk import Step, Walk, same_bytes
from lwmport.reports.bisection import Neighbour
from lwmport.runtime.pieces.spec import Operator, Pieces
from lwmport.types import Array


def evidence_of(walk: Walk, step: Step, sources: Mapping[str, str], rounding: float) -> Evidence:
    """Return what is known of a step at which an error enters."""
    operator, twin = walk.culprit(walk.file.operators[step.number])
    given = {walk.known(name): value for name, value in step.inputs.items()}
    source, resembles = _at_stake(walk, operator, twin, sources)
    return Evidence(
        format=walk.file.format,
        expected=None if twin is None else side_of(walk.reference, twin, given),
        found=side_of(walk.file, operator, step.inputs),
        reference=step.reference,
        observed=step.own,
        rounding=rounding,
        source=source,
        resembles=resembles,
        consumers=readers_of(walk.file, step.output),
        expected_around=() if twin is None else around(walk.reference, twin),
        found_around=around(walk.file, operator),
    )


def side_of(pieces: Pieces, operator: Operator, values: Mapping[str, Array]) -> Side:
    """Return an operator with the values that it reads."""
    held = tuple(name in pieces.constants for name in operator.inputs)
    both = zip(operator.inputs, held, strict=True)
    read = (pieces.constant(name) if constant else values.get(name) for name, constant in both)
    return Side(
        type=operator.type,
        attributes=operator.attributes,
        inputs=tuple(None if value is None or not value.size else value for value in read),
        names=operator.inputs,
        constant=held,
    )


def around(pieces: Pieces, operator: Operator) -> tuple[str, ...]:
    """Return the types of the operators in front, the operator's own, and those behind."""
    front = (item.type for item in pieces.operators if set(item.outputs) & set(filter(None, operator.inputs)))
    behind = (item.type for item in pieces.operators if set(item.inputs) & set(filter(None, operator.outputs)))
    return (*front, operator.type, *behind)


def neighbours_of(pieces: Pieces, operator: Operator, values: Mapping[str, Array]) -> tuple[Neighbour, ...]:
    """Return the operators in front, the operator, and those behind, with what is known of their outputs."""
    found = []
    for item in pieces.operators:
        front = set(item.outputs) & set(filter(None, operator.inputs))
        behind = set(item.inputs) & set(filter(None, operator.outputs))
        if item is operator or front or behind:
            value = next((values[name] for name in item.outputs if name in values), None)
            found.append(
                Neighbour(
                    node=item.name,
                    operator=item.type,
                    place=0 if item is operator else -1 if front else 1,
                    shape=() if value is None else value.shape,
                    dtype="" if value is None else value.dtype.name,
                )
            )
    return tuple(found)


def readers_of(pieces: Pieces, name: str) -> tuple[str, ...]:
    """Return the types of the operators that read a tensor."""
    return tuple(item.type for item in pieces.operators if name in item.inputs)


def _at_stake(
    walk: Walk, operator: Operator, twin: Operator | None, sources: Mapping[str, str]
) -> tuple[str, tuple[str, ...]]:
    """Return the weight that an operator should read and does not, and the weights that it reads instead."""
    for name, other in zip(operator.inputs, () if twin is None else twin.inputs, strict=False):
        held, known = name in walk.file.constants, other in walk.reference.constants
        if held and known and not walk.is_equal(name, other):
            return sources.get(other, other), _resembling(walk, name, other, sources)
    return "", ()


def _resembling(walk: Walk, name: str, other: str, sources: Mapping[str, str]) -> tuple[str, ...]:
    """Return the weights of the reference that a constant of the file equals, but for the one that it should be."""
    spec, value = walk.file.constants[name], walk.file.constant(name)
    found = []
    for item, known in walk.reference.constants.items():
        alike = item != other and (known.shape, known.dtype) == (spec.shape, spec.dtype) and value.size > 1
        if alike and same_bytes(np.asarray(value), walk.reference.constant(item)):
            found.append(sources.get(item, item))
    return tuple(found)
