"""The zip as other readers see it: plain, page-aligned, the same bytes every time, larger than 4 GiB where need be."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lwmport.errors import ArtifactError, PortError
from lwmport.handoff.layout import Entry, central, local
from lwmport.handoff.opening import Archive
from lwmport.handoff.packing import pack

if TYPE_CHECKING:
    from lwmport.manifest import FileEntry

LARGE = (4 << 30) + 12345
FLAT = 96 << 20
"""Bytes of memory for a file of 4 GiB; Python and numpy take a third of it."""


def made(contents: dict[str, Any], last: bytes = b"{}") -> bytes:
    file = io.BytesIO()
    pack(file, contents, ("bundle.json", lambda _: last), lambda *_: None)
    return file.getvalue()


def test_other_readers_take_it(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"m" * 5000)
    path = tmp_path / "x.zip"
    path.write_bytes(made({"b.txt": b"two", "a.txt": b"", "models/m.onnx": tmp_path / "model"}))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a.txt", "b.txt", "models/m.onnx", "bundle.json"]
        assert archive.read("models/m.onnx") == b"m" * 5000
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in archive.infolist()} == {0o100644}


@pytest.mark.parametrize("length", [0, 1, 4000, 4096, 4097])
def test_models_begin_on_a_page(length: int, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(made({"before": b"x" * length, "models/a": b"1" * length, "models/b": b"2" * 10}))
    with Archive(path) as archive:
        assert {archive.entries[name].start % 4096 for name in ("models/a", "models/b")} == {0}
        assert archive.deviations == ()


def test_the_order_of_the_contents_changes_no_byte() -> None:
    assert made({"a": b"1", "b": b"2"}) == made({"b": b"2", "a": b"1"})


def test_the_last_file_is_made_of_the_digests_of_the_others() -> None:
    seen: list[tuple[FileEntry, ...]] = []
    files = pack(io.BytesIO(), {"a": b"abc"}, ("z", lambda found: seen.append(found) or b"!"), lambda *_: None)
    assert [file.name for file in files] == ["a", "z"]
    assert seen == [files[:1]]
    assert files[0].sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_that_grows_meanwhile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grows"
    path.write_bytes(b"x" * (3 << 20))

    def grow(*_: object) -> None:
        with path.open("ab") as file:
            file.write(b"more")

    with pytest.raises(PortError, match="it changed while it was packed"):
        pack(io.BytesIO(), {"a": path}, ("z", lambda _: b""), grow)


def test_a_name_that_no_system_holds_is_refused_before_a_byte_is_written() -> None:
    file = io.BytesIO()
    with pytest.raises(ArtifactError, match="leads out"):
        pack(file, {"../a": b""}, ("z", lambda _: b""), lambda *_: None)
    assert not file.getvalue()


def test_large_sizes_and_offsets_go_into_zip64_fields() -> None:
    small, large = (Entry(name="a", size=size, crc=0, offset=size) for size in (5, LARGE))
    assert len(local(large)) - len(local(small)) == 20
    assert len(central(large)) - len(central(small)) == 28
    alone = Entry(name="a", size=5, crc=0, offset=LARGE)
    assert len(central(alone)) - len(central(small)) == 12


SCRIPT = """
import io, sys, zipfile
from pathlib import Path
from types import SimpleNamespace
from lwmport import memory
from lwmport.handoff import packing
from lwmport.handoff.opening import Archive
from lwmport.handoff.packing import pack

# Digests of zeros would take most of the time, and other tests hold them.
packing.hashlib = SimpleNamespace(sha256=lambda: SimpleNamespace(update=len, hexdigest=lambda: "0" * 64))

class Sparse(io.FileIO):
    zeros = bytes(1 << 20)
    def write(self, piece):
        return super().write(piece) if piece != self.zeros[:len(piece)] else (self.seek(len(piece), 1), len(piece))[1]

source, target = map(Path, sys.argv[1:])
with Sparse(target, "w+") as file:
    pack(file, {"models/large": source, "a": b"a", "models/z": b"behind"}, ("z", lambda _: b"end"), lambda *_: None)
with Archive(target) as archive:
    assert archive.deviations == (), archive.deviations
    assert archive.entries["models/large"].size == source.stat().st_size
    assert archive.read("models/z", 10) == b"behind"
with zipfile.ZipFile(target) as archive:
    assert archive.read("models/z") == b"behind"
    assert archive.getinfo("models/large").file_size == source.stat().st_size
print(memory.peak_bytes())
"""


def test_more_than_4_gib_go_through_flat_memory(tmp_path: Path) -> None:
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(LARGE)
    words = [sys.executable, "-c", SCRIPT, str(source), str(tmp_path / "x.zip")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < FLAT
