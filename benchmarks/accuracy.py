"""How far a contender's outputs are from JAX's, in float64."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lwmport.types import Array


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """The largest difference of any value, and how many codebook indices differ.

    Where an index differs the states are another code's, so the error of the states is over equal indices only.
    """

    max_error: float
    differing_indices: int


def compare(found: Mapping[str, Array], reference: Mapping[str, Array]) -> Accuracy:
    """Return how far outputs are from the reference's; both halves' outputs are told apart by name.

    Raises:
        ValueError: outputs are missing, or have another shape.
    """
    shapes = {name: array.shape for name, array in reference.items()}
    if {name: array.shape for name, array in found.items()} != shapes:
        raise ValueError(f"expected outputs {shapes}, found { {name: array.shape for name, array in found.items()} }")
    if "pixel_values" in reference:
        return Accuracy(max_error=_worst(found["pixel_values"], reference["pixel_values"]), differing_indices=0)
    same = found["codebook_indices"] == reference["codebook_indices"]
    return Accuracy(
        max_error=_worst(found["quantized_states"][same], reference["quantized_states"][same]),
        differing_indices=int(np.count_nonzero(~same)),
    )


def _worst(found: Array, reference: Array) -> float:
    return float(np.max(np.abs(found.astype(np.float64) - reference), initial=0.0))
