"""What is opened, by which name, and what is said of everything else."""

import errno
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lwmport import digest
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.opening import FORMATS, PREFIXES, open_checkpoint
from lwmport.checkpoints.writers.write import WRITERS
from lwmport.errors import CheckpointError, UsageError

PICKLE = pickle.dumps({"a": np.ones((2, 3), np.float32), "b": np.ones(4, np.float64)})


def test_every_format_that_is_written_is_read() -> None:
    assert set(WRITERS) <= set(FORMATS)
    assert set(PREFIXES.values()) <= set(FORMATS)
    assert all(callable(FORMATS[name]) for name in FORMATS)


def test_the_record(opened: Callable[[bytes], Checkpoint]) -> None:
    checkpoint = opened(PICKLE)
    assert checkpoint.format == "pickle"
    assert checkpoint.total_bytes == 24 + 32
    assert checkpoint.digest() == digest.of_file(checkpoint.path)
    assert checkpoint.source == {
        "kind": "file",
        "description": f"checkpoint: pickle, 2 tensors, {len(PICKLE)} bytes",
        "file": "checkpoint",
        "format": "pickle",
        "bytes": len(PICKLE),
        "tensors": 2,
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty file"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"\n<!DOCTYPE html>", "a web page"),
        (b"\x1f\x8b\x08", "unpack it first"),
        (b"hello", "begins with b'hello'"),
        (b"cats are fine\n", "unknown format"),
        (b"\x00", "unknown format"),
    ],
)
def test_an_unknown_format_shows_what_is_there_and_what_would_do(
    content: bytes, message: str, opened: Callable[[bytes], Checkpoint]
) -> None:
    with pytest.raises(CheckpointError, match=message) as error:
        opened(content)
    assert str(error.value).isprintable()
    assert not content or all(name in str(error.value) for name in FORMATS)


def test_a_zip_archive_that_torch_did_not_write_is_told(opened: Callable[[bytes], Checkpoint]) -> None:
    with pytest.raises(CheckpointError, match="zip") as error:
        opened(b"PK\x03\x04" + bytes(99))
    assert str(error.value).isprintable()


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path, "found a folder"),
        (tmp_path / "no", "no such file"),
        (Path("/dev/zero"), "device"),
    ):
        with pytest.raises(CheckpointError, match=message):
            open_checkpoint(path)


def test_an_unreadable_file(write: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    path = write(PICKLE)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CheckpointError, match="cannot be read: Permission denied"):
        open_checkpoint(path)


def test_an_unknown_prefix(write: Callable[[bytes], Path]) -> None:
    with pytest.raises(UsageError, match="did you mean 'trainstate_params'"):
        open_checkpoint(f"trainstate_param::{write(PICKLE)}")


def test_a_prefix_of_another_format(write: Callable[[bytes], Path]) -> None:
    with pytest.raises(CheckpointError, match="expected msgpack_stream because of the prefix, found pickle"):
        open_checkpoint(f"params::{write(PICKLE)}")


def test_a_colon_in_a_folder_is_no_prefix(tmp_path: Path) -> None:
    folder = tmp_path / "a::b"
    folder.mkdir()
    (folder / "it").write_bytes(PICKLE)
    assert len(open_checkpoint(folder / "it").specs) == 2


def test_an_unknown_tensor_has_a_hint(opened: Callable[[bytes], Checkpoint]) -> None:
    with pytest.raises(CheckpointError, match="expected one of 2 tensors, found 'aa'; did you mean 'a'"):
        opened(PICKLE).read("aa")


def test_a_file_that_changed_is_refused(opened: Callable[[bytes], Checkpoint]) -> None:
    checkpoint = opened(PICKLE)
    checkpoint.path.write_bytes(PICKLE[:100])
    with pytest.raises(CheckpointError, match="changed since it was opened"):
        checkpoint.read("a")
    checkpoint.path.unlink()
    with pytest.raises(CheckpointError, match="No such file"):
        checkpoint.read("a")
