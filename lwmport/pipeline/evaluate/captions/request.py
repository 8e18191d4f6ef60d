"""What is asked of a comparison of captions."""

from dataclasses import dataclass
from pathlib import Path

from lwmport.errors import UsageError
from lwmport.requests import check_types

FARTHEST = 2.0
"""What two cosines can be apart."""


@dataclass(frozen=True, kw_only=True)
class CaptionsRequest:
    """Which captions to compare, of which pictures, and who judges.

    Attributes:
        a: the file of answers of one device, usually the one that is trusted.
        b: that of the other.
        images: the folder of the pictures.
        judge: the folder of a CLIP model, as transformers or open_clip write it.
        out: the folder of the page and the record; None for none.
        margin: how much lower the mean cosine of ``b`` may be; None for no verdict.

    Raises:
        UsageError: a field has another type, or a value that it cannot have.
    """

    a: Path
    b: Path
    images: Path
    judge: Path
    out: Path | None = None
    margin: float | None = None

    def __post_init__(self) -> None:
        """Refuse types and values that no comparison has."""
        check_types(self)
        if self.margin is not None and not 0 <= self.margin <= FARTHEST:
            raise UsageError(f"expected a number from 0 to 2 as margin of CaptionsRequest, found {self.margin}")
