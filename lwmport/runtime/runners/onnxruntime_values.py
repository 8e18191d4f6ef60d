"""Values of ONNX Runtime whose dtype its Python interface has no array of: bfloat16, floats of 8 bits, packed ones."""

import ctypes
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime

from lwmport.onnx_dtypes import BITS, KINDS, NUMBERS
from lwmport.types import Array, dtype_of


def is_plain(name: str) -> bool:
    """Return whether arrays of a dtype are taken as they are; what is no dtype of a tensor is left to the runtime."""
    try:
        return dtype_of(name).isbuiltin == 1
    except TypeError:
        return True


def run(session: Any, inputs: Mapping[str, Array]) -> list[Array]:
    """Return the outputs of a session, whose inputs or outputs are not all plain; in a tensor all are.

    Raises:
        Exception: what ONNX Runtime raises.
    """
    given = {name: _value(array) for name, array in inputs.items()}
    return [_array(value) for value in session.run_with_ort_values(None, given)]


def _value(array: Array) -> Any:
    name = array.dtype.name
    if is_plain(name):
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array).reshape(array.shape))
    whole = np.zeros(array.shape, f"u{array.dtype.itemsize}")
    content = _packed(array, BITS[name]) if name in BITS else np.ascontiguousarray(array).view(whole.dtype)
    whole.reshape(-1)[: content.size] = content.reshape(-1)
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(whole, NUMBERS[name])


def _array(value: Any) -> Array:
    name = KINDS.get(value.data_type(), "")
    if not name or is_plain(name):
        return np.asarray(value.numpy())
    shape, dtype = tuple(value.shape()), dtype_of(name)
    count = math.prod(shape)
    size = -(-count * BITS[name] // 8) if name in BITS else count * dtype.itemsize
    raw = np.frombuffer(ctypes.string_at(value.data_ptr(), size), np.uint8)
    return (unpacked(raw, BITS[name], dtype, count) if name in BITS else raw.view(dtype)).reshape(shape)


def _packed(array: Array, bits: int) -> Array:
    """Return the bytes that hold elements of a few bits each, the first in the lowest bits."""
    each = 8 // bits
    codes = array.reshape(-1).view(np.uint8) & (2**bits - 1)
    rows = np.pad(codes, (0, -codes.size % each)).reshape(-1, each)
    packed: Array = np.bitwise_or.reduce(rows << (np.arange(each, dtype=np.uint8) * bits), axis=1).astype(np.uint8)
    return packed


def unpacked(raw: Array, bits: int, dtype: Any, count: int) -> Array:
    """Return ``count`` elements of a few bits each, out of the bytes that hold them, the first in the lowest bits."""
    codes = (raw[:, None] >> (np.arange(8 // bits, dtype=np.uint8) * bits)) & (2**bits - 1)
    codes = codes.reshape(-1)[:count].astype(np.uint8)
    found: Array = codes.view(dtype) if dtype.name.startswith("float") else codes.astype(dtype)
    if dtype.name in {"int2", "int4"}:
        signed = codes.astype(np.int8)
        found = np.where(codes >= 2 ** (bits - 1), signed - np.int8(2**bits), signed).astype(np.int8).astype(dtype)
    return found
