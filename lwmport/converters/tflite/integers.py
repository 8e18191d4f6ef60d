"""Bits of whole numbers: TFLite has no bitwise AND, and a shift by a constant is a division."""

from typing import Any, Final

import numpy as np

from lwmport.converters.tflite.elementwise import elementwise, logical
from lwmport.converters.tflite.emitter import Emitter, Rule
from lwmport.errors import LoweringError


def shift_right(e: Emitter, equation: Any) -> None:
    """Emit FLOOR_DIV by a power of two, which an arithmetic shift is.

    Raises:
        LoweringError: the shift is no constant.
    """
    (value, by), (out,) = equation.invars, equation.outvars
    bits = e.scalar(by)
    if bits is None:
        raise LoweringError("expected a shift by a constant, found one by a value (shift_right_arithmetic)")
    elementwise(e, "FLOOR_DIV", [e.thin(value), _number(e, 2 ** int(bits), out)], out)


def conjunction(e: Emitter, equation: Any) -> None:
    """Emit LOGICAL_AND for truth values, and FLOOR_MOD for the low bits of a whole number."""
    (first, second), (out,) = equation.invars, equation.outvars
    for value, mask in ((first, second), (second, first)):
        ones = None if str(out.aval.dtype) == "bool" else e.scalar(mask)
        if ones is not None and ones > 0 and not (int(ones) + 1) & int(ones):
            elementwise(e, "FLOOR_MOD", [e.thin(value), _number(e, int(ones) + 1, out)], out)
            return
    logical(e, equation)


def _number(e: Emitter, value: int, like: Any) -> Any:
    return e.graph.constant(np.asarray(value, like.aval.dtype))


RULES: Final[dict[str, Rule]] = {"and": conjunction, "shift_right_arithmetic": shift_right}
