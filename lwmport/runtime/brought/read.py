"""Values that a device computed, brought back in the files of a vendor's tool: found out, read lazily, matched by name.

``docs/device_outputs.md`` says which command leaves what. Files are read inside of the folder alone, through no link;
nothing in them is executed; what is cut costs one line.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from lwmport.errors import ArtifactError
from lwmport.runtime.brought import ais_bench, ascend, compass, migraphx, npy_folder
from lwmport.runtime.brought.layouts import fitted
from lwmport.runtime.brought.listing import Listing, listed
from lwmport.runtime.brought.matching import Nodes, matches
from lwmport.runtime.brought.tensor import Brought, BroughtTensor
from lwmport.types import Array, dtype_of

__all__ = ["Brought", "BroughtTensor", "matched", "read_brought", "unmatched", "values"]

KINDS: Final[Mapping[str, tuple[Callable[[Listing], bool], Callable[[Listing], Brought]]]] = {
    migraphx.KIND: (migraphx.fits, migraphx.read),
    ascend.KIND: (ascend.fits, ascend.read),
    ais_bench.KIND: (ais_bench.fits, ais_bench.read),
    compass.KIND: (compass.fits, compass.read),
    npy_folder.KIND: (npy_folder.fits, npy_folder.read),
}
"""Kind -> whether a listing is of it, and what reads it; the first that fits decides."""


def read_brought(folder_or_file: Path) -> Brought:
    """Return what a device's tool left in a folder or a file, of whichever kind it is. No values are read yet.

    Raises:
        ArtifactError: it is of no kind, or a file is damaged or cut.
    """
    found = listed(folder_or_file)
    for kind, (fits, read) in KINDS.items():
        if fits(found):
            brought = read(found)
            if not brought.tensors:
                why = f" ({brought.notes[0]})" if brought.notes else ""
                raise ArtifactError(f"{folder_or_file}: expected tensors in outputs of {kind}, found none{why}")
            return replace(brought, notes=(*brought.notes, *found.notes))
    raise ArtifactError(
        f"expected outputs of a device at {folder_or_file} ({', '.join(KINDS)}), found "
        f"{len(found.files):,} files of another kind; docs/device_outputs.md has the commands"
    )


def matched(
    brought: Brought,
    names: Collection[str],
    *,
    outputs: Sequence[str] = (),
    nodes: Nodes | None = None,
    sample: int = 0,
) -> dict[str, BroughtTensor]:
    """Return what was brought of one run, by the names of a model's tensors; what is ambiguous is in `unmatched`.

    Args:
        brought: what a device computed.
        names: the tensors that are looked for.
        outputs: the model's outputs in its order, for tools that tell positions alone.
        nodes: (name of a node, number of its output) -> tensor, for tools that name nodes; of all nodes, for a name
            that fits a tensor which is not looked for is that tensor's.
        sample: which run.
    """
    return dict(matches(brought, names, outputs=outputs, nodes=nodes, sample=sample).tensors)


def unmatched(
    brought: Brought,
    names: Collection[str],
    *,
    outputs: Sequence[str] = (),
    nodes: Nodes | None = None,
    sample: int = 0,
) -> tuple[str, ...]:
    """Return why `matched` left tensors out, one sentence each: names that fit several, or none, or come twice."""
    return matches(brought, names, outputs=outputs, nodes=nodes, sample=sample).notes


def values(tensor: BroughtTensor, shape: tuple[int, ...], dtype: str, order: str = "") -> Array:
    """Return the values of a tensor in the sizes and order of the model, in the dtype that the device had.

    Args:
        tensor: one with values.
        shape: sizes in the model.
        dtype: the model's dtype, for a file that tells none.
        order: ``NCHW`` for ONNX, ``NHWC`` for TFLite and SavedModel: it decides where sizes fit in two ways.

    Raises:
        ArtifactError: there are statistics alone, or the values do not fit, or fit in two ways.
    """
    if tensor.load is None:
        raise ArtifactError(f"{tensor.source}: expected values, found statistics alone")
    array = tensor.load()
    try:
        if not tensor.dtype and array.dtype.name == "uint8" and array.ndim == 1:
            array = _as_told(array, dtype)
        return fitted(array, shape, tensor.layout, order)
    except ArtifactError as error:
        raise ArtifactError(f"{tensor.source}: {error}") from error


def _as_told(raw: Array, dtype: str) -> Array:
    """Return bytes as numbers of a dtype."""
    size = dtype_of(dtype).itemsize
    if raw.size % size:
        raise ArtifactError(f"expected numbers of {size} bytes ({dtype}), found {raw.size:,} bytes")
    return raw.view(dtype_of(dtype))
