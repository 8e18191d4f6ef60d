"""What a file of TensorFlow says, without the values of its weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lwmport.types import Array

LARGE: Final = 1 << 14
"""Bytes of a constant that is left in its file until it is asked for; smaller ones can be shapes and axes."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a file says.

    Attributes:
        nodes: all that its outputs need, by name, each behind what it reads, with whole names of tensors.
        rest: the GraphDef without its nodes: functions and versions.
        inputs, outputs: public names -> tensors.
        constants: returns the value of a constant or of a variable, by the node that holds it.
        missing: constants whose value is not in ``nodes``.
    """

    nodes: Mapping[str, Any]
    rest: Any
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    constants: Callable[[str], Array]
    missing: frozenset[str]


def value_of(tf: Any, node: Any) -> Array:
    """Return the value of a Const node."""
    found: Array = tf.make_ndarray(node.attr["value"].tensor)
    return found
