"""Components by name, in a configuration: what a user asks for becomes a `Family`. All tables come from the records."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from lwmport import plain
from lwmport.choices import Choice
from lwmport.errors import ConfigError, PortError, UsageError, said
from lwmport.instead import in_place_of
from lwmport.models.configuration import Config
from lwmport.models.jax_cpu import steady
from lwmport.models.options import Options, changed
from lwmport.models.spec import FamilySpec, PartSpec
from lwmport.models.specs import FAMILIES, owner_of
from lwmport.models.storage import check_stored
from lwmport.registry import Aliases, check_known, load, meant
from lwmport.small_files import read_small
from lwmport.types import Array, Component, Rounded, WeightSpec

USUAL: Final = "lwm"
"""What stands for the usual configuration where none is named; each family has its own for it (`FamilySpec.usual`)."""

_Value = TypeVar("_Value")


class Table(Mapping[str, _Value], Generic[_Value]):
    """A table that is made from the records of all families whenever it is read."""

    def __init__(self, make: Callable[[FamilySpec], Mapping[str, _Value]]) -> None:
        self._make = make

    def _whole(self) -> dict[str, _Value]:
        return {name: value for spec in FAMILIES.values() for name, value in self._make(spec).items()}

    def __getitem__(self, name: str) -> _Value:
        return self._whole()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())


COMPONENTS: Final = Table(lambda spec: {part.name: spec.name for part in spec.components})
"""Component -> its family."""

PARTS: Final = Table(lambda spec: {part.name: part for part in spec.components})
"""Component -> its record."""

SUMMARIES: Final = Table(lambda spec: {part.name: part.summary for part in spec.components})
"""Component -> what it is, in a line."""

GROUPS: Final = Table(lambda spec: spec.groups)
"""Names that stand for several components -> those components."""

STATIC_GROUPS: Final = Table(lambda spec: {part.name: part.static for part in spec.components if part.static})
"""Components of any length -> the components of fixed lengths that stand for them where sizes are static."""

NAMES: Final = Table(lambda spec: {**spec.groups, **{part.name: (part.name,) for part in spec.components}})
"""Every name that can be asked for -> the components that it stands for."""

MODELS: Final = Table(lambda spec: {model.name: model for model in spec.models})
"""Model of several components -> its record."""


def takers() -> dict[str, tuple[str, ...]]:
    """Return each option of `Options` that not every component takes -> the components that it changes."""
    named = {option: tuple(name for name, part in PARTS.items() if option in part.options) for option in _options()}
    return {option: names for option, names in named.items() if names}


def _options() -> list[str]:
    return [item.name for item in fields(Options)]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One model: the components asked for, and every weight that its checkpoint must hold.

    Attributes:
        spec: the record of its family.
        components: what was asked for, in the precision that was asked for.
        references: the same in float32, what the others are judged by.
        whole: makes the tensors of a checkpoint, by name. A family that does not tell them has to make every component
            for that, which only those who write a whole checkpoint need.
        config: the configuration as plain JSON values.
        options: how the components are cut out.
        sources: a tensor of one layer, by its name in a checkpoint -> (tensor, axis, layer) there, where layers are
            stacked.
        choices: what it depends on beside its tensors, and where each of it came from.
    """

    spec: FamilySpec
    components: tuple[Component, ...]
    references: tuple[Component, ...]
    whole: Callable[[], Mapping[str, WeightSpec]] = field(repr=False, compare=False)
    config: Mapping[str, Any]
    options: Options
    sources: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()

    @property
    def name(self) -> str:
        """What the model is called in manifests."""
        return self.references[0].family

    @cached_property
    def weights(self) -> Mapping[str, WeightSpec]:
        """The tensors of a whole checkpoint.

        Raises:
            ConfigError: the family does not tell them, and one of its components cannot be made.
        """
        return self.whole()

    @property
    def read(self) -> Mapping[str, WeightSpec]:
        """The tensors of a checkpoint that it must hold: all that the family tells, else what the components read."""
        return self.weights if self.spec.weights else self.taken

    @property
    def taken(self) -> Mapping[str, WeightSpec]:
        """The tensors that the components and their feeders read, one a layer, by their names in a checkpoint."""
        feeders = (component.feeder for component in self.references if component.feeder is not None)
        return checkpoint_weights((*self.references, *feeders))


def rounding(family: Family, found: Mapping[str, Mapping[str, Rounded]]) -> Family:
    """Return a family with the convolutions of integers that are found for its components, by name and kernel."""
    if not any(found.values()):
        return family
    from lwmport.models.rounding import with_rounding

    components, references = (
        tuple(with_rounding(one, found.get(one.name, {})) for one in several)
        for several in (family.components, family.references)
    )
    return replace(family, components=components, references=references)


def caching(family: Family, scales: Mapping[str, Mapping[str, Array]]) -> Family:
    """Return a family with the scales of caches of codes that are found for its components, by name and input."""
    if not any(scales.values()):
        return family
    from lwmport.models.narrow_cache import with_coded_cache

    components, references = (
        tuple(with_coded_cache(one, scales.get(one.name, {})) for one in several)
        for several in (family.components, family.references)
    )
    return replace(family, components=components, references=references)


def resolve(
    name: str,
    config: str | Mapping[str, Any] = USUAL,
    options: Options | None = None,
    specs: Mapping[str, WeightSpec] | None = None,
) -> Family:
    """Return the model behind a component's or a group's name, in a configuration.

    Args:
        name: a key of `NAMES`.
        config: the name of a configuration, the path of a JSON file, or the fields themselves.
        options: how components are cut out of the model.
        specs: the tensors of a checkpoint, which settle what their shapes can; None for no checkpoint.

    Raises:
        UsageError: an unknown name, or options that do not go together.
        ConfigError: an unreadable file, values that no model can have or that the checkpoint contradicts.
    """
    from lwmport.models.byte_pictures import with_byte_pictures
    from lwmport.models.narrow_cache import check_cache, in_cache
    from lwmport.models.precision import in_precision

    spec = family_with(name)
    options = options or Options()
    chosen = _configured(spec, config, options, name, specs)
    parts = _had(tuple(spec.part(part) for part in parts_of(name, options)), chosen)
    if not any("layout" in part.options for part in parts):
        options = replace(options, layout="")
    references = tuple(_made_all(spec, parts, chosen, options))
    check_stored(references, options)
    check_cache(references, options.cache)
    references = tuple(in_cache(one, options.cache) for one in references)
    components = tuple(in_precision(one, options.precision, options.keep_float32) for one in references)
    if options.with_preprocessing:
        components, references = (
            tuple(with_byte_pictures(one, spec) for one in several) for several in (components, references)
        )
    return Family(
        spec=spec,
        components=components,
        references=references,
        whole=partial(_weights, spec, chosen, options, references),
        config=chosen.to_json(),
        options=replace(options, layer=options.layer or None, settings=(), sample_mode=None),
        sources=_asked(spec, spec.sources, chosen) if spec.sources else {},
    )


def family_with(name: str) -> FamilySpec:
    """Return the record of the family that has a component or a group of this name.

    Raises:
        UsageError: no family has; the message also says which families are left out, and why.
    """
    try:
        check_known("component", name, NAMES)
    except UsageError as error:
        raise UsageError("; ".join([str(error), *FAMILIES.faults.values()])) from error
    return FAMILIES[COMPONENTS[NAMES[name][0]]]


def offers_of(spec: FamilySpec, name: str, specs: Mapping[str, WeightSpec]) -> tuple[str, ...]:
    """Return the names of the configurations that fit the tensors of a checkpoint, best fit first; none if it has none.

    Raises:
        CheckpointError: the checkpoint holds no such model.
    """
    found: tuple[str, ...] = _asked(spec, spec.offers, name, specs) if spec.offers else ()
    return found


def parts_of(name: str, options: Options) -> tuple[str, ...]:
    """Return the components that a name stands for; with static sizes a language model is two."""
    if name in STATIC_GROUPS and (options.static or options.attention == "unrolled"):
        return STATIC_GROUPS[name]
    return GROUPS.get(name, (name,))


def config_names(name: str) -> tuple[str, ...]:
    """Return the names of the configurations that a component or a group has, `USUAL` first.

    Raises:
        UsageError: no family has such a component.
    """
    spec = family_with(name)
    if spec.names:
        found: tuple[str, ...] = _asked(spec, spec.names, name)
    else:
        found = tuple(load(spec.configs, owner_of(spec))) if spec.configs else ()
    return tuple(dict.fromkeys((USUAL, *found)))


def config_aliases(name: str) -> Aliases:
    """Return other words for the configurations of a component or a group -> the names that they may mean."""
    return {word: (config,) for word, config in family_with(name).other_names.items()}


def config_name(name: str, text: str) -> str:
    """Return the name of the configuration that a text means for a component; a file and an unknown name as they are.

    Raises:
        UsageError: no family has such a component.
    """
    return text if Path(text).is_file() else meant("configuration", text, config_names(name), config_aliases(name))


def is_file(text: str) -> bool:
    """Return whether a configuration is meant as a file rather than by its name."""
    return text.endswith(".json") or "/" in text


def _configured(spec: FamilySpec, config: str | Mapping[str, Any], options: Options, part: str, specs: Any) -> Config:
    """Return the configuration of a model: named, or read from fields, with the settings of a user on top."""
    config = config_name(part, config) if isinstance(config, str) else config
    given = read_fields(config) if not isinstance(config, str) or is_file(config) else config
    if spec.configure:
        found: Config = _asked(spec, spec.configure, given, options, part=part, specs=specs)
        return found
    given = spec.usual or given if given == USUAL else given
    configs = load(spec.configs, owner_of(spec))
    if not isinstance(configs, Mapping) or not configs:
        raise ConfigError(f"expected configurations by name at {spec.configs!r} of {owner_of(spec)}, found none")
    first = next(iter(configs))
    if isinstance(given, str):
        given = first if given == USUAL and USUAL not in configs else given
        check_known("configuration or .json file", given, configs)
        given = configs[given].to_json()
    chosen: Config = changed(type(configs[first]).from_json(given), options.settings)
    return chosen


def _had(parts: tuple[PartSpec, ...], config: Config) -> tuple[PartSpec, ...]:
    """Return the components that a model of a configuration has, of a group; of one alone, that it has it."""
    lacking = [part for part in parts if part.needs and not config.to_json()[part.needs]]
    if len(parts) == 1 and lacking:
        raise ConfigError(f"expected {lacking[0].needs} true for {lacking[0].name}, found false: there is none then")
    return tuple(part for part in parts if part not in lacking)


def _made_all(spec: FamilySpec, parts: tuple[PartSpec, ...], config: Config, options: Options) -> Iterator[Component]:
    """Yield the components of a request; in a group, those of every layer where a part is one of a layer.

    Raises:
        UsageError: one layer is asked for and all are meant.
    """
    if len(parts) > 1 and options.layer is not None and any(part.each for part in parts):
        raise UsageError(f"expected no layer for what holds every layer, found --layer {options.layer}; leave it out")
    for part in parts:
        if len(parts) == 1 or not part.each:
            yield _made(spec, part, config, options)
            continue
        for layer in range(config.to_json()[part.each]):
            yield replace(_made(spec, part, config, replace(options, layer=layer)), name=f"{part.name}-{layer}")


def _made(spec: FamilySpec, part: PartSpec, config: Config, options: Options) -> Component:
    """Return one component in float32, its pictures in the layout that was asked for if it takes several."""
    from lwmport.models.picture_layout import in_layout

    with steady():
        made: Component = _asked(spec, part.factory, config, options)
    if not isinstance(made, Component):
        raise ConfigError(f"expected {part.factory!r} of {owner_of(spec)} to make a component, found {made!r}")
    if made.family not in {spec.name, *spec.aliases}:
        raise ConfigError(f"expected {part.factory} to make a component of the family {spec.name}, found {made.family}")
    if options.layout and "layout" in part.options:
        made = in_layout(made, options.layout)
    return _located(spec, made)


def _asked(spec: FamilySpec, reference: str, *given: Any, **more: Any) -> Any:
    """Return what a function of a family returns; it may be code of others, which raises anything."""
    function = load(reference, owner_of(spec))
    try:
        return function(*given, **more)
    except PortError:
        raise
    except Exception as error:
        raise ConfigError(f"expected an answer of {reference!r} of {owner_of(spec)}, found {said(error)}") from error


def _located(spec: FamilySpec, made: Component) -> Component:
    """Return a component, and the one that feeds it, with the names that their weights have in a checkpoint."""
    names = {name: spec.part(made.name).located(name) for name in made.weights}
    others = {own: there for own, there in names.items() if own != there}
    if made.feeder is None:
        return replace(made, located=others)
    feeder = _located(spec, made.feeder)
    clash = [own for own in names if own in feeder.weights and names[own] != feeder.located.get(own, own)]
    if clash:
        raise ConfigError(
            f"expected other names for the weights of {made.name} than for those of {feeder.name}, which feeds it, "
            f"found {clash[0]} in both, each with a tensor of its own"
        )
    return replace(made, located=others, feeder=feeder)


def _weights(
    spec: FamilySpec, config: Config, options: Options, made: tuple[Component, ...]
) -> Mapping[str, WeightSpec]:
    """Return the tensors of a whole checkpoint: as the family tells them, or those of all its components together."""
    if spec.weights:
        told: Mapping[str, WeightSpec] = _asked(spec, spec.weights, config)
        return told
    names = {component.name for component in made}
    others = [_made(spec, part, config, options) for part in _had(spec.components, config) if part.name not in names]
    return checkpoint_weights((*made, *others))


def checkpoint_weights(components: tuple[Component, ...]) -> dict[str, WeightSpec]:
    """Return the tensors that components read, by the names that a checkpoint has for them."""
    return {
        component.located.get(name, name): weight
        for component in components
        for name, weight in component.weights.items()
    }


def read_fields(config: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a configuration file, or the fields as they are."""
    if not isinstance(config, str):
        return config
    try:
        values = plain.parsed(read_small(Path(config)).decode())
    except (OSError, ValueError, RecursionError) as error:
        found = error.strerror if isinstance(error, OSError) else in_place_of(Path(config)) or error
        raise ConfigError(f"expected a JSON file with a configuration at {config}, found: {found}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"expected a JSON object in {config}, found {type(values).__name__}")
    return values
