"""Looks of a CPU's rules."""

from collections.abc import Iterator

from lwmport.targets.rules.rule import Hit, Subject


def half_precision(subject: Subject) -> Iterator[Hit]:
    """Yield a hit for a model with weights in half precision."""
    names = [item.name for item in subject.graph.constants.values() if item.dtype in {"float16", "bfloat16"}]
    if names:
        yield Hit(where=names[0], found=f"{len(names)} weights in half precision")
