"""The body of a request, read within bounds of bytes and seconds, and whether whoever sent it is still there."""

import asyncio
from typing import Final

from starlette.requests import Request

from lwmport.pipeline.serve.refused import RefusedError

SECONDS: Final = 60.0
"""For a whole body."""

DRAINED: Final = 8
"""How many times the bytes that are allowed are read and dropped: who still sends does not listen for an answer."""


async def read_body(request: Request, most: int) -> bytes:
    """Return the body of a request.

    Raises:
        RefusedError: it is larger than ``most`` bytes, or too slow.
    """
    declared = request.headers.get("content-length", "0")
    told = int(declared) if declared.isdecimal() else 0
    if told > most * DRAINED:
        raise _too_large(most)
    parts, count = list[bytes](), 0
    try:
        async with asyncio.timeout(SECONDS):
            async for part in request.stream():
                count += len(part)
                if max(count, told) <= most:
                    parts.append(part)
                else:
                    parts.clear()
                if count > most * DRAINED:
                    break
    except TimeoutError as error:
        raise RefusedError(f"expected a whole request within {SECONDS:g} seconds, found a part", status=408) from error
    if count > most:
        raise _too_large(most)
    return b"".join(parts)


def _too_large(most: int) -> RefusedError:
    return RefusedError(
        f"expected at most {most:,} bytes (--max-upload), found more", status=413, code="request_too_large"
    )


async def until_gone(request: Request) -> None:
    """Return when whoever sent a request, whose body was read, has left."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
