"""How models are mended for Compass."""

from typing import Final

from lwmport.targets.aipu import looks, operators
from lwmport.targets.fix import parser_workarounds
from lwmport.targets.fix.fixes import Fixes, brought_down
from lwmport.targets.rules.numbers import SMALL_MASK

FIXES: Final = Fixes(
    opset=brought_down(newest=23, to=18),
    refuses=lambda operator, _opset: operators.versions("", operator) is None or operator in looks.NO_FORM,
    is_narrow=lambda _precision: True,
    mask=SMALL_MASK,
    float64=False,
    spellings=(parser_workarounds.rows, parser_workarounds.pads),
)
