"""Videos, by PyAV: which frames of a file a model sees, and frames written as a file."""

from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lwmport.errors import PortError, UsageError, one_line
from lwmport.extras import require
from lwmport.small_files import open_regular
from lwmport.types import Array

if TYPE_CHECKING:
    from PIL import Image

MOST_PIXELS: Final = 33_177_600
"""Pixels of a frame: 8K."""

MOST_FRAMES: Final = 1_000_000
"""Frames of a file: nine hours."""


ALONE: Final = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,gif",
    "protocol_whitelist": "none",
}
"""Options of FFmpeg for bytes of a stranger's: files that hold their frames. A playlist could name any file or host."""


PLAIN: Final = {**ALONE, "protocol_whitelist": "file"}
"""The same for a file that a user names, which may come from a stranger too."""

MARK: Final = "lwmport"
"""The comment in a video of ours."""


def frames_of(
    source: Path | bytes, most: int, *, pixels: int = MOST_PIXELS, watch: Callable[[], None] = lambda: None
) -> "list[Image.Image]":
    """Return the frames of a video, RGB: all of them, or ``most`` of them at equal distances, first and last included.

    The places are ``linspace(0, frames - 1, most)`` without their fractions, as in LWM's lwm/vision_chat.py. The video
    is read twice, and no more than these frames are held.

    Args:
        source: a file, or what one holds: bytes that refer to other files are refused.
        most: frames to return at most.
        pixels: of a frame at most.
        watch: is called before each frame; what it raises ends the work.

    Raises:
        UsageError: there is no video, or it is larger than it may be.
        MissingExtraError: PyAV is not installed.
    """
    if most < 1:
        raise UsageError(f"expected at least 1 frame, found {most}")
    total = sum(1 for _ in _decoded(source, pixels, watch))
    if not total:
        raise UsageError(f"expected a video {_place(source)}, found no frame in it")
    places = set(np.linspace(0, total - 1, min(most, total), dtype=int).tolist())
    frames = zip(count(), _decoded(source, pixels, watch))
    return [frame.to_image().convert("RGB") for place, frame in frames if place in places]


def is_marked(path: Path) -> bool:
    """Return whether a file is a video that `write_video` wrote."""
    av = require("av")
    try:
        with av.open(str(path), options=PLAIN) as container:
            return bool(container.metadata.get("comment") == MARK)
    except (av.error.FFmpegError, OSError):
        return False


def write_video(path: Path, frames: Array, rate: int) -> None:
    """Write frames uint8 [n, height, width, 3] as MPEG-4 (H.264) of ``rate`` frames a second.

    Raises:
        PortError: the codec refuses them.
    """
    av = require("av")
    try:
        with av.open(str(path), "w", format="mp4") as container:
            container.metadata["comment"] = MARK
            stream = container.add_stream("libx264", rate=rate, options={"crf": "18"})
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    except av.error.FFmpegError as error:
        raise PortError(f"expected a video to be written, found: {one_line(error)}") from error


def _decoded(source: Path | bytes, pixels: int, watch: Callable[[], None]) -> Iterator[Any]:
    av = require("av")
    options = PLAIN if isinstance(source, Path) else ALONE
    try:
        file = str(_regular(source)) if isinstance(source, Path) else BytesIO(source)
        with av.open(file, "r", options=options) as container:
            if not container.streams.video:
                raise UsageError(f"expected a video {_place(source)}, found a file without pictures")
            _check_size(container.streams.video[0], pixels, source)
            for place, frame in enumerate(container.decode(video=0)):
                watch()
                _check_size(frame, pixels, source)
                if place >= MOST_FRAMES:
                    raise UsageError(f"expected at most {MOST_FRAMES:,} frames {_place(source)}, found more")
                yield frame
    except av.error.FFmpegError as error:
        absent = isinstance(source, Path) and not source.exists()
        found = "no such file" if absent else error.strerror or one_line(error)
        raise UsageError(f"expected a video {_place(source)}, found: {found}") from error


def _regular(path: Path) -> Path:
    """Return the path of a regular file: FFmpeg waits for a pipe, and is not interrupted.

    Raises:
        UsageError: there is another thing at the path.
    """
    try:
        open_regular(path).close()
    except OSError as error:
        found = f"nothing at {path}" if not path.exists() else error.strerror
        raise UsageError(f"expected a video at {path}, found: {found}") from error
    return path


def _check_size(seen: Any, pixels: int, source: Path | bytes) -> None:
    """Return if a frame, or a stream of frames before the first is decoded, is no larger than it may be."""
    if seen.width * seen.height > pixels:
        raise UsageError(
            f"expected at most {pixels:,} pixels a frame {_place(source)}, found {seen.width} x {seen.height}"
        )


def _place(source: Path | bytes) -> str:
    return f"at {source}" if isinstance(source, Path) else f"in the {len(source):,} bytes that were sent"
