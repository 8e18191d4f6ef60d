"""What is planned, by the text that names it: a model, a component, a configuration, a file of one, or a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport.checkpoints.model_weights import open_model
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import ConfigError, UsageError
from lwmport.models.families import NAMES, USUAL, Table, config_aliases, config_names, read_fields, resolve
from lwmport.models.huggingface import HfConfig
from lwmport.models.options import Options
from lwmport.models.spec import WholeModel, WholePart
from lwmport.models.specs import FAMILIES, looks_like
from lwmport.registry import check_known, meant
from lwmport.types import Component
from lwmport.wording import few

MODELS: Final = Table(lambda spec: {model.name: model for model in spec.models})
"""Model of several components -> its record."""

CONFIG: Final = "config.json"


@dataclass(frozen=True, kw_only=True)
class Member:
    """One component of what is planned.

    Attributes:
        component: in float32 or in a narrower precision.
        config: what its configuration is called.
        logits: its outputs that are logits.
        narrowed: whether its linear layers may be stored in 8 or 4 bits.
    """

    component: Component
    config: str
    logits: tuple[str, ...]
    narrowed: bool


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is planned, as what opens it.

    Attributes:
        title: what it is called.
        parts: the components and their configurations: names, or the fields.
        checkpoint: where the shapes come from, empty where the configuration tells them.
        picture_tokens: tokens of the context that a picture takes.
    """

    title: str
    parts: tuple[tuple[str, str | Mapping[str, Any], tuple[str, ...], bool], ...]
    checkpoint: str = ""
    picture_tokens: int = 0

    def members(self, precision: str, attention: str) -> tuple[Member, ...]:
        """Return its components, computed in a precision.

        Raises:
            PortError: no such component or configuration, or a checkpoint that cannot be read.
        """
        return tuple(member for part in self.parts for member in self._members(*part, precision, attention))

    def _members(  # noqa: PLR0913 - a part of `parts`, and how it is computed
        self,
        name: str,
        config: str | Mapping[str, Any],
        settings: tuple[str, ...],
        narrowed: bool,  # noqa: FBT001 - as above
        precision: str,
        attention: str,
    ) -> tuple[Member, ...]:
        options = Options(precision=precision, settings=settings, attention=attention)
        if self.checkpoint:
            family, _ = open_model(name, self.checkpoint, config, options)
        else:
            family = resolve(name, config, options)
        told = config if isinstance(config, str) else "the fields of its file"
        shown = (family.spec.usual or USUAL) if told == USUAL and not self.checkpoint else told
        return tuple(
            Member(
                component=component,
                config=self.checkpoint or " ".join([shown, *settings]),
                logits=family.spec.logits,
                narrowed=narrowed,
            )
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
        return Subject(title=name, parts=((name, config, settings, True),))
    if Path(text).exists() or "::" in text:
        return _of_path(text, config, settings)
    return _of_configuration(text, settings)


def _whole(model: WholeModel, config: str, settings: tuple[str, ...]) -> Subject:
    if config != USUAL or settings:
        raise UsageError(
            f"expected no --config and no --set for {model.name}, which has its own, found some; plan its components "
            f"one by one: {', '.join(part.component for part in model.parts)}"
        )
    return Subject(
        title=model.name, parts=tuple(map(_part, model.parts)), picture_tokens=model.picture_tokens
    )


def _part(part: WholePart) -> tuple[str, str, tuple[str, ...], bool]:
    return part.component, part.config, part.settings, part.narrowed


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
    return Subject(title=text, parts=((component, config, settings, True),), checkpoint=text)


def _of_fields(text: str, fields: Mapping[str, Any], settings: tuple[str, ...]) -> Subject:
    """Return what the ``config.json`` of a Hugging Face folder is of, told by its ``model_type``."""
    kind = fields.get("model_type")
    found = [
        (next(iter(spec.huggingface.components)), spec.huggingface)
        for spec in FAMILIES.values()
        if spec.huggingface is not None and spec.huggingface.kind == kind
    ]
    if len(found) != 1:
        kinds = [spec.huggingface.kind for spec in FAMILIES.values() if spec.huggingface is not None]
        raise ConfigError(
            f"expected a config.json whose model_type is one of {few(kinds)}, found {kind!r} in {text}; for another "
            "file name the component, with --config FILE.json"
        )
    ((component, folder),) = found
    read = folder.read(fields)
    own = read.fields if isinstance(read, HfConfig) else read
    return Subject(title=text, parts=((component, own, settings, True),))


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
    return Subject(title=f"{component} {name}", parts=((component, name, settings, True),))
