"""The kinds of tensors in a GGUF file: how many values a block of how many bytes holds.

Sources: ggml.h (numbers), ggml-common.h (blocks).
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class BlockKind:
    """One kind of blocks.

    Attributes:
        name: as ggml has it.
        number: in the header of a file.
        values: that a block holds.
        nbytes: of a block.
    """

    name: str
    number: int
    values: int
    nbytes: int

    def stored_bytes(self, count: int) -> int:
        """Return the bytes of ``count`` values, which fill whole blocks."""
        return count // self.values * self.nbytes


KINDS: Final = {
    kind.name: kind
    for kind in (
        BlockKind(name="Q4_0", number=2, values=32, nbytes=18),
        BlockKind(name="Q4_1", number=3, values=32, nbytes=20),
        BlockKind(name="Q5_0", number=6, values=32, nbytes=22),
        BlockKind(name="Q5_1", number=7, values=32, nbytes=24),
        BlockKind(name="Q8_0", number=8, values=32, nbytes=34),
        BlockKind(name="Q2_K", number=10, values=256, nbytes=84),
        BlockKind(name="Q3_K", number=11, values=256, nbytes=110),
        BlockKind(name="Q4_K", number=12, values=256, nbytes=144),
        BlockKind(name="Q5_K", number=13, values=256, nbytes=176),
        BlockKind(name="Q6_K", number=14, values=256, nbytes=210),
    )
}
"""Kinds that are read."""

FLOATS: Final = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""Kinds that are plain numbers -> their dtype."""
