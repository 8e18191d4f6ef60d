"""Hostile zips are refused in one line, and nothing of them is unpacked; a changed header is told by its file."""

import io
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import lwmport

from lwmport.errors import ArtifactError
from lwmport.handoff import layout
from lwmport.handoff.opening import Archive
from lwmport.handoff.packing import pack

REGULAR = stat.S_IFREG | 0o644


def zipped(*files: tuple[str, bytes], mode: int = REGULAR, method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            info.external_attr = mode << 16
            info.compress_type = method
            archive.writestr(info, content)
    return file.getvalue()


def ours() -> bytes:
    file = io.BytesIO()
    pack(file, {"a.txt": b"alpha", "models/b": b"beta" * 9}, ("bundle.json", lambda _: b"{}"), lambda *_: None)
    return file.getvalue()


def patched(content: bytes, what: bytes, offset: int, value: bytes) -> bytes:
    """Return a zip with a field of the first record that begins with ``what`` changed."""
    place = content.index(what) + offset
    return content[:place] + value + content[place + len(value) :]


def overlapping() -> bytes:
    """Return a zip whose second file is told to begin where the first one does."""
    content = zipped(("a", b"1234"), ("b", b"1234"))
    second = content.index(layout.CENTRAL, content.index(layout.CENTRAL) + 4)
    return content[: second + 42] + struct.pack("<L", 0) + content[second + 46 :]


def many() -> bytes:
    """Return a zip that claims a million entries; none is needed to be believed."""
    content = zipped(("a", b"1"))
    end = layout.END64 + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, 10**6, 10**6, 47, 32)
    locator = layout.LOCATOR64 + struct.pack("<LQL", 0, 79, 1)
    last = layout.END + struct.pack("<HHHHLLH", 0, 0, 0xFFFF, 0xFFFF, layout.FULL, layout.FULL, 0)
    return content[:79] + end + locator + last


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "out of the folder": (lambda: zipped(("../x", b"1")), "leads out"),
    "out from below": (lambda: zipped(("models/../../x", b"1")), "leads out"),
    "absolute": (lambda: zipped(("/tmp/x", b"1")), "absolute"),  # noqa: S108 - a name, not a folder
    "drive": (lambda: zipped(("C:/x", b"1")), "drive"),
    "backslash": (lambda: zipped(("..\\x", b"1")), "backslash"),
    "device": (lambda: zipped(("models/NUL", b"1")), "device"),
    "link": (lambda: zipped(("a", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777), "link"),
    "pipe": (lambda: zipped(("a", b""), mode=stat.S_IFIFO | 0o777), "regular"),
    "folder": (lambda: zipped(("a/", b"")), "folder"),
    "twice": (lambda: zipped(("a", b"1"), ("a", b"2")), "twice"),
    "by case": (lambda: zipped(("a", b"1"), ("A", b"2")), "beside"),
    "file and folder": (lambda: zipped(("a", b"1"), ("a/b", b"2")), "inside of a file"),
    "bomb": (lambda: zipped(("a", bytes(1 << 22)), method=zipfile.ZIP_DEFLATED), "method 8"),
    "bomb by claim": (
        lambda: patched(zipped(("a", b"1")), layout.CENTRAL, 20, b"\xff\xff\xff\x7f" * 2),
        "inside the zip",
    ),
    "sizes that differ": (
        lambda: patched(zipped(("a", b"1")), layout.CENTRAL, 24, b"\xff\xff\xff\x7f"),
        "stored files",
    ),
    "encrypted": (lambda: patched(zipped(("a", b"1")), layout.CENTRAL, 8, b"\1\0"), "encrypted"),
    "overlap": (overlapping, "overlap"),
    "zipped again": (lambda: zipped(("models/a", b"1"), ("report/b", bytes(9000))), "zipped again"),
    "too many": (many, "at most"),
    "bytes before": (lambda: b"#!/bin/sh\n" + ours(), "right before the end"),
    "bytes behind": (lambda: ours() + b"x", "ends with its directory"),
    "a comment": (lambda: ours()[:-2] + b"\1\0x", "ends with its directory"),
    "cut": (lambda: ours()[:-30], "ends with its directory"),
    "empty": (lambda: b"", "an empty file"),
    "no zip": (lambda: b"hello, this is no zip at all", "ends with its directory"),
    "no ASCII": (lambda: zipped(("ü", b"1")), "ascii"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_zips_are_refused(name: str, tmp_path: Path) -> None:
    make, reason = HOSTILE[name]
    path = tmp_path / "x.zip"
    path.write_bytes(make())
    with pytest.raises(ArtifactError, match=reason) as refused:
        Archive(path)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == [path]


def test_the_command_refuses_them_with_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.zip"
    path.write_bytes(HOSTILE["out of the folder"][0]())
    done = lwmport("verify", path)
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_ours_is_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(ours())
    with Archive(path) as archive:
        assert archive.deviations == ()
        assert archive.read("a.txt", 5) == b"alpha"
        with pytest.raises(ArtifactError, match="at most 4 bytes"):
            archive.read("a.txt", 4)
        assert archive.unpack("models/b", tmp_path / "to").read_bytes() == b"beta" * 9


def test_every_changed_byte_of_a_header_is_found(tmp_path: Path) -> None:
    whole, path = ours(), tmp_path / "x.zip"
    path.write_bytes(whole)
    with Archive(path) as archive:
        inside = {place for entry in archive.entries.values() for place in range(entry.start, entry.end)}
    padding = range(whole.index(b"models/b") + 30, whole.index(b"beta") - 1)
    places = set(range(len(whole))) - inside - set(padding[:: len(padding) // 2 + 1])
    for place in sorted(places - set(padding[64:-64])):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            with Archive(path) as archive:
                assert archive.deviations, f"byte {place} may be changed"
        except ArtifactError:
            continue


@pytest.mark.parametrize(("record", "offset"), [(layout.LOCAL, 10), (layout.LOCAL, 14), (layout.CENTRAL, 12)])
def test_a_changed_header_is_told_by_its_file(record: bytes, offset: int, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(patched(ours(), record, offset, b"\x55"))
    with Archive(path) as archive:
        assert any(text.startswith("a.txt: ") for text in archive.deviations)
