"""What is planned, by the text that names it: a model, a component, a configuration, a file of one, or a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport.checkpoints.model_weights import open_model
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import ConfigError, UsageError
from lwmport.models.families import COMPONENTS, MODELS, NAMES, USUAL, config_aliases, config_names, read_fields, resolve
from lwmport.models.huggingface import HfConfig
from lwmport.models.options import Options
from lwmport.models.spec import WholeModel, WholePart
from lwmport.models.specs import FAMILIES, looks_like
from lwmport.registry import check_known, meant
from lwmport.types import Component
from lwmport.wording import few

CONFIG: Final = "config.json"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One component of what is planned.

    Attributes:
        component: in float32 or in a narrower precision.
        logits: its outputs that are logits.
        narrowed: whether its linear layers may be stored in 8 or 4 bits.
    """

    component: Component
    logits: tuple[str, ...]
    narrowed: bool


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A component or a group that is planned, its configuration (a name or the fields) and changes of that."""

    component: str
    config: str | Mapping[str, Any] = USUAL
    settings: tuple[str, ...] = ()
    narrowed: bool = True


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is planned, as what opens it.

    Attributes:
        title: what it is called.
        parts: what it is made of.
        checkpoint: where the shapes come from, empty where the configuration tells them.
        picture_tokens: tokens of the context that a picture takes.
    """

    title: str
    parts: tuple[Asked, ...]
    checkpoint: str = ""
    picture_tokens: int = 0

    def members(self, precision: str, attention: str) -> tuple[Member, ...]:
        """Return its components, computed in a precision.

        Raises:
            PortError: no such component or configuration, or a checkpoint that cannot be read.
        """
        return tuple(member for part in self.parts for member in self._members(part, precision, attention))

    def _members(self, part: Asked, precision: str, attention: str) -> tuple[Member, ...]:
        options = Options(precision=precision, settings=part.settings, attention=attention)
        if self.checkpoint:
            family, _ = open_model(part.component, self.checkpoint, part.config, options, 0)
        else:
            family = resolve(part.component, part.config, options)
        return tuple(
            Member(component=component, logits=family.spec.logits, narrowed=part.narrowed)
            for component in family.components
        )


def subject_of(text: str, config: str, settings: tuple[str, ...]) -> Subject:
    """Return what a text names: a model, a component or a group, a path, or a configuration, in this order.

    Raises:
        UsageError: nothing of that name, or a configuration that several components have.
        PortError: a file that cannot be read.
    """
    model = meant("model", text, MODELS)
    if model in MODELS:
        return _whole(MODELS[model], config, settings)
    name = meant("component", text, NAMES)
    if name in NAMES:
        return Subject(title=name, parts=(Asked(component=name, config=config, settings=settings),))
    if Path(text).exists() or "::" in text:
        return _of_path(text, config, settings)
    return _of_configuration(text, settings)


def _whole(model: WholeModel, config: str, settings: tuple[str, ...]) -> Subject:
    if config != USUAL or settings:
        raise UsageError(
            f"expected no --config and no --set for {model.name}, which has its own, found some; plan its components "
            f"one by one: {', '.join(part.component for part in model.parts)}"
        )
    parts = tuple(_asked(part, part.config, part.settings) for part in model.parts)
    return Subject(title=model.name, parts=parts, picture_tokens=model.picture_tokens)


def _asked(part: WholePart, config: str | Mapping[str, Any], settings: tuple[str, ...]) -> Asked:
    return Asked(component=part.component, config=config, settings=settings, narrowed=part.narrowed)


def _of_path(text: str, config: str, settings: tuple[str, ...]) -> Subject:
    """Return what a configuration file, a folder with one, or a checkpoint is of."""
    path = Path(text)
    file = path / CONFIG if path.is_dir() and (path / CONFIG).is_file() else path
    if file.suffix == ".json" and file.is_file():
        return _of_fields(text, read_fields(str(file)), settings)
    opened = open_checkpoint(text)
    component = looks_like(opened.specs)
    if not component:
        raise UsageError(f"expected a checkpoint of a known model, found {text}; name its component, and --config")
    return Subject(title=text, parts=(Asked(component=component, config=config, settings=settings),), checkpoint=text)


def _of_fields(text: str, fields: Mapping[str, Any], settings: tuple[str, ...]) -> Subject:
    """Return what the ``config.json`` of a Hugging Face folder is of, told by its ``model_type``."""
    kind = fields.get("model_type")
    model = next((model for model in MODELS.values() if kind and model.kind == kind), None)
    if model is not None:
        parts = tuple(_asked(part, _own(fields, part), settings) for part in model.parts)
        return Subject(title=text, parts=parts, picture_tokens=model.picture_tokens)
    folders = [spec.huggingface for spec in FAMILIES.values() if spec.huggingface is not None]
    found = next((folder for folder in folders if folder.kind == kind), None)
    if found is None:
        kinds = [folder.kind for folder in folders] + [model.kind for model in MODELS.values() if model.kind]
        raise ConfigError(
            f"expected a config.json whose model_type is one of {few(dict.fromkeys(kinds))}, found {kind!r} in {text}; "
            "for another file name the component, with --config FILE.json"
        )
    part = WholePart(component=found.components[0], config=USUAL)
    return Subject(title=text, parts=(_asked(part, _own(fields, part), settings),))


def _own(fields: Mapping[str, Any], part: WholePart) -> Mapping[str, Any]:
    """Return the configuration of one component out of a ``config.json``, with its family's own fields if it has such.

    Raises:
        ConfigError: there is no such section.
    """
    found = fields.get(part.section) if part.section else fields
    if not isinstance(found, Mapping):
        raise ConfigError(f"expected {part.section} in the config.json, found none")
    folder = FAMILIES[COMPONENTS[part.component]].huggingface
    if folder is None:
        return found
    read = folder.read(found)
    return read.fields if isinstance(read, HfConfig) else read


def _of_configuration(text: str, settings: tuple[str, ...]) -> Subject:
    """Return the component that has a configuration of this name, of those that whole checkpoints are of."""
    found: dict[str, str] = {}
    for component in dict.fromkeys(name for spec in FAMILIES.values() for name in spec.marks.values()):
        names = config_names(component)
        name = meant("configuration", text, names, config_aliases(component))
        if name in names:
            found[component] = name
    if not found:
        known = [*MODELS, *NAMES]
        check_known("model, component, configuration or path", text, known)
    if len(found) > 1:
        raise UsageError(f"expected a component beside --config {text}, found that {' and '.join(found)} have it")
    ((component, name),) = found.items()
    return Subject(title=f"{component} {name}", parts=(Asked(component=component, config=name, settings=settings),))
