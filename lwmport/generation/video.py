"""Videos, by PyAV: which frames of a file a model sees, and frames written as a file."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lwmport.errors import PortError, UsageError, one_line
from lwmport.extras import require
from lwmport.types import Array

if TYPE_CHECKING:
    from PIL import Image

MOST_PIXELS: Final = 33_177_600
"""Pixels of a frame: 8K."""

MOST_FRAMES: Final = 1_000_000
"""Frames of a file: nine hours."""


def frames_of(path: Path, most: int) -> "list[Image.Image]":
    """Return the frames of a video, RGB: all of them, or ``most`` of them at equal distances, first and last included.

    The places are ``linspace(0, frames - 1, most)`` without their fractions, as in LWM's lwm/vision_chat.py. The file
    is read twice, and no more than these frames are held.

    Raises:
        UsageError: there is no video at ``path``, or it is larger than it may be.
        MissingExtraError: PyAV is not installed.
    """
    if most < 1:
        raise UsageError(f"expected at least 1 frame, found {most}")
    total = sum(1 for _ in _decoded(path))
    if not total:
        raise UsageError(f"expected a video at {path}, found no frame in it")
    places = set(np.linspace(0, total - 1, min(most, total), dtype=int).tolist())
    return [frame.to_image().convert("RGB") for place, frame in zip(count(), _decoded(path)) if place in places]


def write_video(path: Path, frames: Array, rate: int) -> None:
    """Write frames uint8 [n, height, width, 3] as MPEG-4 (H.264) of ``rate`` frames a second.

    Raises:
        PortError: the codec refuses them.
    """
    av = require("av")
    try:
        with av.open(str(path), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=rate, options={"crf": "18"})
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    except av.error.FFmpegError as error:
        raise PortError(f"expected a video to be written, found: {one_line(error)}") from error


def _decoded(path: Path) -> Iterator[Any]:
    av = require("av")
    try:
        with av.open(str(path), "r") as container:
            if not container.streams.video:
                raise UsageError(f"expected a video at {path}, found a file without pictures")
            for place, frame in enumerate(container.decode(video=0)):
                if frame.width * frame.height > MOST_PIXELS or place >= MOST_FRAMES:
                    raise UsageError(
                        f"expected at most {MOST_PIXELS:,} pixels a frame, {MOST_FRAMES:,} frames, in {path}"
                    )
                yield frame
    except av.error.FFmpegError as error:
        found = f"nothing at {path}" if not path.exists() else one_line(error)
        raise UsageError(f"expected a video at {path}, found: {found}") from error
