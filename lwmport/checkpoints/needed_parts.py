"""Which parts of a model a checkpoint holds that is published in several files: what a component cannot do without.

A component reads its own weights. Where another one makes its inputs, that one's are read too, if they are there.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from lwmport.checkpoints.index import Checkpoint
from lwmport.errors import CheckpointError
from lwmport.models.families import Family, checkpoint_weights
from lwmport.models.released_files import WeightPart
from lwmport.models.spec import FamilySpec
from lwmport.types import Component
from lwmport.wording import few


def with_its_parts(family: Family, opened: Checkpoint | None) -> Family:
    """Return a model as its checkpoint allows: components whose feeder has no weights there are fed random numbers.

    The checkpoint says so then.

    Raises:
        CheckpointError: a part that a component itself reads is not there; the message says which file has it.
    """
    if opened is None or family.spec.released is None:
        return family
    _check(family, opened)
    fed = {
        one.name: _missing(family.spec, [one.feeder], opened.specs)
        for one in family.references
        if one.feeder is not None
    }
    unfed = {name: parts for name, parts in fed.items() if parts}
    if not unfed:
        return family
    said = [f"inputs of {name} are random numbers, for {_told(parts)} is not there" for name, parts in unfed.items()]
    opened.findings = replace(opened.findings, remarks=(*opened.findings.remarks, *said))
    return replace(
        family,
        components=tuple(_without(one, unfed) for one in family.components),
        references=tuple(_without(one, unfed) for one in family.references),
    )


def _check(family: Family, opened: Checkpoint) -> None:
    for component in family.references:
        lacking = _missing(family.spec, [component], opened.specs)
        if lacking:
            names = few(dict.fromkeys(part.where for part in lacking))
            raise CheckpointError(
                f"expected {_told(lacking)} for {component.name}, found none of it in {opened.path}: it is in {names}; "
                "put that beside the others into one folder and name the folder as the checkpoint"
            )


def _missing(spec: FamilySpec, components: Iterable[Component], names: Collection[str]) -> list[WeightPart]:
    """Return the parts of which components read something and a checkpoint has nothing."""
    read = checkpoint_weights(tuple(components))
    parts = spec.released.parts if spec.released else ()
    return [part for part in parts if part.among(read) and not part.among(names)]


def _told(parts: Iterable[WeightPart]) -> str:
    return few(part.starts.rstrip("/") for part in parts)


def _without(component: Component, unfed: Collection[str]) -> Component:
    return replace(component, feeder=None) if component.name in unfed else component
