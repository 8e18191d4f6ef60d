"""Operators that move, choose or convert values: what they give is known exactly."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from lwmport.diagnosis.evidence import Side
from lwmport.diagnosis.reading import given, setting
from lwmport.types import Array, dtype_of

ONNX_DTYPES: Final[Mapping[int, str]] = MappingProxyType(
    {1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}
    | {16: "bfloat16"}
)
"""The numbers of ONNX's TensorProto.DataType."""

TFLITE_DTYPES: Final[Mapping[int, str]] = MappingProxyType(
    {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8", 10: "float64"}
)
"""The numbers of TFLite's TensorType."""


def dtype_asked(side: Side) -> str:
    """Return the dtype that a cast is to, ``""`` if that is not known."""
    found = setting(side, "to")
    if isinstance(found, int):
        return ONNX_DTYPES.get(found, "")
    found = setting(side, "outdatatype", "dstt") if found is None else found
    return TFLITE_DTYPES.get(found, "") if isinstance(found, int) else str(found or "").lower().removeprefix("dt_")


def cast(side: Side, x: Array) -> Array:
    """Return x in another dtype.

    Raises:
        TypeError: the dtype is not known.
    """
    return x.astype(dtype_of(dtype_asked(side) or "unknown"))


def transpose(side: Side, x: Array, *perm: Array) -> Array:
    """Return x with its axes in another order."""
    order = setting(side, "perm") if not perm else perm[0].tolist()
    return x.transpose(order)


def reshape(side: Side, x: Array, *shape: Array) -> Array:
    """Return x in another shape; 0 keeps a size of ONNX."""
    sizes = [int(one) for one in (np.ravel(shape[0]) if shape else setting(side, "newshape"))]
    keep = not setting(side, "allowzero", default=0)
    return x.reshape([x.shape[at] if one == 0 and keep else one for at, one in enumerate(sizes)])


def concat(side: Side, *parts: Array) -> Array:
    """Return inputs one behind the other along an axis."""
    return np.concatenate(parts, axis=int(setting(side, "axis", default=0)))


def gather(side: Side, table: Array, places: Array, *axis: Array) -> Array:
    """Return rows of a table."""
    along = int(axis[0]) if axis else int(setting(side, "axis", default=0))
    return np.asarray(np.take(table, places.astype(np.int64), axis=along))


def pad(side: Side, x: Array, *_: Array) -> Array:
    """Return x with constants around it; ONNX lists all begins, then all ends, the others pairs."""
    pads, value = given(side, 1), given(side, 2)
    found = np.asarray(setting(side, "pads") if pads is None else pads).astype(int)
    pairs = found if found.ndim == 2 else found.reshape(2, -1).T
    fill: Any = setting(side, "value", default=0) if value is None else value
    return np.pad(x, pairs, constant_values=np.ravel(fill)[0])


def cut(side: Side, x: Array, *_: Array) -> Array:
    """Return a part of x: ONNX names starts, ends, axes and steps, the others begins and sizes.

    Raises:
        ValueError: the places are not known.
    """
    first, second, axes, steps = (None if (one := given(side, at)) is None else np.ravel(one) for at in range(1, 5))
    if first is None or second is None:
        raise ValueError("a slice whose places are not known")
    if axes is None and len(first) == x.ndim and side.type != "Slice":
        ends = [None if size < 0 else start + size for start, size in zip(first, second, strict=True)]
        return np.asarray(x[tuple(slice(start, end) for start, end in zip(first, ends, strict=True))])
    where: list[Any] = [slice(None)] * x.ndim
    for at, axis in enumerate(range(len(first)) if axes is None else axes):
        where[int(axis)] = slice(int(first[at]), int(second[at]), 1 if steps is None else int(steps[at]))
    return np.asarray(x[tuple(where)])


def best(function: Callable[..., Any]) -> Callable[..., Array]:
    """Return a formula for the place of the smallest or the largest."""

    def formula(side: Side, x: Array, *axis: Array) -> Array:
        along = int(np.ravel(axis[0])[0]) if axis else int(setting(side, "axis", "dimension", default=0))
        keep = bool(setting(side, "keepdims", default=0 if axis else 1))
        return np.asarray(function(x, axis=along, keepdims=keep))

    return formula


MOVES: Final[Mapping[str, Callable[..., Array]]] = MappingProxyType(
    {
        "cast": cast,
        "transpose": transpose,
        "reshape": reshape,
        "concat": concat,
        "concatenation": concat,
        "gather": gather,
        "gatherv2": gather,
        "pad": pad,
        "padv2": pad,
        "slice": cut,
        "argmin": best(np.argmin),
        "argmax": best(np.argmax),
    }
)
