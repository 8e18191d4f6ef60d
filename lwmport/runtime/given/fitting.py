"""Whether an array is one that an input takes: its shape, its indices, and sizes that several inputs share."""

from collections.abc import Mapping, Sequence

from lwmport.errors import UsageError
from lwmport.types import Array, TensorSpec


def fits(spec: TensorSpec, shape: tuple[int, ...]) -> bool:
    """Return whether an input takes a shape; sizes that it has by name are any."""
    return len(shape) == len(spec.shape) and all(
        isinstance(dim, str) or dim == size for dim, size in zip(spec.shape, shape, strict=True)
    )


def in_range(array: Array, spec: TensorSpec, where: str) -> Array:
    """Return the array, if every index lies within what it looks into."""
    if array.dtype.kind in "iu" and spec.value_range and array.size:
        low, high = spec.value_range
        least, most = array.min(), array.max()
        if least < low or most > high:
            raise UsageError(f"{where}: expected {spec.name} from {low:.0f} to {high:.0f}, found {least} to {most}")
    return array


def check_sizes(specs: Sequence[TensorSpec], inputs: Mapping[str, Array], where: str) -> None:
    """Return if a size that several inputs have by name is the same in all; ``past + sequence`` is a sum of such."""
    sizes: dict[str, tuple[int, str]] = {}
    sums: list[tuple[str, int, str]] = []
    for spec in specs:
        for dim, size in zip(spec.shape, inputs[spec.name].shape, strict=True):
            if not isinstance(dim, str):
                continue
            if "+" in dim:
                sums.append((dim, size, spec.name))
            elif sizes.setdefault(dim, (size, spec.name))[0] != size:
                known, other = sizes[dim]
                raise UsageError(f"{where}: expected {dim} {known} of {spec.name} as of {other}, found {size}")
    for dim, size, name in sums:
        parts = [part.strip() for part in dim.split("+")]
        if all(part.isdecimal() or part in sizes for part in parts):
            total = sum(int(part) if part.isdecimal() else sizes[part][0] for part in parts)
            if total != size:
                raise UsageError(f"{where}: expected {dim} = {total} of {name}, found {size}")
