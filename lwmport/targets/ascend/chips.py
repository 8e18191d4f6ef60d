"""The chips of Ascend: values of ATC's ``--soc_version``."""

from typing import Final

from lwmport.targets.chip import GIB, MIB, family_of

CHIPS: Final = {
    **family_of("Ascend310", "310", bfloat16=False),
    **family_of(
        "Ascend310P1 Ascend310P2 Ascend310P3 Ascend310P4 Ascend310P5 Ascend310P7",
        "310P",
        24 * GIB,
        bfloat16=False,
        usable=21527 * MIB,
    ),
    **family_of("Ascend310B1 Ascend310B2 Ascend310B3 Ascend310B4", "310B"),
    **family_of("Ascend910A Ascend910ProA Ascend910ProB Ascend910PremiumA Ascend910B", "910", 32 * GIB, bfloat16=False),
    **family_of("Ascend910B1 Ascend910B2 Ascend910B2C Ascend910B3 Ascend910B4-1", "910B", 64 * GIB),
    **family_of("Ascend910B4", "910B", 32 * GIB),
    **family_of(
        "Ascend910_9391 Ascend910_9392 Ascend910_9381 Ascend910_9382 Ascend910_9372 Ascend910_9362 Ascend910_9363",
        "A3",
        64 * GIB,
    ),
    **family_of("Ascend950PR_9579 Ascend950PR_9582 Ascend950PR_9589 Ascend950PR_9599 Ascend950DT_9582", "950"),
}
"""Name -> chip. Ascend910B is the old 910, not the A2 series. Sources: Ascend/pytorch NpuVariables.cpp, HAMi's device
tables; of 950, its kernels' and simulator's builds. The memory of 310B depends on the board. What programs can
have of a 310P is HAMi's figure for the 310P3."""

PART: Final = r"vir0[1248]"
"""What follows the name of a chip that is cut by virtualisation: ``Ascend310P3vir04``."""
