"""What an artifact stores of its weights, for its manifest."""

from collections.abc import Iterable
from typing import Any

from lwmport import plain
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.types import Weights


def stored_details(weights: Weights, constants: Iterable[tuple[str | None, str, int]]) -> dict[str, Any]:
    """Return the scheme of storage, and how many tensors and bytes are stored in each dtype; nothing without a scheme.

    Args:
        weights: what was converted.
        constants: checkpoint name (None or empty for what comes from no weight), dtype and bytes of each constant.
    """
    if not isinstance(weights, StoredWeights):
        return {}
    stored: dict[str, dict[str, int]] = {}
    for source, dtype, count in constants:
        if source:
            entry = stored.setdefault(dtype, {"tensors": 0, "bytes": 0})
            entry["tensors"] += 1
            entry["bytes"] += count
    return {"scheme": plain.encode(weights.scheme), "stored": dict(sorted(stored.items()))}
