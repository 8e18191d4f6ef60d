"""Which families there are: our own by the table here, and those that installed packages bring by an entry point."""

import re
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Final

from lwmport.entry_points import OpenRegistry
from lwmport.errors import ArtifactError, UsageError
from lwmport.models.options import Options
from lwmport.models.spec import FamilySpec
from lwmport.registry import check_known
from lwmport.types import Tolerances

GROUP: Final = "lwmport.families"
"""The group of entry points by which packages bring families."""

NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*")
"""A name becomes part of the names of files."""


def spec_of(family: str) -> FamilySpec | None:
    """Return the record of a family by its name, or by a name that its models have in manifests; None if unknown."""
    return next((spec for spec in FAMILIES.values() if family in {spec.name, *spec.aliases}), None)


def family_of(name: str) -> FamilySpec:
    """Return the record of a family that a manifest names.

    Raises:
        ArtifactError: it is not known here.
    """
    family = spec_of(name)
    if family is None:
        raise ArtifactError(f"expected a family that is known here, found {name!r}")
    return family


def tolerances_of(family: str) -> Tolerances:
    """Return the tolerances of a family; of an unknown one, none of its own, so that the defaults count."""
    spec = spec_of(family)
    return Tolerances() if spec is None else spec.tolerances


def logits_of(family: str) -> tuple[str, ...]:
    """Return the outputs of a family that are logits; none of an unknown one."""
    spec = spec_of(family)
    return () if spec is None else spec.logits


def marked(names: Collection[str]) -> str:
    """Return the component whose weights a checkpoint with these tensors holds, the group if it holds all of one's.

    Nothing is returned if no tensor is a mark.
    """
    for spec in FAMILIES.values():
        held = [component for tensor, component in spec.marks.items() if tensor in names]
        if held:
            return next((group for group, parts in spec.groups.items() if set(parts) <= set(held)), held[0])
    return ""


def looks_like(names: Collection[str]) -> str:
    """Return the component that a checkpoint with these tensors is for, by marks and signs; nothing if unknown."""
    signs = (sign for spec in FAMILIES.values() for sign in spec.signs.items())
    return marked(names) or next((component for tensor, component in signs if tensor in names), "")


def named_by_huggingface(names: Collection[str]) -> bool:
    """Return whether tensors have the names of a family's folder of Hugging Face, and not the family's own."""
    return any(folder.first in names for spec in FAMILIES.values() for folder in spec.all_folders)


def owner_of(spec: FamilySpec) -> str:
    """Return a family, and the package that brings it if that is another than ours, for a message."""
    package = FAMILIES.provider(spec.name)
    return f"the family {spec.name!r}" + (f" of {package.name}" if package else "")


def versions_of(spec: FamilySpec) -> dict[str, str]:
    """Return the version of the package that brings a family: it can change numbers, as our own version can."""
    package = FAMILIES.provider(spec.name)
    return {package.name: package.version} if package else {}


def check_record(spec: FamilySpec) -> None:
    """Return if a record names no component and no option that there is not, and its fields go together.

    Raises:
        UsageError: it does.
    """
    parts = [part.name for part in spec.components]
    known = [item.name for item in fields(Options)]
    for name in (*(name for group in spec.groups.values() for name in group), *spec.marks.values()):
        check_known(f"component of {spec.name}", name, parts)
    for part in spec.components:
        for name in part.static:
            check_known(f"component of {spec.name}", name, parts)
        for name in part.options:
            check_known("option of a model", name, known)
    if bool(spec.configs) == bool(spec.configure):
        raise UsageError(f"expected configs or configure in the family {spec.name}, found both or neither")
    if spec.sources and not spec.weights:
        raise UsageError(f"expected weights beside sources in the family {spec.name}, found sources alone")


def _check(found: FamilySpec, known: Mapping[str, FamilySpec]) -> None:
    """Refuse a name that is taken, a name that no file can have, and what the record itself contradicts."""
    for kind, names in (("family", _families), ("component", _components)):
        owners = {name: f"the family {spec.name!r}" for spec in known.values() for name in names(spec)}
        for name in names(found):
            if not NAME.fullmatch(name):
                raise UsageError(f"expected a name of letters, digits, '.', '_' and '-' as {kind}, found {name!r}")
            if name in owners:
                raise UsageError(f"expected another name for the {kind} {name!r}, which {owners[name]} has")
    check_record(found)


def _families(spec: FamilySpec) -> tuple[str, ...]:
    return (spec.name, *spec.aliases)


def _components(spec: FamilySpec) -> tuple[str, ...]:
    return (*spec.groups, *(part.name for part in spec.components))


FAMILIES: Final[OpenRegistry[FamilySpec]] = OpenRegistry(
    kind="family",
    table={
        "llama": "lwmport.models.llama.family:FAMILY",
        "llava": "lwmport.models.llava.family:FAMILY",
        "minigpt4": "lwmport.models.minigpt4.family:FAMILY",
        "vqgan": "lwmport.models.vqgan.family:FAMILY",
    },
    group=GROUP,
    record=FamilySpec,
    check=_check,
)
"""Name -> `FamilySpec`."""
