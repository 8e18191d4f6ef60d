"""Pictures and videos that an assembled model makes from a description."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from lwmport import atomic
from lwmport.errors import UsageError
from lwmport.generation.video import is_marked, write_video
from lwmport.pipeline.assemble.untouched import open_untouched
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_free, check_writable
from lwmport.pipeline.session import Session
from lwmport.pipeline.talk.decoding import Decoding
from lwmport.pipeline.talk.painter import Painter, Painting
from lwmport.pipeline.talk.pictures import Pictures
from lwmport.requests import by_fields
from lwmport.types import Array

IMAGES: Final = (".png", ".jpg", ".jpeg", ".webp")
VIDEOS: Final = (".mp4",)

SOFTWARE: Final = 0x0131
"""The tag of Exif for the program that wrote a picture."""

MARK: Final = "lwmport"
"""Its value: a picture of ours is replaced, any other is not."""


@dataclass(frozen=True, kw_only=True)
class PaintRequest(Painting):
    """A picture or a video to make, and the file for it.

    Attributes:
        model: a folder that ``assemble`` made, with pictures.
        out: the file: .png, .jpg, .jpeg or .webp for a picture, .mp4 for a video.
        runner: what runs the models; None for the usual one.
        threads: threads of the runtime; None for one a processor.

    Raises:
        UsageError: a field has another type, or a value that it cannot have.
    """

    model: Path
    out: Path
    runner: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse types and values that no picture has."""
        super().__post_init__()
        kinds = VIDEOS if self.frames > 1 else IMAGES
        if self.out.suffix.lower() not in kinds:
            what = f"a video of {self.frames} frames" if self.frames > 1 else "a picture"
            raise UsageError(f"expected a name that ends in {' or '.join(kinds)} for {what}, found {self.out}")


@dataclass(frozen=True, kw_only=True)
class Painted:
    """What was made.

    Attributes:
        out: the file.
        tokens: of all frames, int64 [frames, tokens of a frame].
        strange: how many of them were no code where a code belongs.
        seconds: of the language model.
        runner: the runtime of the language model.
    """

    out: Path
    tokens: Array
    strange: int
    seconds: float
    runner: str


@by_fields(PaintRequest)
def paint(request: PaintRequest, observer: Observer | None = None) -> Painted:
    """Return the picture or the video that a model makes from a description, and write it.

    Raises:
        ArtifactError: there is no assembled model in the folder.
        RunnerError: the runtime refuses the model.
        UsageError: the model makes no pictures.
    """
    observer = observer or Silent()
    package = open_untouched(request.model, observer)
    prompts = package.painting
    pictures = Pictures(package, request.runner)
    check_free(request.out, is_marked if request.frames > 1 else _is_ours)
    check_writable(request.out.parent)
    observer.phase(f"open {package.language}")
    started = time.perf_counter()
    with Decoding(pictures) as decoding:
        with Session(package.language, runner=request.runner, threads=request.threads) as session:
            painter = Painter(package, request, session, pictures, observer, decoding.add)
            tokens = painter.frames()
            runner = session.runner
        seconds = time.perf_counter() - started
        observer.phase("decode")
        pixels = decoding.pixels()
    with atomic.new_name(request.out) as path:
        if request.frames > 1:
            write_video(path, pixels, prompts.frames_a_second)
        else:
            Image.fromarray(pixels[0]).save(path, format=_format(request.out), exif=_exif())
    return Painted(out=request.out, tokens=tokens, strange=painter.strange(tokens), seconds=seconds, runner=runner)


def _format(path: Path) -> str:
    return {".jpg": "JPEG", ".jpeg": "JPEG"}.get(path.suffix.lower(), path.suffix[1:].upper())


def _exif() -> Image.Exif:
    found = Image.Exif()
    found[SOFTWARE] = MARK
    return found


def _is_ours(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return bool(image.getexif().get(SOFTWARE) == MARK)
    except Exception:  # noqa: BLE001 - Pillow raises many types
        return False
