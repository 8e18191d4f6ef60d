"""The chips of each target: the names that its compiler takes, their family, memory and dtypes."""

from dataclasses import dataclass
from typing import Final

GIB: Final = 2**30


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A chip or a card. ``memory`` is in bytes, None where no source gives it; ``family`` groups what behaves alike."""

    name: str
    family: str
    memory: int | None = None
    bfloat16: bool = True


def _ascend(names: str, family: str, memory: int | None = None, *, bfloat16: bool = True) -> dict[str, Chip]:
    return {name: Chip(name=name, family=family, memory=memory, bfloat16=bfloat16) for name in names.split()}


ASCEND: Final = {
    **_ascend("Ascend310", "310", bfloat16=False),
    **_ascend(
        "Ascend310P1 Ascend310P2 Ascend310P3 Ascend310P4 Ascend310P5 Ascend310P7", "310P", 24 * GIB, bfloat16=False
    ),
    **_ascend("Ascend310B1 Ascend310B2 Ascend310B3 Ascend310B4", "310B"),
    **_ascend("Ascend910A Ascend910ProA Ascend910ProB Ascend910PremiumA Ascend910B", "910", 32 * GIB, bfloat16=False),
    **_ascend("Ascend910B1 Ascend910B2 Ascend910B2C Ascend910B3 Ascend910B4-1", "910B", 64 * GIB),
    **_ascend("Ascend910B4", "910B", 32 * GIB),
    **_ascend(
        "Ascend910_9391 Ascend910_9392 Ascend910_9381 Ascend910_9382 Ascend910_9372 Ascend910_9362 Ascend910_9363",
        "A3",
        64 * GIB,
    ),
    **_ascend("Ascend950PR_9579 Ascend950PR_9582 Ascend950PR_9589 Ascend950PR_9599 Ascend950DT_9582", "950"),
}
"""Values of ATC's --soc_version. Ascend910B is the old 910, not the A2 series. Sources: Ascend/pytorch
NpuVariables.cpp, HAMi's device tables; of 950, its kernels' and simulator's builds. The memory of 310B depends on the
board."""

AIPU: Final = {
    name: Chip(name=name, family=name.partition("_")[0])
    for name in [
        "Z1_0701",
        "Z2_0901",
        "Z2_1104",
        "X1_1204",
        "X2_1204",
        "X2_1204MP3",
        "X3_1304",
        "X3_1304MP2",
        "X3P_1204",
        "X3P_1304",
        "X3P_1304MP2",
        "X3P_1304MP4",
        "X3S_1304",
        "X3S_1304MP2",
        "X3S_1304MP4",
    ]
}
"""Values of [GBuilder] target. Source: Compass_Apache_TVM, Compass_NPU_Driver."""

MIGRAPHX: Final = {
    "gfx906": Chip(name="gfx906", family="Z100", memory=32 * GIB, bfloat16=False),
    "gfx926": Chip(name="gfx926", family="K100", bfloat16=False),
    "gfx928": Chip(name="gfx928", family="K100_AI", memory=64 * GIB),
    "gfx936": Chip(name="gfx936", family="BW1000", memory=64 * GIB),
    **{name: Chip(name=name, family="AMD") for name in ("gfx908", "gfx90a", "gfx942", "gfx1030", "gfx1100", "gfx1201")},
}
"""Architectures as rocminfo and DTK name them."""

CHIPS: Final = {"ascend": ASCEND, "aipu": AIPU, "migraphx": MIGRAPHX, "cpu": {}}
"""Target -> its chips by name."""
