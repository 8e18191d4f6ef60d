"""The chips of MIGraphX: architectures as rocminfo and DTK name them."""

from typing import Final

from lwmport.targets.chip import GIB, family_of

CHIPS: Final = {
    **family_of("gfx906", "Z100", 32 * GIB, bfloat16=False),
    **family_of("gfx926", "K100", bfloat16=False),
    **family_of("gfx928", "K100_AI", 64 * GIB),
    **family_of("gfx936", "BW1000", 64 * GIB),
    **family_of("gfx908 gfx90a gfx942 gfx1030 gfx1100 gfx1201", "AMD"),
}
"""Name -> chip: Hygon's first, then AMD's."""
