"""What is asked of a comparison of pictures."""

from dataclasses import dataclass
from pathlib import Path

from lwmport.errors import UsageError
from lwmport.requests import check_types


@dataclass(frozen=True, kw_only=True)
class LikenessRequest:
    """Which pictures to compare.

    Attributes:
        a: a folder, usually of the device that is trusted.
        b: another one. A picture is that of the same path, whatever its kind of file.
        out: the folder of the page and the record; None for none.
        judge: the folder of a CLIP model, as transformers or open_clip write it; None for no score.
        texts: a file of what the pictures were made from, ``{picture: text}``; a judge needs it.

    Raises:
        UsageError: a field has another type, or a judge without texts.
    """

    a: Path
    b: Path
    out: Path | None = None
    judge: Path | None = None
    texts: Path | None = None

    def __post_init__(self) -> None:
        """Refuse types and values that no comparison has."""
        check_types(self)
        if (self.judge is None) != (self.texts is None):
            missing = "texts (--texts)" if self.texts is None else "a judge (--judge)"
            raise UsageError(f"expected both a judge and texts for a CLIP score, found no {missing}")
