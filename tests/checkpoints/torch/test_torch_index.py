"""``.bin`` files of PyTorch: read without it, and whatever is no tensor refused by name."""

import contextlib
import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lwmport.checkpoints.cursor import opened as cursor_of
from lwmport.checkpoints.entry import TensorEntry
from lwmport.checkpoints.reading import read_range
from lwmport.checkpoints.torch import index as torch_index
from lwmport.checkpoints.torch.names import STORAGES
from lwmport.errors import CheckpointError
from lwmport.types import Array

KINDS = {dtype: name for name, dtype in STORAGES.items()}


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def tensor(
    key: str, array: Array, *, shape: Any = None, strides: Any = None, offset: int = 0, count: int | None = None
) -> bytes:
    """The opcodes that make one tensor over the storage ``key``, as torch.save writes them."""
    shape = array.shape if shape is None else shape
    strides = [step // array.itemsize for step in array.strides] if strides is None else strides
    kind = f"ctorch\n{KINDS[array.dtype.name]}\n".encode()
    storage = b"(" + text("storage") + kind + text(key) + text("cpu") + number(count or array.size) + b"tQ"
    sizes, steps = (b"(" + b"".join(map(number, values)) + b"t" for values in (shape, strides))
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + sizes + steps + b"\x89" + hooks + b"tR"


def pickled(parts: Mapping[str, bytes]) -> bytes:
    return b"\x80\x02}(" + b"".join(text(name) + part for name, part in parts.items()) + b"u."


def archive(pickle: bytes, storages: Mapping[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", how) as file:
        file.writestr("it/data.pkl", pickle)
        for key, data in storages.items():
            file.writestr(f"it/data/{key}", data)
    return made.getvalue()


def simple(array: Array, **lies: Any) -> bytes:
    return archive(pickled({"w": tensor("0", array, **lies)}), {"0": array.tobytes()})


@pytest.fixture
def indexed(tmp_path: Path) -> Callable[[bytes], dict[str, TensorEntry]]:
    def index(content: bytes) -> dict[str, TensorEntry]:
        path = tmp_path / "pytorch_model.bin"
        path.write_bytes(content)
        with cursor_of(path) as cursor:
            return torch_index.index(cursor)

    return index


ARRAYS = {
    "a": np.arange(12, dtype=np.float32).reshape(3, 4),
    "b": np.arange(6).astype(ml_dtypes.bfloat16).reshape(2, 3),
    "c": np.arange(5, dtype=np.float16),
    "d": np.array(3.5),
    "e": np.arange(4, dtype=np.int64).reshape(1, 4, 1),
}


def test_every_tensor_is_found(indexed: Callable[[bytes], dict[str, TensorEntry]], tmp_path: Path) -> None:
    parts = {name: tensor(name, array) for name, array in ARRAYS.items()}
    entries = indexed(archive(pickled(parts), {name: array.tobytes() for name, array in ARRAYS.items()}))
    with cursor_of(tmp_path / "pytorch_model.bin") as cursor:
        for name, array in ARRAYS.items():
            found = read_range(entries[name], cursor.descriptor, 0, array.size).reshape(entries[name].shape)
            assert found.dtype == array.dtype
            assert np.array_equal(found, array)


def test_tensors_may_share_a_storage(indexed: Callable[[bytes], dict[str, TensorEntry]]) -> None:
    array = ARRAYS["a"]
    row = tensor("0", array, shape=(4,), strides=(1,), offset=4)
    entries = indexed(archive(pickled({"w": tensor("0", array), "r": row}), {"0": array.tobytes()}))
    assert entries["r"].pieces[0] == (entries["w"].pieces[0][0] + 16, 16)


def test_the_storages_of_a_big_endian_machine(indexed: Callable[[bytes], dict[str, TensorEntry]]) -> None:
    content = io.BytesIO(simple(ARRAYS["a"]))
    with zipfile.ZipFile(content, "a") as file:
        file.writestr("it/byteorder", "big")
    assert indexed(content.getvalue())["w"].big_endian


def with_global(name: str) -> bytes:
    return archive(b"\x80\x02c" + name.replace(".", "\n").encode() + b"\n(X\x01\x00\x00\x00atR.", {})


def overlapping() -> bytes:
    """Both storages at the same place: the second entry of the directory points to the first's bytes."""
    array = ARRAYS["c"]
    made = archive(pickled({"w": tensor("0", array)}), {"0": array.tobytes(), "1": array.tobytes()})
    entries = [i for i in range(len(made)) if made.startswith(b"PK\x01\x02", i)]
    first, second = entries[1], entries[2]
    return made[: second + 42] + made[first + 42 : first + 46] + made[second + 46 :]


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "system": (lambda: with_global("posix.system"), "refused: the pickle names posix.system"),
    "torch.load": (lambda: with_global("torch.load"), "refused: the pickle names torch.load"),
    "numpy": (lambda: with_global("numpy.ndarray"), "refused: the pickle names numpy.ndarray"),
    "call of a storage": (lambda: with_global("torch.FloatStorage"), "calls a type"),
    "object": (lambda: archive(b"\x80\x02ctorch\nFloatStorage\n)\x81.", {}), "NEWOBJ"),
    "state": (lambda: archive(b"\x80\x02}}X\x01\x00\x00\x00aK\x01sb.", {}), "sets the state of a dict"),
    "identity": (lambda: archive(b"\x80\x02K\x05Q.", {}), "expected a storage of numbers"),
    "compressed": (
        lambda: archive(pickled({"w": tensor("0", ARRAYS["c"])}), {"0": bytes(10)}, zipfile.ZIP_DEFLATED),
        "compressed",
    ),
    "no storage": (lambda: archive(pickled({"w": tensor("7", ARRAYS["c"])}), {}), "data/7, which the archive has not"),
    "no pickle": (lambda: zipped({"a": b"b"}), "expected one data.pkl"),
    "two pickles": (lambda: zipped({"a/data.pkl": b".", "b/data.pkl": b"."}), "found 2"),
    "too long": (lambda: simple(ARRAYS["a"], shape=(3, 5), strides=(5, 1)), "expected 15 values from 0 on, found 12"),
    "too far": (lambda: simple(ARRAYS["a"], shape=(4,), strides=(1,), offset=9), "expected 4 values from 9 on"),
    "before": (lambda: simple(ARRAYS["a"], shape=(4,), strides=(1,), offset=-1), "expected 4 values from -1 on"),
    "lying count": (lambda: simple(ARRAYS["a"], count=13), "expected 13 values of float32"),
    "strides": (lambda: simple(ARRAYS["a"], strides=(1, 3)), "stored row by row"),
    "repeated": (lambda: simple(ARRAYS["a"], strides=(0, 1)), "stored row by row"),
    "negative": (lambda: simple(ARRAYS["a"], shape=(-3, 4)), "sizes of 0 or more"),
    "overlap": (overlapping, "overlaps the file before it"),
    "order": (lambda: zipped({"it/data.pkl": pickled({}), "it/byteorder": b"middle"}), "byte order"),
    "no tensor": (lambda: archive(pickled({"w": b"K\x01"}), {}), "w: expected a tensor or a dict, found an int"),
    "legacy": (lambda: b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." + bytes(99), "unknown opcode 0x00"),
}


def zipped(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return made.getvalue()


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_refused(case: str, indexed: Callable[[bytes], dict[str, TensorEntry]]) -> None:
    make, message = HOSTILE[case]
    with pytest.raises(CheckpointError, match=message) as error:
        indexed(make())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("percent", range(0, 100, 9))
def test_truncated_anywhere(percent: int, indexed: Callable[[bytes], dict[str, TensorEntry]]) -> None:
    content = simple(np.arange(1000, dtype=np.float32))
    with pytest.raises(CheckpointError, match="truncated"):
        indexed(content[: len(content) * percent // 100])


def test_damage_is_never_another_error(indexed: Callable[[bytes], dict[str, TensorEntry]]) -> None:
    content = simple(ARRAYS["a"])
    rng = np.random.default_rng(0)
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] = rng.integers(256)
        with contextlib.suppress(CheckpointError):
            indexed(bytes(damaged))


def test_an_archive_over_4_gigabytes_has_zip64_fields(
    indexed: Callable[[bytes], dict[str, TensorEntry]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    assert list(indexed(simple(ARRAYS["a"]))) == ["w"]


def test_torch_agrees(tmp_path: Path, indexed: Callable[[bytes], dict[str, TensorEntry]]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2, dtype=torch.bfloat16))
    path = tmp_path / "saved"
    for value in (module.state_dict(), dict(module.named_parameters())):
        torch.save(value, path)
        entries = indexed(path.read_bytes())
        assert {name: entry.shape for name, entry in entries.items()} == {n: tuple(t.shape) for n, t in value.items()}
        for name, entry in entries.items():
            expected = value[name].detach().contiguous().view(torch.uint8).numpy().tobytes()
            ((offset, length),) = entry.pieces
            assert path.read_bytes()[offset : offset + length] == expected
