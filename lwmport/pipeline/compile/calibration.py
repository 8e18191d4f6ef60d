"""Samples to quantise with: those of a folder, or some that are made anew."""

from pathlib import Path
from tokenize import TokenError
from typing import Any, Final

import numpy as np

from lwmport.errors import ArtifactError, one_line
from lwmport.manifest import ComponentEntry
from lwmport.pipeline.reopen import Converted
from lwmport.targets.compile.job import Gear
from lwmport.types import Array, Signature, TensorSpec, dtype_of

SAMPLES: Final = 8
"""Samples that are made up where none are given."""

BLOCK: Final = 1 << 20
"""Values that are looked at at once: the samples may be larger than the memory."""

UNREADABLE: Final = (
    OSError,
    OverflowError,
    ValueError,
    SyntaxError,
    TypeError,
    TokenError,
    MemoryError,
    RecursionError,
)
"""What numpy raises on a damaged header: it is a Python expression, which is only read, never run."""


def given_samples(folder: Path, signature: Signature) -> dict[str, Array]:
    """Return the samples in a folder, an INPUT.npy [samples, ...] for each input; nothing in them is executed.

    Their dtype is the input's, or one of the same kind whose values it holds: float64 for float32, int64 for int32.

    Raises:
        ArtifactError: a file is missing, or is no plain array, or has another kind of dtype than the input, or a value
            that the input does not hold: NaN, or what is too large for it.
    """
    found: dict[str, Array] = {}
    for spec in signature.inputs:
        path = folder / f"{spec.name}.npy"
        try:
            if path.exists() and not path.is_file():
                raise ArtifactError(f"expected an array of samples at {path}, found no file: a folder, pipe or device")
            found[spec.name] = np.lib.format.open_memmap(path, mode="r")
        except UNREADABLE as error:
            raise ArtifactError(f"expected an array of samples at {path}, found: {one_line(error)}") from error
        _check_samples(path, found[spec.name], spec)
    return found


def _check_samples(path: Path, found: Array, spec: TensorSpec) -> None:
    """Refuse samples that are none of the input: quantised on them, a model is wrong without a word."""
    wanted = dtype_of(spec.dtype)
    if _kind(found.dtype) != _kind(wanted):
        raise ArtifactError(f"expected samples of {spec.name} in {spec.dtype} at {path}, found {found.dtype}")
    flat = found.ravel(order="K")
    bad = sum(_unheld(flat[start : start + BLOCK], wanted) for start in range(0, flat.size, BLOCK))
    if bad:
        values = "finite numbers" if _kind(wanted) == "f" else "numbers"
        raise ArtifactError(
            f"expected samples of {spec.name} at {path} as {values} of {spec.dtype}, found {bad:,} of {flat.size:,} "
            f"that are none; leave those samples out"
        )


def _unheld(block: Array, wanted: np.dtype[Any]) -> int:
    """Return how many values a dtype cannot hold, or are not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        held = block.astype(wanted)
    return int(np.count_nonzero(~np.isfinite(held) if _kind(wanted) == "f" else held != block))


def _kind(dtype: np.dtype[Any]) -> str:
    return "f" if dtype.name == "bfloat16" else "i" if dtype.kind == "u" else dtype.kind


def made_samples(found: Converted, part: ComponentEntry, gear: Gear) -> dict[str, Array]:
    """Return samples of a component of ours, [samples, ...] each: photographs, their codes, or seeded tokens.

    Raises:
        ArtifactError: the manifest names a component that its model does not have.
        CheckpointError: the weights that were converted are needed, and not given.
    """
    from lwmport.pipeline.bundle.samples import take

    component, weights = found.component(part.name), found.component_weights(part.name)
    batch = part.signature.inputs[0].shape[0]
    size = batch if isinstance(batch, int) else gear.get(batch, 1)
    taken = take(component, weights, part.signature, size, (0, SAMPLES)).calibration
    return {spec.name: np.stack([sample[spec.name] for sample in taken]) for spec in part.signature.inputs}
