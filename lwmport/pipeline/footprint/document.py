"""A memory plan as one JSON document."""

from typing import Any

from lwmport import plain
from lwmport.pipeline.footprint.record import FORMAT, MemoryPlan


def document(found: MemoryPlan) -> dict[str, Any]:
    """Return a plan as plain JSON values, of the form ``lwmport-plan/1``; sizes are bytes."""
    return {"format": FORMAT, "status": found.status, **plain.encode(found)}
