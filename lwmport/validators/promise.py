"""Whether an output is the one that a signature promises: it is there, and has the shape and the dtype."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from lwmport.types import Array, Dim, TensorSpec

_ANY: Final[Mapping[str, int]] = MappingProxyType({})


def fits(promised: Sequence[Dim], found: Sequence[int], sizes: Mapping[str, int] = _ANY) -> bool:
    """Return whether a shape is the one that is promised; a named size is that of ``sizes``, or else any."""
    if len(found) != len(promised):
        return False
    wanted = (sizes.get(dim, size) if isinstance(dim, str) else dim for dim, size in zip(promised, found, strict=True))
    return tuple(wanted) == tuple(found)


def broken(spec: TensorSpec, found: Array | None, sizes: Mapping[str, int] = _ANY, *, dtype: bool = True) -> str:
    """Return what is promised and what was found in its place, on one line, or an empty text if the promise is kept.

    Args:
        spec: what is promised.
        found: the tensor of that name, None if there is none.
        sizes: of named dimensions, where they are known.
        dtype: whether the dtype counts; it does not where the caller casts.
    """
    if found is not None and fits(spec.shape, found.shape, sizes) and (not dtype or str(found.dtype) == spec.dtype):
        return ""
    wanted = ", ".join(str(sizes.get(dim, dim)) if isinstance(dim, str) else str(dim) for dim in spec.shape)
    shown = "nothing" if found is None else f"{found.dtype}{list(found.shape)}"
    return f"expected {spec.name} as {spec.dtype}[{wanted}], found {shown}"
