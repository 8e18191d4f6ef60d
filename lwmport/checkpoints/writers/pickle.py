"""Writes LWM's VQGAN format, a pickle of nested dicts of numpy arrays, opcode by opcode: one tensor in memory.

``pickle.load`` reads it with numpy alone. The names are numpy 1's, ``numpy.core.multiarray._reconstruct``: numpy 2
keeps it, without a warning, for the pickles of old (numpy/core/multiarray.py), while numpy 1 lacks the new name.
"""

import functools
import pickle
from typing import Any, Final

from lwmport.checkpoints.pickle.names import CODES
from lwmport.checkpoints.writers.base import Sink, nested
from lwmport.types import dtype_of

STATE: Final = (None, None, None, -1, -1, 0)
"""What follows the byte order in the state of a plain dtype: no fields, the usual size and alignment, no flags."""


def write(sink: Sink) -> None:
    """Write all tensors; what numpy has no dtype of its own for (bfloat16, float8) becomes float32, losing nothing."""
    sink.retype(lambda dtype: dtype if dtype in CODES.values() else "float32")
    sink.write(pickle.PROTO + bytes([4]))
    _tree(sink, nested(sink.names))
    sink.write(pickle.STOP)


def _tree(sink: Sink, tree: dict[str, Any]) -> None:
    sink.write(pickle.EMPTY_DICT + pickle.MARK)
    for key, value in tree.items():
        sink.write(_atom(key))
        if isinstance(value, dict):
            _tree(sink, value)
        else:
            _array(sink, value)
    sink.write(pickle.SETITEMS)


def _array(sink: Sink, name: str) -> None:
    spec = sink.specs[name]
    sink.write(_name("numpy.core.multiarray", "_reconstruct") + _name("numpy", "ndarray"))
    sink.write(_tuple(_atom(0)) + pickle.SHORT_BINBYTES + b"\x01b" + pickle.TUPLE3 + pickle.REDUCE)
    shape = b"".join(map(_atom, spec.shape))
    sink.write(pickle.MARK + _atom(1) + _tuple(shape) + _dtype(spec.dtype) + _atom(obj=False))
    sink.write(pickle.BINBYTES8 + spec.nbytes.to_bytes(8, "little"))
    sink.pour(name)
    sink.write(pickle.TUPLE + pickle.BUILD)


@functools.cache
def _dtype(name: str) -> bytes:
    code = dtype_of(name).str
    args = pickle.MARK + _atom(code[1:]) + _atom(obj=False) + _atom(obj=True) + pickle.TUPLE
    state = _tuple(_atom(3) + _atom(code[0]) + b"".join(map(_atom, STATE)))
    return _name("numpy", "dtype") + args + pickle.REDUCE + state + pickle.BUILD


@functools.cache
def _name(module: str, name: str) -> bytes:
    return _atom(module) + _atom(name) + pickle.STACK_GLOBAL


def _tuple(items: bytes) -> bytes:
    return pickle.MARK + items + pickle.TUPLE


def _atom(obj: str | int | None) -> bytes:
    """Return the opcodes of a text, an integer, a bool or None, which are shorter made by pickle than said here."""
    # Protocol 3 has no frames; the first two bytes are its PROTO and the last its STOP, the memo is never asked.
    return pickle.dumps(obj, protocol=3)[2:-1]
