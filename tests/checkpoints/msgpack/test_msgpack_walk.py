"""Every encoding of msgpack, held against the msgpack library."""

import os
from pathlib import Path

import msgpack
import pytest

from lwmport.checkpoints.cursor import opened
from lwmport.checkpoints.msgpack import walk as msgpack_walk
from lwmport.checkpoints.msgpack.walk import Blob, Extension, Walker
from lwmport.checkpoints.writers import msgpack as msgpack_writer
from lwmport.errors import CheckpointError

SIZES = [0, 1, 2, 4, 8, 15, 16, 17, 31, 32, 255, 256, 65_535, 65_536]
VALUES = [
    *(0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**64 - 1),
    *(-1, -32, -33, -128, -129, -32_768, -32_769, -(2**31), -(2**31) - 1, -(2**63)),
    *(None, True, False, 1.5, -2.25e300, "", "é" * 500, [], {}, {"a": [1, {"b": "c"}]}),
    *(["x"] * size for size in (15, 16, 65_536)),
    *({str(i): i for i in range(size)} for size in (15, 16, 65_536)),
    *("a" * size for size in SIZES if size <= 1024),
]


def walked(path: Path, content: bytes, **limits: int) -> tuple[object, int]:
    path.write_bytes(content)
    with opened(path) as cursor:
        value = Walker(cursor, **limits).value()
        return value, cursor.left


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:12])
def test_values(value: object, tmp_path: Path) -> None:
    assert walked(tmp_path / "it", msgpack.packb(value) + b"..") == (value, 2)
    if isinstance(value, float):
        assert walked(tmp_path / "it", msgpack.packb(1.5, use_single_float=True)) == (1.5, 0)


@pytest.mark.parametrize("size", SIZES)
def test_payloads_are_stepped_over(size: int, tmp_path: Path) -> None:
    content = msgpack.packb(os.urandom(size))
    assert walked(tmp_path / "it", content) == (Blob(len(content) - size, size), 0)
    content = msgpack.packb(msgpack.ExtType(5, os.urandom(size)))
    assert walked(tmp_path / "it", content) == (Extension(5, len(content) - size, size), 0)


def test_codes_of_extensions_may_be_negative(tmp_path: Path) -> None:
    assert walked(tmp_path / "it", msgpack.packb(msgpack.Timestamp(1, 0))) == (Extension(-1, 2, 4), 0)


@pytest.mark.parametrize("count", [0, 15, 16, 65_535, 65_536, 2**32 - 1])
def test_headers_are_those_of_the_library(count: int) -> None:
    assert msgpack_writer.map_header(count) == msgpack.Packer().pack_map_header(count)


@pytest.mark.parametrize("size", SIZES)
def test_headers_of_payloads_are_those_of_the_library(size: int) -> None:
    assert msgpack_writer.blob_header(size) + bytes(size) == msgpack.packb(bytes(size))
    assert msgpack_writer.extension_header(5, size) + bytes(size) == msgpack.packb(msgpack.ExtType(5, bytes(size)))


def test_every_type_code_is_known_or_refused(tmp_path: Path) -> None:
    refused = []
    for code in range(256):
        try:
            walked(tmp_path / "it", bytes([code]) + bytes(64))
        except CheckpointError:
            refused.append(code)
    # A map of two or more zeros has the same key twice.
    assert refused == [*range(0x82, 0x90), 0xC1]


def test_too_many_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="too many msgpack objects"):
        walked(tmp_path / "it", b"\xdc\xff\xff" + bytes(70_000), objects=1000)
    assert msgpack_walk.MAX_OBJECTS <= 1_000_000
