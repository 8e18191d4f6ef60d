"""What is asked of a validation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport.options import DTYPES
from lwmport.pipeline.names import settle
from lwmport.registry import check_known, meant
from lwmport.requests import check_samples, check_types

JAX = "jax"

INTEGERS: Final = "int8"
NARROW: Final = ("float16", "bfloat16", INTEGERS)
"""What ``--ranges`` takes."""


@dataclass(frozen=True, kw_only=True)
class ValidateRequest:
    """What to judge, against what, and where a report goes, if anywhere.

    ``runner`` is what runs the artifact (a key of `lwmport.runtime.registry.RUNNERS`, or another package's), by default
    the usual one of its suffix. ``device`` is the number of the card, for a runner that has several. ``inputs`` is a
    .npz, a .jsonl or a folder of pictures to run on (`lwmport.runtime.given_inputs`), by default our own; ``samples``
    is how many runs. ``adapter`` is the LoRA adapter that was merged into the checkpoint.
    ``ranges`` is a dtype, float16 or bfloat16, that the values inside the model are held against; one that failed in a
    narrow precision is held against that anyway. With int8 it is the integers of a quantised model that are looked at.
    """

    artifact: Path
    reference: str = JAX
    checkpoint: str | None = None
    out: Path | None = None
    runner: str | None = None
    device: int | None = None
    inputs: Path | None = None
    samples: int | None = None
    adapter: Path | None = None
    ranges: str | None = None

    def __post_init__(self) -> None:
        """Refuse types that no field has, and give everything that has a name its one name."""
        check_types(self)
        check_samples(self.samples)
        settle(self)
        if self.ranges is not None:
            self_ranges = meant("dtype for --ranges", self.ranges, NARROW, DTYPES)
            check_known("dtype for --ranges", self_ranges, NARROW, DTYPES)
            object.__setattr__(self, "ranges", self_ranges)
