"""How models are mended for MIGraphX."""

from typing import Final

from lwmport.targets.fix.fixes import Fixes, brought_down
from lwmport.targets.migraphx import operators

OTHER_MEANING: Final = ("Attention", "RotaryEmbedding")
"""Operators that MIGraphX takes for those of ONNX Runtime's own domain."""


def refuses(operator: str, opset: int) -> bool:
    """Return whether MIGraphX does not read an operator, or reads it as another one."""
    by_group = operator == "GroupNormalization" and opset < 21
    return operator in OTHER_MEANING or by_group or operators.dtypes(operator) is None


FIXES: Final = Fixes(opset=brought_down(newest=19, to=17), refuses=refuses)
