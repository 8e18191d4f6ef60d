"""Recognising a file of random weights: its values are made again from a seed, and compared.

Nothing in the file has to say so, so what `lwmport checkpoint make` wrote is recognised under any name, in any format
and dtype, stacked or not. A few values of each tensor are read.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from lwmport.checkpoints.fit import is_floating
from lwmport.checkpoints.index import Checkpoint, Recognised
from lwmport.checkpoints.layers import LayeredWeights
from lwmport.checkpoints.seeded import Seeded
from lwmport.types import Array, WeightSpec, dtype_of

SEEDS: Final = range(10_000)
"""The seeds that are tried where nothing says one, in about a second; `lwmport.checkpoints.sidecar` tells others."""

VALUES: Final = 8
"""Values of a tensor that are compared: eight that are equal by chance are one in 10^16 in bfloat16."""

PROBES: Final = 2
"""Tensors that the seeds are tried on."""

TURNED: Final = 8
"""Tensors that are compared of those that lie transposed in their file: a row of one is read from end to end of it."""

ROUNDED: Final = ("float32", "float16", "bfloat16")
"""Dtypes that values may have been rounded to before they came into the file."""

Sources = Mapping[str, tuple[str, int, int]]


def recognised(
    checkpoint: Checkpoint, specs: Mapping[str, WeightSpec], sources: Sources, seeds: Iterable[int] = ()
) -> Recognised | None:
    """Return the seed that tensors of a checkpoint were made of; None where none of those looked at was.

    Args:
        checkpoint: the file.
        specs: the tensors of the model, one a layer, by their names in a checkpoint.
        sources: a tensor of one layer -> (tensor of the checkpoint, axis, layer), where layers are stacked.
        seeds: seeds that something says, before all others.

    Raises:
        CheckpointError: the file cannot be read.
    """
    names = _looked_at(checkpoint, specs, sources)
    found = {name: _first(checkpoint, name, specs[name], sources) for name in names}
    probes = [*names[:1], *names[len(names) // 2 : len(names) // 2 + 1]][:PROBES]
    for seed in dict.fromkeys((*seeds, *SEEDS)):
        if any(_is_made(name, specs[name].shape, found[name], seed) for name in probes):
            equal = sum(_is_made(name, specs[name].shape, values, seed) for name, values in found.items())
            return Recognised(seed=seed, tensors=equal, looked_at=len(found))
    return None


def _looked_at(checkpoint: Checkpoint, specs: Mapping[str, WeightSpec], sources: Sources) -> list[str]:
    """Return the names of tensors to look at, those that are cheap to read first."""
    held = {name: sources[name][0] if name in sources else name for name in specs}
    large = [name for name, spec in specs.items() if math.prod(spec.shape) >= VALUES]  # fewer are equal by chance
    floats = [name for name in large if is_floating(checkpoint.specs[held[name]].dtype)]
    turned = [name for name in floats if checkpoint.entries[held[name]].axes]
    plain = [name for name in floats if not checkpoint.entries[held[name]].axes]
    return plain + turned[:TURNED]


def _first(checkpoint: Checkpoint, name: str, spec: WeightSpec, sources: Sources) -> Array:
    """Return the first values of one tensor, in C order."""
    there = sources[name][0] if name in sources else name
    own = WeightSpec(shape=spec.shape, dtype=checkpoint.specs[there].dtype)
    lazy = LayeredWeights(checkpoint, {name: own}, {name: sources[name]} if name in sources else {}).lazy(name)
    rows = min(lazy.row_count, -(-VALUES // max(lazy.row_size, 1)))
    return lazy.rows(0, rows).reshape(-1)[:VALUES].copy()


def _is_made(name: str, shape: tuple[int, ...], found: Array, seed: int) -> bool:
    """Return whether values are those that a seed makes, as they are or rounded on their way."""
    made = Seeded(name, WeightSpec(shape=shape, dtype="float32"), seed).flat(0, found.size)
    return any(np.array_equal(made.astype(dtype_of(dtype)).astype(found.dtype), found) for dtype in ROUNDED)
