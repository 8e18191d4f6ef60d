"""How models are mended for Ascend."""

from typing import Final

from lwmport.targets.ascend import operators
from lwmport.targets.ascend.looks import OLD_CANN
from lwmport.targets.fix import numbers, parser_workarounds
from lwmport.targets.fix.fixes import Fixes, brought_down

OLD_OPSET: Final = 13
"""The newest that a CANN before `OLD_CANN` reads."""

_BROUGHT_DOWN: Final = brought_down(newest=18, to=17)


def opset_for(opset: int, toolkit: tuple[int, ...]) -> int:
    """Return the opset that a model is to have for a version of CANN, the newest one if that is not known."""
    return min(opset, OLD_OPSET) if toolkit and toolkit < OLD_CANN else _BROUGHT_DOWN(opset, toolkit)


def refuses(operator: str, opset: int) -> bool:
    """Return whether CANN has no parser for an operator at an opset."""
    found = operators.opsets("", operator)
    return found is None or not found[0] <= opset <= found[1]


FIXES: Final = Fixes(
    opset=opset_for,
    refuses=refuses,
    is_narrow=lambda precision: precision == "float16",
    float64=False,
    spellings=(parser_workarounds.resizes,),
    numbers=(numbers.arithmetic_in_int32, numbers.cast_indices),
)
