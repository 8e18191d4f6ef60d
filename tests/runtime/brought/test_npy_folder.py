"""A folder of arrays: names, runs, what is left aside, what is refused."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport.errors import ArtifactError
from lwmport.runtime.brought.read import matched, read_brought, values


def saved(path: Path, array: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)


def test_arrays_are_named_after_their_files_and_read_when_they_are_asked_for(tmp_path: Path) -> None:
    first = np.asfortranarray(np.arange(6, dtype=">f4").reshape(2, 3))
    saved(tmp_path / "decoder_Conv_0.npy", first)
    np.savez(tmp_path / "more.npz", **{"a/b:0": np.arange(3, dtype=np.int8)})
    np.savez_compressed(tmp_path / "packed.npz", c=np.float16(2.5))
    found = read_brought(tmp_path)
    assert found.kind == "npy folder"
    assert [(one.names, one.shape, one.dtype) for one in found.tensors] == [
        (("decoder_Conv_0",), (2, 3), "float32"),
        (("a/b:0",), (3,), "int8"),
        (("c",), (), "float16"),
    ]
    ours = matched(found, ["decoder/Conv:0", "a/b:0", "c"])
    assert np.array_equal(values(ours["decoder/Conv:0"], (2, 3), "float32"), first)
    assert values(ours["decoder/Conv:0"], (2, 3), "float32").dtype.isnative
    assert values(ours["a/b:0"], (1, 3), "int8").tolist() == [[0, 1, 2]]
    assert values(ours["c"], (), "float32") == 2.5
    (tmp_path / "decoder_Conv_0.npy").write_bytes(b"")
    with pytest.raises(ArtifactError, match="the file changed"):
        values(ours["decoder/Conv:0"], (2, 3), "float32")


def test_one_file_is_enough(tmp_path: Path) -> None:
    saved(tmp_path / "x.npy", np.ones(2))
    assert read_brought(tmp_path / "x.npy").tensors[0].names == ("x",)


def test_folders_of_runs_are_samples(tmp_path: Path) -> None:
    for folder in ("0", "sample_1", "run2", "net"):
        saved(tmp_path / folder / "x.npy", np.ones(2))
    found = [(one.names[0], one.sample) for one in read_brought(tmp_path).tensors]
    assert found == [("x", 0), ("net/x", 0), ("x", 2), ("x", 1)]


def test_what_holds_no_numbers_is_left_aside(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "run",))

    saved(tmp_path / "good.npy", np.ones(2))
    saved(tmp_path / "evil.npy", np.array([Evil()], dtype=object))
    saved(tmp_path / "text.npy", np.array(["a"]))
    np.savez(tmp_path / "both.npz", good=np.ones(1), evil=np.array([Evil()], dtype=object))
    (tmp_path / "notes.md").write_text("hello")
    (tmp_path / "link.npy").symlink_to(tmp_path / "good.npy")
    found = read_brought(tmp_path)
    assert [one.names[0] for one in found.tensors] == ["good", "good"]
    assert found.notes == (
        (
            "4 left aside: both.npz, evil.npy holds Python objects, which are never unpickled, "
            "evil.npy holds Python objects, which are never unpickled, "
            "notes.md is no .npy or .npz, text.npy holds <U1, no numbers"
        ),
        "links and what is no file are left aside: link.npy",
    )
    assert not (tmp_path / "run").exists()


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def promising(shape: tuple[int, ...]) -> bytes:
    """Return a .npy that promises more than it has."""
    front = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(front).to_bytes(2, "little") + front.encode() + bytes(16)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (npy(np.ones(8))[:-1], r"expected 64 bytes of float64\[8\], found 63; the file is cut: copy it again"),
        (npy(np.ones(8)) + b"0", "expected 64 bytes"),
        (promising((10_000_000_000,)), "expected 40,000,000,000 bytes"),
        (promising((-4,)), "expected tensors in outputs of npy folder, found none"),
        (promising((2**62, 2**62)), "found 16"),
        (b"", "expected a .npy file, found damage"),
        (pickle.dumps([1]), "expected a .npy file, found damage"),
        (b"\x93NUMPY\x09\x00", r"expected version 1 or 2 of .npy, found 9.0"),
    ],
)
def test_what_is_cut_costs_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(ArtifactError, match=reason) as caught:
        read_brought(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cut", [0, 3, 60, 200])
def test_a_cut_archive_costs_one_line(tmp_path: Path, cut: int) -> None:
    np.savez(tmp_path / "x.npz", a=np.ones(64))
    whole = (tmp_path / "x.npz").read_bytes()
    (tmp_path / "x.npz").write_bytes(whole[:cut])
    with pytest.raises(ArtifactError, match=r"x.npz: expected a .npz, found: .*; copy it again"):
        read_brought(tmp_path)


def test_an_archive_that_lies_costs_one_line(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("a.npy", promising((10_000_000_000,)))
    with pytest.raises(ArtifactError, match=r"x.npz, a.npy: expected 40,000,000,000 bytes"):
        read_brought(tmp_path)


@pytest.mark.parametrize(("at", "read_now"), [(400, True), (100_000, False)])
def test_damage_inside_an_archive_is_found_where_it_is_read(tmp_path: Path, at: int, *, read_now: bool) -> None:
    np.savez(tmp_path / "x.npz", a=np.ones(64 if read_now else 20_000))
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[at] ^= 1
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"x.npz, a.npy: expected an array, found: Bad CRC-32") as caught:
        values(read_brought(tmp_path).tensors[0], (20_000,), "float64")
    assert ("in_npz" in str(caught.getrepr())) == read_now
