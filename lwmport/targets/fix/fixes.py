"""What the passes have to know of a target, and the passes that it has of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from lwmport.targets.fix.draft import Draft
from lwmport.targets.rules.numbers import MASK

Pass: TypeAlias = Callable[[Draft], None]
Refuses: TypeAlias = Callable[[str, int], bool]
"""Whether a target refuses an operator of the default domain at the opset that the model will have."""

Opset: TypeAlias = Callable[[int, tuple[int, ...]], int]
"""The opset that a model is to have, of the one that it has and the version of the vendor's tools, empty if unknown."""


def brought_down(*, newest: int, to: int) -> Opset:
    """Return what brings a model that is newer than ``newest`` down to the opset ``to``, and leaves any other."""
    return lambda opset, _toolkit: opset if opset <= newest else to


@dataclass(frozen=True, kw_only=True)
class Fixes:
    """How models are mended for one target.

    Attributes:
        opset: the opset that a model is to have.
        refuses: which operators are written as what ONNX defines them by.
        is_narrow: whether the compiler computes in float16 or int8 when it is asked for a precision: then masks and
            infinities are written as numbers that these hold.
        mask: the number that is written in place of a larger mask.
        float64: whether the target has float64; where it has not, such constants become float32.
        spellings: passes of its own on how nodes are written, before the opset is brought down.
        numbers: passes of its own on dtypes, after it.
    """

    opset: Opset = lambda opset, _toolkit: opset
    refuses: Refuses = lambda _operator, _opset: False
    is_narrow: Callable[[str], bool] = lambda _precision: False
    mask: float = MASK
    float64: bool = True
    spellings: tuple[Pass, ...] = ()
    numbers: tuple[Pass, ...] = ()


NOTHING_OF_ITS_OWN: Final = Fixes()
"""What is mended for every target."""
