"""The configuration that is meant, and who told it: a folder, a file beside the checkpoint, the user, or a default.

What no tensor tells is never guessed for a checkpoint: it is asked for.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.sidecar import Sidecar, sidecar_of
from lwmport.choices import CONFIGURATION, Choice
from lwmport.errors import UsageError
from lwmport.models.families import USUAL, Family, is_file, offers_of, read_fields
from lwmport.models.options import changes
from lwmport.models.spec import FamilySpec

OFFERED: Final = 6
"""Configurations that are offered in a line."""


@dataclass(frozen=True, kw_only=True)
class ToldConfig:
    """A configuration, and where its fields came from.

    Attributes:
        config: as `lwmport.models.families.resolve` takes it.
        name: what it is called, for a person.
        source: who told it.
        sources: field -> who told it, where that was somebody else.
        beside: what lwmport wrote beside the checkpoint, where the configuration came from elsewhere.
    """

    config: str | Mapping[str, Any]
    name: str
    source: str
    sources: Mapping[str, str] = field(default_factory=dict)
    beside: Sidecar | None = None


def told_config(
    spec: FamilySpec,
    component: str,
    opened: Checkpoint | None,
    asked: str | Mapping[str, Any],
    settings: tuple[str, ...] = (),
) -> ToldConfig:
    """Return the configuration that is meant for a component and, if there is one, its checkpoint.

    Args:
        spec: the family of the component.
        component: what was asked for.
        opened: the checkpoint; None for seeded weights, of which nothing has to be asked.
        asked: the configuration that was asked for; `USUAL` for none.
        settings: changes of it, ``field=value`` each.

    Raises:
        UsageError: the configuration leaves out what no tensor tells, and nothing else tells it; or two sources
            contradict each other.
    """
    if opened is None:
        return _without_checkpoint(spec, asked)
    if opened.config:
        return _own(spec, opened, asked)
    beside = sidecar_of(opened)
    if beside is not None and beside.family != spec.name:
        beside = None
    if asked == USUAL:
        return _unasked(spec, component, opened, beside, settings)
    return _asked(spec, component, opened, asked, beside, settings)


def _without_checkpoint(spec: FamilySpec, asked: str | Mapping[str, Any]) -> ToldConfig:
    if asked == USUAL:
        return ToldConfig(config=asked, name=spec.usual or USUAL, source=f"default of {spec.name}")
    told = _named(asked)
    left_out = _missing(spec, asked)
    sources = dict.fromkeys(left_out, f"LWM's default, for {told.name} leaves it out")
    return ToldConfig(config=asked, name=told.name, source=told.source, sources=sources)


def _own(spec: FamilySpec, opened: Checkpoint, asked: str | Mapping[str, Any]) -> ToldConfig:
    """Return the configuration of a Hugging Face folder or of a GGUF file, which believes its own heads already."""
    if asked not in (USUAL, dict(opened.config)):
        raise UsageError(f"expected no --config: {opened.path.name} has its own; use --set to change a field")
    name, whose = ("metadata", "GGUF's") if opened.format == "gguf" else ("config.json", "transformers'")
    silent = (item.field for item in spec.chosen if item.field not in opened.config)
    sources = dict.fromkeys(silent, f"{spec.usual or USUAL}, for {name} leaves it out")
    sources |= dict.fromkeys(opened.findings.assumed, f"{whose} default, for {name} leaves it out")
    return ToldConfig(config=dict(opened.config), name=name, source=name, sources=sources)


def _unasked(
    spec: FamilySpec, component: str, opened: Checkpoint, beside: Sidecar | None, settings: tuple[str, ...]
) -> ToldConfig:
    if beside is not None:
        return ToldConfig(config=dict(beside.config), name=beside.name, source=_told_by(beside))
    missing = _missing(spec, {}, settings) if spec.offers else ()
    if missing:
        raise UsageError(_question(spec, component, opened, missing))
    source = "the shapes of the checkpoint" if spec.offers else f"default of {spec.name}"
    return ToldConfig(config=USUAL, name=spec.usual or USUAL, source=source)


def _asked(
    spec: FamilySpec,
    component: str,
    opened: Checkpoint,
    asked: str | Mapping[str, Any],
    beside: Sidecar | None,
    settings: tuple[str, ...],
) -> ToldConfig:
    told = _named(asked)
    fields = _fields_of(asked)
    known = {} if beside is None else dict(beside.config)
    if fields is None:
        return replace(told, beside=beside)
    missing = _missing(spec, fields, settings) if spec.offers else ()
    unknown = [name for name in missing if name not in known]
    if unknown:
        raise UsageError(_question(spec, component, opened, unknown, told.name))
    added = {name: known[name] for name in missing}
    return replace(
        told,
        config={**fields, **added} if added else asked,
        sources=dict.fromkeys(added, _told_by(beside)),
        beside=beside,
    )


def _told_by(beside: Sidecar | None) -> str:
    return f"{beside.name}, written by lwmport" if beside else ""


def check_agrees(spec: FamilySpec, told: ToldConfig, config: Mapping[str, Any], settings: tuple[str, ...]) -> None:
    """Return if a configuration says of untold fields what the maker of the checkpoint wrote beside it.

    Raises:
        UsageError: it does not, and nobody changed that field with ``--set``.
    """
    beside, changed = told.beside, changes(settings)
    if beside is None:
        return
    for item in spec.untold:
        known, found = beside.config.get(item.field), config.get(item.field)
        if known is not None and item.field not in changed and found != known:
            raise UsageError(
                f"expected {item.field} {known} as {beside.name} says, which lwmport wrote beside the checkpoint, "
                f"found {found} in {told.source}; leave --config out, or say --set {item.field}={found}"
            )


def _question(spec: FamilySpec, component: str, opened: Checkpoint, missing: Sequence[str], named: str = "") -> str:
    words = {item.field: item.word for item in spec.untold}
    lacking = ", ".join(words[name] for name in missing)
    names = offers_of(spec, component, opened.specs)
    fits = f"its shapes fit --config {' or '.join(names[:OFFERED])}; for another " if names else ""
    found = f"{named} without them" if named else "none"
    return (
        f"expected --config for {opened.path.name}, because no tensor tells {lacking}, found {found}; {fits}use "
        f"--config FILE.json with {', '.join(missing)}, or --set {missing[0]}=VALUE for each"
    )


def _missing(spec: FamilySpec, config: str | Mapping[str, Any], settings: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the fields that no tensor tells and that neither a configuration nor a setting says; a name says all."""
    fields = _fields_of(config)
    if fields is None:
        return ()
    changed = changes(settings)
    return tuple(item.field for item in spec.untold if item.field not in fields and item.field not in changed)


def _fields_of(config: str | Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the fields that a configuration spells out; None for the name of one."""
    return None if isinstance(config, str) and not is_file(config) else read_fields(config)


def _named(asked: str | Mapping[str, Any]) -> ToldConfig:
    if not isinstance(asked, str):
        return ToldConfig(config=asked, name="config", source="the fields given as config")
    name = Path(asked).name if is_file(asked) else asked
    return ToldConfig(config=asked, name=name, source=f"--config {name}")


def config_choices(
    family: Family, told: ToldConfig, settings: tuple[str, ...], specs: Collection[str]
) -> tuple[Choice, ...]:
    """Return the choices of a model's configuration: which it is, and each field that changes what is computed.

    ``specs`` are the names of the tensors of the checkpoint, none for seeded weights.
    """
    changed = changes(settings)
    found = [Choice(CONFIGURATION, told.name, told.source)]
    for item in family.spec.chosen:
        if item.field not in family.config:
            continue
        value = family.config[item.field]
        if item.field in changed:
            source = f"--set {item.field}"
        elif item.tensor and item.tensor in specs:
            source = f"the shape of {item.tensor}"
        else:
            source = told.sources.get(item.field, told.source)
        found.append(Choice(item.word, value, source))
    return tuple(found)
