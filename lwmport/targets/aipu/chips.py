"""The chips of Zhouyi: values of ``target`` in the section GBuilder of Compass's configuration."""

from typing import Final

from lwmport.targets.chip import family_of

CHIPS: Final = {
    **family_of("Z1_0701", "Z1"),
    **family_of("Z2_0901 Z2_1104", "Z2"),
    **family_of("X1_1204", "X1"),
    **family_of("X2_1204 X2_1204MP3", "X2"),
    **family_of("X3_1304 X3_1304MP2", "X3"),
    **family_of("X3P_1204 X3P_1304 X3P_1304MP2 X3P_1304MP4", "X3P"),
    **family_of("X3S_1304 X3S_1304MP2 X3S_1304MP4", "X3S"),
}
"""Name -> chip. Source: Compass_Apache_TVM, Compass_NPU_Driver."""
