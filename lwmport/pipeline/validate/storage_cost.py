"""What it costs to store weights in another form: said of each output, without a verdict."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.manifest import ComponentEntry
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.reports import numbers
from lwmport.types import Array, Weights
from lwmport.validators.accuracy import NO_LIMIT
from lwmport.validators.values import value_metrics

SLOW = (
    "ONNX Runtime unpacks matrices of 8 bits at each run where products are in float32. w8a8 and w4a16 are faster than "
    "w8a16 there."
)

SCALED = (
    "Channels are scaled (awq), those of values in the cache too: what the cache loses is not stated, and no other "
    "model can read it."
)


def storage_notes(part: ComponentEntry, weights: Weights, run: ReferenceRun, outputs: Mapping[str, Array]) -> list[str]:
    """Return what is stored as what, and how far the reference moves when weights are rounded to what is stored.

    Nothing where all weights are stored as they are computed.

    Args:
        part: the manifest's entry. That of a compiled file does not tell what is stored.
        weights: those that were converted.
        run: of the reference, with ``weights``.
        outputs: of the reference with the exact weights, on the same inputs.
    """
    if not isinstance(weights, StoredWeights):
        return []
    exact = run.counted(outputs)
    own = run.component.signature.caches if weights.scaled else frozenset()
    rounded = {name: array for name, array in run.counted(run.outputs).items() if name not in own}
    return [
        _stored(part.details.get("stored"), weights),
        *([SLOW] if _is_slow(part, weights) else []),
        *(f"Cost of storage, {name}: {_cost(exact[name], array)}." for name, array in rounded.items()),
        *([SCALED] if own else []),
    ]


def _stored(counts: Mapping[str, Mapping[str, Any]] | None, weights: StoredWeights) -> str:
    """Return how many tensors are stored in which dtype; without counts, only what the converted model stores."""
    scheme = weights.scheme
    if counts is None:
        return (
            f"Compiled from a model whose weights are stored in {scheme.name} and computed in {scheme.computed}. "
            "The compiler decides what this file stores."
        )
    parts = [
        f"{numbers.count(found['tensors'])} tensors in {dtype} ({numbers.size(found['bytes'])})"
        for dtype, found in counts.items()
    ]
    return f"Stored in {scheme.name}, computed in {scheme.computed}: {', '.join(parts)}."


def _is_slow(part: ComponentEntry, weights: StoredWeights) -> bool:
    """Return whether ONNX Runtime has no fast kernel for the products of a model."""
    slow = weights.scheme.bits == 8 and bool(weights.scheme.scales) and not weights.scheme.activations
    return slow and "com.microsoft.MatMulNBits" in part.operators


def _cost(exact: Array, rounded: Array) -> str:
    """Return the difference that rounded weights make to one output of the reference."""
    if not np.issubdtype(exact.dtype, np.floating):
        return f"{numbers.count(int(np.count_nonzero(exact != rounded)))} of {numbers.count(exact.size)} values differ"
    found = value_metrics(exact, rounded, NO_LIMIT)
    return (
        f"largest error {numbers.number(found.max_abs_error)}, SQNR {numbers.decibels(found.sqnr_db)} "
        "against exact weights"
    )
