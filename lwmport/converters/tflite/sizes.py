"""Sizes in TFLite: every tensor has a static shape, and a signature with -1 where the batch may be resized."""

from collections.abc import Sequence
from math import prod

from lwmport.errors import LoweringError
from lwmport.types import Dim

DYNAMIC = -1


def static_size(dim: Dim) -> int:
    """Return a size at batch 1: ``"256*batch"`` is 256.

    Raises:
        LoweringError: the size is no product of numbers and names, so that TFLite cannot resize to it.
    """
    if isinstance(dim, int):
        return dim
    factors = [factor.strip() for factor in dim.split("*")]
    if not all(factor.isdecimal() or factor.isidentifier() for factor in factors):
        raise LoweringError(
            f"expected sizes that are multiples of the batch, found {dim!r}: TFLite tensors have a static shape and "
            "can only be resized as a whole; fix the batch"
        )
    return prod(int(factor) for factor in factors if factor.isdecimal())


def static_shape(shape: Sequence[Dim]) -> tuple[int, ...]:
    """Return a shape at batch 1."""
    return tuple(map(static_size, shape))


def shape_signature(shape: Sequence[Dim]) -> list[int] | None:
    """Return the shape with -1 for dynamic sizes, and None if all are static."""
    signature = [dim if isinstance(dim, int) else DYNAMIC for dim in shape]
    return signature if DYNAMIC in signature else None


def reshape_target(shape: Sequence[Dim]) -> list[int]:
    """Return the shape operand of RESHAPE, with -1 for the one dynamic size.

    Raises:
        LoweringError: more than one size is dynamic.
    """
    target = shape_signature(shape) or static_shape(shape)
    if list(target).count(DYNAMIC) > 1:
        raise LoweringError(f"expected at most one dynamic size in RESHAPE, found {list(shape)}; fix the batch")
    return list(target)


def product(shape: Sequence[Dim]) -> Dim:
    """Return the number of elements; a dynamic one is its text, ``"256*batch"``.

    Raises:
        LoweringError: more than one size is dynamic.
    """
    dynamic = [dim for dim in shape if isinstance(dim, str)]
    if len(dynamic) > 1:
        raise LoweringError(f"expected at most one dynamic size among {list(shape)}; fix the batch")
    size = prod(dim for dim in shape if isinstance(dim, int))
    if not dynamic:
        return size
    return dynamic[0] if size == 1 else f"{size}*{dynamic[0]}"


def broadcast(first: Sequence[Dim], second: Sequence[Dim]) -> tuple[Dim, ...]:
    """Return the shape of an elementwise result; the shorter shape is aligned at its end."""
    rank = max(len(first), len(second))
    pairs = zip(_padded(first, rank), _padded(second, rank), strict=True)
    return tuple(b if a == 1 else a for a, b in pairs)


def _padded(shape: Sequence[Dim], rank: int) -> tuple[Dim, ...]:
    return (*(1 for _ in range(rank - len(shape))), *shape)
