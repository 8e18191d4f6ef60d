"""How like two operators of a file are, and what of their inputs is a setting."""

from typing import Any, Final

import numpy as np

from lwmport.pipeline.bisect.by_values import ValueWalk
from lwmport.runtime.pieces.spec import Operator

ALIKE: Final = 6
"""`likeness` of two operators of one type between neighbours of the same types."""


def signature(walk: ValueWalk, operator: Operator) -> tuple[Any, ...]:
    """Return what makes an operator another one beside its inputs and weights: type, settings, small constants."""
    settings = tuple(sorted((name, repr(value)) for name, value in operator.attributes.items()))
    held = tuple(
        walk.file.constant(name).tobytes() if name in walk.file.constants and is_setting(walk, name) else b""
        for name in operator.inputs
    )
    return operator.type, settings, held


def likeness(walk: ValueWalk, number: int, other: int) -> int:
    """Return how like two operators are by their type and those of their neighbours; 0 for not at all."""
    one, two = walk.file.operators[number], walk.file.operators[other]
    if number == other or len(walk.data(one)) != len(walk.data(two)):
        return 0
    found = 3 * (one.type == two.type)
    found += 2 * bool(_consumers(walk, one) & _consumers(walk, two))
    return found + bool(_producers(walk, one) & _producers(walk, two))


def _consumers(walk: ValueWalk, operator: Operator) -> set[str]:
    numbers = [number for name in operator.outputs for number in walk.readers.get(name, ())]
    return {walk.file.operators[number].type for number in numbers}


def _producers(walk: ValueWalk, operator: Operator) -> set[str]:
    return {walk.file.operators[walk.makers[name]].type for name in operator.inputs if name in walk.makers}


def is_data(walk: ValueWalk, name: str) -> bool:
    """Return whether an input is computed, or given."""
    return bool(name) and name not in walk.file.constants


def is_setting(walk: ValueWalk, name: str) -> bool:
    """Return whether a constant is no weight: whole numbers, or a single one."""
    spec = walk.file.constants[name]
    return spec.dtype[0] in "biu" or int(np.prod([int(size) for size in spec.shape])) <= 1
