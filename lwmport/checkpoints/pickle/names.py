"""The allow-list of the pickle machine: every name a checkpoint may use, with our own symbolic stand-in for it.

What pickles really hold, seen from numpy 1.26 and 2.4, JAX 0.4.29 and 0.10, flax 0.8 and 0.12, protocols 0 to 5.
"""

from collections.abc import Mapping
from typing import Final

from lwmport.checkpoints.entry import DTYPES, TensorEntry, check_shape
from lwmport.checkpoints.pickle.machine import Names
from lwmport.checkpoints.pickle.values import Array, Bytes, Dtype, Global, Text
from lwmport.errors import CheckpointError
from lwmport.types import dtype_of
from lwmport.wording import kind_of, shown

CODES: Final = {dtype_of(name).str[1:]: name for name in DTYPES if dtype_of(name).isbuiltin == 1}
"""numpy's codes (``f4``) of the dtypes that are numpy's own."""


def find(module: str, name: str) -> Global:
    """Return our stand-in for a name.

    Raises:
        CheckpointError: the name is not on the list.
    """
    found = ALLOWED.get((module, name))
    if found is None:
        raise CheckpointError(
            f"refused: the pickle names {shown(f'{module}.{name}')}; only dicts and arrays are read, nothing was run",
        )
    return found


def set_state(target: object, state: object) -> None:
    """Do what ``target.__setstate__(state)`` would: the byte order of a dtype, or the content of an array.

    Raises:
        CheckpointError: anything else, or a state of another form.
    """
    if isinstance(target, Dtype):
        _dtype_state(target, state)
    elif isinstance(target, Array) and target.entry is None:
        target.entry = _array_state(state)
    else:
        raise CheckpointError(f"refused: the pickle sets the state of {kind_of(target)}; nothing was run")


def _dtype_state(target: Dtype, state: object) -> None:
    match state:
        case (3 | 4, Text(value="<" | ">" | "|" | "=" as order), None, None, None, *_):
            target.big_endian = order == ">"
        case _:
            raise CheckpointError("expected the state of a plain dtype, found another (a record?)")


def _array_state(state: object) -> TensorEntry:
    match state:
        case (1, tuple() as shape, Dtype() as dtype, bool() as fortran, Bytes() as data):
            axes = tuple(reversed(range(len(shape)))) if fortran and len(shape) > 1 else ()
            return _entry(dtype, check_shape(shape), data, axes)
        case _:
            raise CheckpointError("expected the state of a numeric array, found another")


def _entry(dtype: Dtype, shape: tuple[int, ...], data: Bytes, axes: tuple[int, ...]) -> TensorEntry:
    return TensorEntry(
        dtype=dtype.name,
        shape=shape,
        pieces=((data.offset, data.length),),
        axes=axes,
        big_endian=dtype.big_endian,
        codec=data.codec,
    )


def new_dict(args: tuple[object, ...]) -> object:
    """Return what ``dict()``, ``OrderedDict()`` and ``FrozenDict({...})`` make: the dict itself.

    Raises:
        CheckpointError: other arguments.
    """
    match args:
        case ():
            return {}
        case (dict() as content,):
            return content
        case _:
            raise CheckpointError("expected a dict made of nothing or of a dict, found another argument")


def _new_bytes(args: tuple[object, ...]) -> Bytes:
    """``bytes()``, which is how protocols 0 to 2 write no bytes at all."""
    if args:
        raise CheckpointError("expected bytes without arguments, found some")
    return Bytes(0, 0)


def _encode(args: tuple[object, ...]) -> Bytes:
    """``_codecs.encode(text, "latin1")``, which is how protocols 0 to 2 write bytes."""
    match args:
        case (Text() as text, Text(value="latin1")):
            return Bytes(text.offset, text.length, text.codec)
        case _:
            raise CheckpointError("expected bytes written as latin1 text, found another argument")


def _reconstruct(args: tuple[object, ...]) -> Array:
    """``_reconstruct(ndarray, (0,), b"b")``: an array whose state follows."""
    match args:
        case (Global(name="numpy.ndarray"), (0,), Bytes()):
            return Array()
        case _:
            raise CheckpointError("expected a plain numpy array, found another kind")


def _frombuffer(args: tuple[object, ...]) -> Array:
    """``_frombuffer(bytes, dtype, shape, order, axes)``: how protocol 5 writes a contiguous array."""
    match args:
        case (Bytes() as data, Dtype() as dtype, tuple() as shape, Text(value="C" | "F" as order)):
            axes = tuple(reversed(range(len(shape)))) if order == "F" and len(shape) > 1 else ()
            return Array(_entry(dtype, check_shape(shape), data, axes))
        case (Bytes() as data, Dtype() as dtype, tuple() as shape, Text(value="K"), tuple() as order):
            axes = check_shape(order)
            if sorted(axes) != list(range(len(shape))):
                raise CheckpointError("expected an axis order that names every axis once, found another")
            stored = check_shape(shape)
            return Array(_entry(dtype, tuple(stored[axis] for axis in axes), data, axes))
        case _:
            raise CheckpointError("expected an array made of bytes, dtype, shape and order, found other arguments")


def _scalar(args: tuple[object, ...]) -> Array:
    """``scalar(dtype, bytes)``: an array without axes."""
    match args:
        case (Dtype() as dtype, Bytes() as data):
            return Array(_entry(dtype, (), data, ()))
        case _:
            raise CheckpointError("expected a numeric scalar, found another")


def _jax_array(args: tuple[object, ...]) -> Array:
    """``_reconstruct_array(fun, args, state, aval_state)``: a numpy array inside a JAX one."""
    match args:
        case (Global(call=call), tuple() as inner, state, dict()) if call is _reconstruct:
            array = _reconstruct(inner)
            set_state(array, state)
            return array
        case _:
            raise CheckpointError("expected a JAX array around a numpy array, found another")


def _dtype(args: tuple[object, ...]) -> Dtype:
    """``dtype("f4", False, True)``; the first argument is a scalar type for those that are not numpy's own."""
    match args:
        case (Global(dtype=name), bool(), bool()) if name:
            return Dtype(name)
        case (Text(value=str() as code), bool(), bool()) if code in CODES:
            return Dtype(CODES[code])
        case (Text(value=str() as code), *_) if code.startswith("O"):
            raise CheckpointError("refused: an array of Python objects; only numbers are read")
        case (Text(value=str() as code), *_):
            raise CheckpointError(f"expected numbers, found the dtype {shown(code)!r}")
        case _:
            raise CheckpointError("expected the dtype of an array, found something else")


def no_call(_args: tuple[object, ...]) -> object:
    """Refuse: the name is a type, which a file may name and not call.

    Raises:
        CheckpointError: always.
    """
    raise CheckpointError("refused: the pickle calls a type; nothing was run")


ARRAY_MODULES: Final = ("numpy.core", "numpy._core")
"""numpy 1 and numpy 2."""

ALLOWED: Final[Mapping[tuple[str, str], Global]] = {
    **{(module, "dict"): Global("dict", new_dict) for module in ("builtins", "__builtin__")},
    **{(module, "bytes"): Global("bytes", _new_bytes) for module in ("builtins", "__builtin__")},
    ("collections", "OrderedDict"): Global("OrderedDict", new_dict),
    ("flax.core.frozen_dict", "FrozenDict"): Global("FrozenDict", new_dict),
    ("_codecs", "encode"): Global("_codecs.encode", _encode),
    ("numpy", "ndarray"): Global("numpy.ndarray", no_call),
    ("numpy", "dtype"): Global("numpy.dtype", _dtype),
    **{(f"{core}.multiarray", "_reconstruct"): Global("_reconstruct", _reconstruct) for core in ARRAY_MODULES},
    **{(f"{core}.multiarray", "scalar"): Global("scalar", _scalar) for core in ARRAY_MODULES},
    **{(f"{core}.numeric", "_frombuffer"): Global("_frombuffer", _frombuffer) for core in ARRAY_MODULES},
    ("jax._src.array", "_reconstruct_array"): Global("_reconstruct_array", _jax_array),
    # JAX up to 0.3 had another array class, and a bfloat16 that claimed to be a builtin.
    ("jax._src.device_array", "reconstruct_device_array"): Global("reconstruct_device_array", _jax_array),
    ("builtins", "bfloat16"): Global("bfloat16", no_call, "bfloat16"),
    **{
        ("ml_dtypes", name): Global(f"ml_dtypes.{name}", no_call, name) for name in DTYPES if name not in CODES.values()
    },
}
"""``(module, name)`` of everything a checkpoint may name. There is no fallback: what is not here is refused."""

NAMES: Final = Names(find=find, set_state=set_state)
"""What a pickled parameter tree may name."""
