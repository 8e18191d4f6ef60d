"""Hostile pickles: nothing they name is run, nothing they claim is believed, and each is one clear line."""

import copyreg
import os
import pickle
import pickletools
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.pickle import vm as pickle_vm
from lwmport.errors import CheckpointError

SYSTEM = b"cposix\nsystem\n"


class Reduced:
    def __init__(self, *reduced: object) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple[object, ...]:
        return self.reduced


class Plain:
    pass


class Slotted:
    def __new__(cls, *_args: object, **_named: object) -> Self:
        return super().__new__(cls)

    def __getnewargs_ex__(self) -> tuple[tuple[int, ...], dict[str, int]]:
        return (1,), {"a": 2}


def text(value: bytes) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value


def attacks(command: bytes) -> dict[str, tuple[bytes, str]]:
    """Each runs ``command`` under `pickle.loads`, in its own way."""
    argument = b"V" + command + b"\n"
    return {
        "REDUCE": (b"(dV\n" + SYSTEM + b"(" + argument + b"tRs.", "posix.system"),
        "GLOBAL": (SYSTEM + b"(" + argument + b"tR.", "posix.system"),
        "STACK_GLOBAL": (b"\x80\x04" + text(b"posix") + text(b"system") + b"\x93(" + argument + b"tR.", "posix.system"),
        "INST": (b"(" + argument + b"iposix\nsystem\n.", "posix.system"),
        "OBJ": (b"(" + SYSTEM + argument + b"o.", "posix.system"),
        "NEWOBJ": (b"\x80\x02csubprocess\nPopen\n(" + argument + b"t\x81.", "subprocess.Popen"),
        "BUILD": (b"\x80\x02c__main__\nX\n)\x81}V__setstate__\n" + SYSTEM + b"sb" + argument + b"b.", "__main__.X"),
        "eval": (b"\x80\x04" + text(b"builtins") + text(b"eval") + b"\x93(V1+1\ntR.", "builtins.eval"),
        "getattr": (b"\x80\x02c__builtin__\ngetattr\n(" + argument + b"tR.", "__builtin__.getattr"),
        "dotted": (b"\x80\x04" + text(b"numpy") + text(b"f2py.os.system") + b"\x93(" + argument + b"tR.", "numpy.f2py"),
        "nearly": (b"\x80\x04" + text(b"numpy") + text(b"load") + b"\x93(" + argument + b"tR.", "numpy.load"),
    }


@pytest.mark.parametrize("name", attacks(b""))
def test_code_is_named_and_not_run(name: str, opened: Callable[[bytes], Checkpoint], tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    content, named = attacks(f"touch {marker}".encode())[name]
    with pytest.raises(CheckpointError, match=named) as error:
        opened(content)
    assert "nothing was run" in str(error.value)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["REDUCE", "GLOBAL", "STACK_GLOBAL", "INST", "OBJ"])
def test_the_attacks_are_real(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    content, _ = attacks(f"touch {marker}".encode())[name]
    pickle.loads(content)
    assert marker.exists()


def extension() -> bytes:
    copyreg.add_extension(__name__, "Plain", 0xF0)
    try:
        return pickle.dumps({"a": Plain}, 2)
    finally:
        copyreg.remove_extension(__name__, "Plain", 0xF0)


def outside() -> bytes:
    return pickle.dumps({"a": np.ones(3)}, 5, buffer_callback=lambda _: False)


OTHERS = {
    "object": (pickle.dumps({"a": Plain()}, 4), "Plain"),
    "newobj_ex": (pickle.dumps({"a": Slotted()}, 4), "Slotted"),
    "newobj_of_allowed": (b"\x80\x02cnumpy\nndarray\n)\x81.", "NEWOBJ"),
    "obj_of_allowed": (b"((cnumpy\nndarray\no.", "OBJ"),
    "call_of_type": (b"\x80\x02cnumpy\nndarray\n)R.", "calls a type"),
    "call_of_text": (b"\x80\x02X\x01\x00\x00\x00a)R.", "calls a text"),
    "state_of_dict": (b"\x80\x02}}b.", "sets the state of a dict"),
    "items_of_name": (b"\x80\x02cnumpy\nndarray\n(X\x01\x00\x00\x00aNu.", "sets items of a global"),
    "partial": (pickle.dumps({"a": Reduced(os.path.join, ("a", "b"))}, 4), "posixpath.join"),
    "extension": (extension(), "extension code"),
    "persistent": (b"(dV\nP1\ns.", "outside the file"),
    "binary_persistent": (b"\x80\x02}NQ.", "outside the file"),
    "out_of_band": (outside(), "outside the file"),
    "python2": (b"\x80\x02}U\x01aNs.", "Python 2"),
    "protocol": (b"\x80\x07}.", "protocol 0 to 5, found 7"),
    "opcode": (b"\x80\x02}\xff.", "0xff at offset 3"),
    "no_stop": (b"\x80\x02}", "truncated"),
    "trailing": (pickle.dumps({"a": np.ones(3)}) + b"more", "4 more bytes"),
    "left_over": (b"\x80\x02}}.", "1 values left"),
    "underflow": (b"\x80\x02s.", "nothing on the stack"),
    "below_mark": (b"\x80\x02}X\x01\x00\x00\x00aN(s.", "nothing on the stack"),
    "no_mark": (b"\x80\x02}u.", "no mark"),
    "odd_items": (b"\x80\x02}(X\x01\x00\x00\x00au.", "key without a value"),
    "no_memo": (b"\x80\x02h\x05.", "nothing remembered as 5"),
    "negative_memo": (b"\x80\x02}p-1\n.", "index of 0 or more"),
    "marks": (b"}" + b"(" * 1000, "inside each other"),
    "long_integer": (b"\x80\x02\x8a\xff" + b"\x01" * 255 + b".", "at most 16 bytes"),
    "long_digits": (b"}I" + b"9" * 5000 + b"\n.", "at most 40 bytes"),
    "no_number": (b"}Ione\n.", "expected a number, found 'one'"),
    "no_utf8": (b"\x80\x02X\x01\x00\x00\x00\xff.", "no utf-8 text"),
    "no_line": (b"(dVname", "truncated"),
    "control_characters": (b"\x80\x02c\x1b[2J\nx\n.", r"\\x1b\[2J"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_is_one_clear_line(name: str, opened: Callable[[bytes], Checkpoint]) -> None:
    content, message = OTHERS[name]
    with pytest.raises(CheckpointError, match=message) as error:
        opened(content)
    assert str(error.value).isprintable()


HUGE = {
    "BINBYTES": b"B" + struct.pack("<I", 0xFFFFFFFF),
    "BINBYTES8": b"\x8e" + struct.pack("<Q", 1 << 62),
    "BYTEARRAY8": b"\x96" + struct.pack("<Q", (1 << 64) - 1),
    "BINUNICODE": b"X" + struct.pack("<I", 0xFFFFFFFF),
    "BINUNICODE8": b"\x8d" + struct.pack("<Q", 1 << 40),
    "FRAME": b"\x95" + struct.pack("<Q", 1 << 40),
    "LONG4": b"\x8b" + struct.pack("<I", 0x7FFFFFFF),
    "LONG_BINPUT": b"r" + struct.pack("<I", 0xFFFFFFFF),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_claimed_length_takes_no_memory(name: str, opened: Callable[[bytes], Checkpoint]) -> None:
    tracemalloc.start()
    with pytest.raises(CheckpointError):
        opened(b"\x80\x04}" + HUGE[name] + b"x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


SHAPES = {
    "negative": ((-2, -3), "0 or more"),
    "overflow": ((1 << 40, 1 << 40), "fits in memory"),
    "hidden_by_zero": ((0, 1 << 62), "fits in memory"),
    "too_many_axes": ((1,) * 40, "at most 32 axes"),
    "no_integer": ((2.0, 3), "0 or more"),
    "too_small": ((2, 2), r"expected 16 bytes for float32 of shape \(2, 2\), found 24"),
    "too_large": ((2, 4), "expected 32 bytes"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_that_cannot_be_is_refused(name: str, opened: Callable[[bytes], Checkpoint]) -> None:
    shape, message = SHAPES[name]
    reconstruct, args, (version, _, *rest) = np.arange(6, dtype=np.float32).reshape(2, 3).__reduce__()
    content = pickle.dumps({"a": Reduced(reconstruct, args, (version, shape, *rest))}, 4)
    with pytest.raises(CheckpointError, match=message):
        opened(content)


def test_an_array_without_its_state_is_refused(opened: Callable[[bytes], Checkpoint]) -> None:
    reconstruct, args, _ = np.ones(3).__reduce__()
    with pytest.raises(CheckpointError, match="a: damaged: an array without its content"):
        opened(pickle.dumps({"a": Reduced(reconstruct, args)}, 4))


def test_too_many_opcodes_are_refused(opened: Callable[[bytes], Checkpoint], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_vm, "MAX_STEPS", 1000)
    with pytest.raises(CheckpointError, match="at most 1,000 opcodes"):
        opened(b"\x80\x04" + b"}\x94" * 1000)


def test_every_opcode_of_python_is_allowed_or_refused_in_words() -> None:
    known = {operation.code.encode("latin-1") for operation in pickletools.opcodes}
    assert set(pickle_vm.OPCODES) | set(pickle_vm.REFUSED) | {pickle_vm.STOP} == known
    assert not set(pickle_vm.OPCODES) & set(pickle_vm.REFUSED)
