"""Making checkpoints: seeded weights in LWM's own format, for trials without the real ones."""

from pathlib import Path

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.writing import write_checkpoint
from lwmport.models.families import resolve
from lwmport.pipeline.observer import Observer, Silent

NATIVE = "pickle"
"""The format in which LWM releases its VQGAN."""


def make(
    component: str,
    out: Path,
    *,
    seed: int = 0,
    config: str = "lwm",
    form: str = NATIVE,
    observer: Observer | None = None,
) -> SeededWeights:
    """Write seeded weights of a whole model to one file, and return them.

    Raises:
        PortError: an unknown component, configuration or format, or the file cannot be written.
    """
    family = resolve(component, config)
    weights = SeededWeights(family.weights, seed)
    total = sum(spec.nbytes for spec in family.weights.values())
    observer = observer or Silent()
    observer.phase(f"write {weights.source['description']} to {out}")
    write_checkpoint(weights, out, form, lambda name, done: observer.progress(name, done, total))
    return weights
