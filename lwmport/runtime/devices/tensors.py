"""What a device's compiler made of the inputs and outputs that a signature promises: names, order, dtypes."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lwmport.errors import RunnerError
from lwmport.types import Array, Signature, TensorSpec, dtype_of
from lwmport.validators.promise import broken
from lwmport.wording import few

MOST_ORDERS: Final = 5040
"""Orders of outputs that are tried: those of seven."""


@dataclass(frozen=True, kw_only=True)
class DeviceTensor:
    """One input or output of a compiled model. ``shape`` is that of the largest gear, -1 where it is not fixed."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int


def promised_by(signature: Signature | None, path: Path) -> Signature:
    """Return the signature of a compiled model, which the file itself does not keep.

    Raises:
        RunnerError: nobody told it.
    """
    if signature is None:
        raise RunnerError(
            f"expected the signature of {path}, which the file does not keep, found none; open it beside its "
            "COMPONENT.compilation.json, or with --reference FOLDER of the converted model"
        )
    return signature


def assign(specs: Sequence[TensorSpec], ports: Sequence[DeviceTensor], what: str) -> tuple[int, ...]:
    """Return, for each specification, which port it is.

    Names count first: compilers write ``node:index:name`` for an ONNX output, ``node:index`` for a TensorFlow one.
    Where no name is known any more, the order of the file counts if the shapes agree with it, else the only order
    with which they do.

    Raises:
        RunnerError: the numbers differ, some names are known and some are not, or no order or more than one fits.
    """
    if len(specs) != len(ports):
        raise RunnerError(f"expected {len(specs)} {what} ({_names(specs)}), found {len(ports)} ({_names(ports)})")
    named = [[number for number, port in enumerate(ports) if spec.name in _own(port.name)] for spec in specs]
    if all(len(numbers) == 1 for numbers in named):
        found = tuple(numbers[0] for numbers in named)
        if len(set(found)) == len(found):
            return _checked(specs, ports, found, what)
    if any(named):
        raise RunnerError(f"expected the {what} {_names(specs)}, found {_names(ports)}: some names only")
    return _by_shape(specs, ports, what)


def to_port(array: Array, port: DeviceTensor) -> Array:
    """Return an input in the dtype of its port, C-contiguous; nothing is lost but float32's last digits.

    Raises:
        RunnerError: the port takes another kind of numbers, or cannot hold these, or has another size.
    """
    wanted = dtype_of(port.dtype)
    found = np.ascontiguousarray(array).reshape(array.shape)
    if found.dtype != wanted:
        found = _cast(found, wanted, port.name)
    if port.nbytes and found.nbytes > port.nbytes:
        raise RunnerError(f"expected {port.name} with at most {port.nbytes} bytes, found {found.nbytes}")
    return found


def from_port(array: Array, spec: TensorSpec, sizes: dict[str, int]) -> Array:
    """Return an output as the signature promises it, in memory of its own.

    Raises:
        RunnerError: shape or kind of numbers are others.
    """
    reason = broken(spec, array, sizes, dtype=False)
    if reason:
        raise RunnerError(reason)
    # The device's library writes the next run into the same memory.
    found = np.array(array, copy=True)
    return found if str(found.dtype) == spec.dtype else _cast(found, dtype_of(spec.dtype), spec.name)


def notes(
    specs: Sequence[TensorSpec], ports: Sequence[DeviceTensor], order: Sequence[int], what: str
) -> tuple[str, ...]:
    """Return which tensors the device holds in another dtype than the signature promises."""
    pairs = [(spec, ports[number]) for spec, number in zip(specs, order, strict=True)]
    return tuple(
        f"{what} {spec.name} is {port.dtype} on the device, {spec.dtype} in the signature"
        for spec, port in pairs
        if spec.dtype != port.dtype
    )


def sizes_of(specs: Sequence[TensorSpec], inputs: "dict[str, Array]") -> dict[str, int]:
    """Return the sizes of the named dimensions, as the inputs have them."""
    found: dict[str, int] = {}
    for spec in specs:
        for dim, size in zip(spec.shape, inputs[spec.name].shape, strict=True):
            if isinstance(dim, str) and found.setdefault(dim, size) != size:
                raise RunnerError(f"expected one size for the dimension {dim!r}, found {found[dim]} and {size}")
    return found


def _own(name: str) -> set[str]:
    """Return the names under which a compiler may have kept a tensor's."""
    parts = name.split(":")
    last = parts[2] if len(parts) > 2 else parts[0] if len(parts) == 2 and parts[1].isdecimal() else name
    return {name, last}


def _by_shape(specs: Sequence[TensorSpec], ports: Sequence[DeviceTensor], what: str) -> tuple[int, ...]:
    straight = tuple(range(len(specs)))
    if _all_fit(specs, ports, straight):
        return straight
    orders = itertools.islice(itertools.permutations(straight), MOST_ORDERS)
    fitting = [order for order in orders if _all_fit(specs, ports, order)]
    if len(fitting) != 1:
        shapes = few(f"{port.name}{list(port.shape)}" for port in ports)
        raise RunnerError(f"expected the {what} {_names(specs)}, found {shapes}: {len(fitting)} orders fit the shapes")
    return fitting[0]


def _checked(
    specs: Sequence[TensorSpec], ports: Sequence[DeviceTensor], order: tuple[int, ...], what: str
) -> tuple[int, ...]:
    for spec, number in zip(specs, order, strict=True):
        if not _sizes_fit(spec, ports[number]):
            raise RunnerError(
                f"expected the {what.removesuffix('s')} {spec.name} as {list(spec.shape)}, "
                f"found {list(ports[number].shape)}: this file was compiled from another model"
            )
    return order


def _all_fit(specs: Sequence[TensorSpec], ports: Sequence[DeviceTensor], order: tuple[int, ...]) -> bool:
    return all(_fits(spec, ports[number]) for spec, number in zip(specs, order, strict=True))


def _fits(spec: TensorSpec, port: DeviceTensor) -> bool:
    """Return whether sizes and kind of numbers are the same: floats for floats, whole numbers for whole ones."""
    floats = [dtype_of(dtype).kind in "fV" for dtype in (spec.dtype, port.dtype)]
    return floats[0] == floats[1] and _sizes_fit(spec, port)


def _sizes_fit(spec: TensorSpec, port: DeviceTensor) -> bool:
    sizes = [(dim, size) for dim, size in zip(spec.shape, port.shape, strict=False) if isinstance(dim, int)]
    return len(spec.shape) == len(port.shape) and all(size in (-1, dim) for dim, size in sizes)


def _cast(array: Array, wanted: "np.dtype[np.generic]", name: str) -> Array:
    floats = [kind in "fV" for kind in (array.dtype.kind, wanted.kind)]
    if all(floats):
        with np.errstate(over="ignore"):
            found = array.astype(wanted)
        if not np.isfinite(found.astype(np.float32)).all() and np.isfinite(array.astype(np.float32)).all():
            raise RunnerError(f"expected values of {name} that {wanted} can hold, found some beyond its range")
        return found
    if any(floats):
        hint = "; it was compiled for pictures as bytes" if wanted == np.uint8 else ""
        raise RunnerError(f"expected {name} as {wanted}, found {array.dtype}{hint}")
    found = array.astype(wanted)
    if not np.array_equal(found.astype(np.int64), array.astype(np.int64)):
        raise RunnerError(f"expected values of {name} that {wanted} can hold, found {array.min()} to {array.max()}")
    return found


def _names(items: "Sequence[TensorSpec] | Sequence[DeviceTensor]") -> str:
    return few(item.name for item in items)
