"""Which families there are: our own, and those that installed packages bring by an entry point.

A package names its `FamilySpec` in the group `GROUP`. A family that cannot be taken costs one line in `refused`, and no
other family is lost.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import metadata
from typing import Final

from lwmport.errors import UsageError, one_line
from lwmport.models.options import Options
from lwmport.models.spec import FamilySpec
from lwmport.registry import Registry, check_known
from lwmport.types import Tolerances

FAMILIES: Final = Registry(
    "family",
    {
        "llama": "lwmport.models.llama.family:FAMILY",
        "vqgan": "lwmport.models.vqgan.family:FAMILY",
    },
)
"""Our own families -> `FamilySpec`."""

GROUP: Final = "lwmport.families"
"""The group of entry points by which packages bring families."""

OURS: Final = "lwmport"
NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*")
"""A name becomes part of the names of files."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found: the families, who brings each, and a line for each entry point that is not taken."""

    specs: Mapping[str, FamilySpec]
    providers: Mapping[str, str]
    refused: Mapping[str, str]


@cache
def found() -> Found:
    """Return the families of this installation. They are looked for once; ``found.cache_clear()`` looks again."""
    specs = {name: FAMILIES[name] for name in FAMILIES}
    providers, refused = dict.fromkeys(specs, OURS), dict[str, str]()
    for provider, entry in _entry_points():
        try:
            spec = _loaded(entry)
            _check(spec, specs, providers, provider)
        except Exception as error:  # noqa: BLE001 - the package is somebody else's, and may raise anything
            words = str(error) if isinstance(error, UsageError) else f"{type(error).__name__}: {one_line(error)}"
            refused[f"{entry.name} of {provider}"] = f"left out: {words}"
            continue
        specs[spec.name], providers[spec.name] = spec, provider
    return Found(specs=specs, providers=providers, refused=refused)


def spec_of(family: str) -> FamilySpec | None:
    """Return the record of a family by its name, or by a name that its models have in manifests; None if unknown."""
    return next((spec for spec in found().specs.values() if family in {spec.name, *spec.aliases}), None)


def tolerances_of(family: str) -> Tolerances:
    """Return the tolerances of a family; of an unknown one, none of its own, so that the defaults count."""
    spec = spec_of(family)
    return Tolerances() if spec is None else spec.tolerances


def versions_of(spec: FamilySpec) -> dict[str, str]:
    """Return the version of the distribution that brings a family: it can change numbers, as our own version can."""
    provider = found().providers.get(spec.name, OURS)
    return {} if provider == OURS else {provider: metadata.version(provider)}


def _entry_points() -> Iterator[tuple[str, metadata.EntryPoint]]:
    """Yield (distribution, entry point) in a fixed order."""
    named = [(entry.dist.name if entry.dist else "an unnamed distribution", entry) for entry in _group()]
    yield from sorted(named, key=lambda one: (one[0], one[1].name))


def _group() -> metadata.EntryPoints:
    return metadata.entry_points(group=GROUP)


def _loaded(entry: metadata.EntryPoint) -> FamilySpec:
    spec = entry.load()
    if not isinstance(spec, FamilySpec):
        raise UsageError(f"expected a FamilySpec at {entry.value}, found {type(spec).__name__}")
    return spec


def _check(spec: FamilySpec, specs: Mapping[str, FamilySpec], providers: Mapping[str, str], provider: str) -> None:
    """Refuse a name that is taken, a name that no file can have, and what the record itself contradicts."""
    taken = {name: providers[other.name] for other in specs.values() for name in _names(other)}
    families = {name: providers[other.name] for other in specs.values() for name in (other.name, *other.aliases)}
    for kind, names, others in (
        ("family", (spec.name, *spec.aliases), families),
        ("component", _names(spec), taken),
    ):
        for name in names:
            if not NAME.fullmatch(name):
                raise UsageError(f"expected a name of letters, digits, '.', '_' and '-' as {kind}, found {name!r}")
            if name in others:
                raise UsageError(
                    f"expected a new name as {kind}, found {name!r} of {provider}, which {others[name]} has"
                )
    check_record(spec)


def check_record(spec: FamilySpec) -> None:
    """Return if a record names no component and no option that there is not.

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


def _names(spec: FamilySpec) -> tuple[str, ...]:
    return (*spec.groups, *(part.name for part in spec.components))
