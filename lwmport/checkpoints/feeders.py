"""Components whose inputs another one makes, where a checkpoint does not hold that one: seeded numbers stand for it."""

from collections.abc import Collection
from dataclasses import replace

from lwmport.checkpoints.index import Checkpoint
from lwmport.models.families import Family, checkpoint_weights
from lwmport.types import Component


def has_feeders(family: Family) -> bool:
    """Return whether a component of a model is fed by another one, whose weights may lie in another file."""
    return not family.spec.weights and any(one.feeder is not None for one in family.references)


def with_its_feeders(family: Family, opened: Checkpoint | None) -> Family:
    """Return the model without the feeders that a checkpoint does not hold whole: seeded numbers then stand for them.

    One file of several is enough for a part that reads no other; the checkpoint says so in its remarks.
    """
    if opened is None or not has_feeders(family):
        return family
    missing = {one.name: _missing(one, opened.specs) for one in family.references}
    unfed = {one.name: one.feeder for one in family.references if one.feeder is not None and missing[one.name]}
    if not unfed:
        return family
    told = (
        f"{name} is judged on seeded numbers: {missing[name]} tensors of {feeder.name}, which feeds it, are not here"
        for name, feeder in unfed.items()
    )
    opened.findings = replace(opened.findings, remarks=(*opened.findings.remarks, *told))
    components, references = (
        tuple(replace(one, feeder=None) if one.name in unfed else one for one in several)
        for several in (family.components, family.references)
    )
    return replace(family, components=components, references=references)


def _missing(component: Component, held: Collection[str]) -> int:
    """Return how many tensors of what feeds a component are not held, beside those of the component itself."""
    if component.feeder is None:
        return 0
    names = checkpoint_weights((component.feeder,)).keys() - checkpoint_weights((component,)).keys()
    return sum(name not in held for name in names)
