"""How much a request may ask for."""

from dataclasses import dataclass, fields

from lwmport.errors import UsageError
from lwmport.requests import check_types


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is refused beyond, each in one line.

    Attributes:
        queue: requests that wait behind the one that runs.
        seconds: of work on one request, without what it waits.
        upload: bytes of a request.
        pixels: of a picture, or of a frame of a video.
        frames: of all pictures and videos of a request. Of a video so many are taken, at equal distances.
        tokens: of an answer.

    Raises:
        UsageError: a field has another type, or is below 1; the queue may be 0.
    """

    queue: int = 16
    seconds: int = 600
    upload: int = 32 << 20
    pixels: int = 50_000_000
    frames: int = 8
    tokens: int = 1024

    def __post_init__(self) -> None:
        """Refuse types and values that bound nothing."""
        check_types(self)
        for field in fields(self):
            least = 0 if field.name == "queue" else 1
            if getattr(self, field.name) < least:
                raise UsageError(f"expected {field.name} of at least {least}, found {getattr(self, field.name)}")
