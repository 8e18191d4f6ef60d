"""Pictures and videos inside of a request, as ``data:`` URLs. Nothing is fetched, and no file is read."""

import base64
import binascii
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lwmport.errors import UsageError, one_line
from lwmport.generation.video import frames_of
from lwmport.pipeline.serve.fields import text_of
from lwmport.pipeline.serve.limits import Limits
from lwmport.pipeline.serve.refused import RefusedError
from lwmport.wording import shown

if TYPE_CHECKING:
    from PIL import Image

IMAGE, VIDEO = "image_url", "video_url"

FORMATS: Final = ("BMP", "JPEG", "PNG", "WEBP")
"""Pictures that are read, in Pillow's names."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A picture or a video: the kind of its part, what the file holds, and where it stands in the request."""

    kind: str
    data: bytes
    param: str


def upload_of(part: dict[str, Any], kind: str, param: str) -> Upload:
    """Return what a part of a message holds."""
    value = part.get(kind)
    url = text_of(value.get("url") if isinstance(value, dict) else value, f"{param}.url")
    scheme = url[:60].partition(":")[0].casefold()
    if scheme != "data":
        raise RefusedError(
            f"expected a data: URL with the file inside as {param}.url, found {shown(url[:60])}; "
            "this server fetches nothing and reads no files",
            code="invalid_url",
            param=param,
        )
    head, comma, content = url.partition(",")
    if not comma or not head.casefold().endswith(";base64"):
        raise RefusedError(f"expected data:TYPE;base64,... as {param}.url, found {shown(head)}", param=param)
    try:
        data = base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise RefusedError(f"expected base64 in {param}.url, found: {one_line(error)}", param=param) from error
    if not data:
        raise RefusedError(f"expected a file in {param}.url, found 0 bytes", param=param)
    return Upload(kind=kind, data=data, param=param)


def frames_in(upload: Upload, limits: Limits, watch: Callable[[], None]) -> "list[Image.Image]":
    """Return the frames of an upload, RGB: one of a picture, at most ``limits.frames`` of a video.

    Raises:
        RefusedError: it is none, or larger than it may be.
    """
    try:
        if upload.kind == VIDEO:
            return frames_of(upload.data, limits.frames, pixels=limits.pixels, watch=watch)
        return [_picture(upload.data, limits.pixels)]
    except UsageError as error:
        raise RefusedError(f"{upload.param}: {error}", param=upload.param) from error


def _picture(data: bytes, most: int) -> "Image.Image":
    from PIL import Image

    try:
        with (
            warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
            Image.open(io.BytesIO(data), formats=FORMATS) as image,
        ):
            size = image.size
            found = image.convert("RGB") if size[0] * size[1] <= most else None
    except Exception as error:  # Pillow raises many types, struct.error and SyntaxError among them
        raise UsageError(f"expected a picture ({', '.join(FORMATS)}), found: {_without_address(error)}") from error
    if found is None:
        raise UsageError(f"expected a picture of at most {most:,} pixels, found {size[0]} x {size[1]}")
    return found


def _without_address(error: Exception) -> str:
    """Return what Pillow says; of a file that it does not know it would name an object in memory."""
    from PIL import UnidentifiedImageError

    return "another kind of file" if isinstance(error, UnidentifiedImageError) else one_line(error)
