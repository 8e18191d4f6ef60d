"""Which components there are, by name, and how to configure them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

from lwmport.errors import ConfigError
from lwmport.models.options import Options
from lwmport.registry import Registry, check_known
from lwmport.types import Component, WeightSpec

COMPONENTS: Final[Mapping[str, str]] = {
    "llama": "llama",
    "llama-block": "llama",
    "llama-block-decode": "llama",
    "llama-block-prefill": "llama",
    "llama-decode": "llama",
    "llama-embed": "llama",
    "llama-head": "llama",
    "llama-prefill": "llama",
    "ring-step": "llama",
    "vision-llama": "llama",
    "vision-llama-decode": "llama",
    "vision-llama-prefill": "llama",
    "vqgan-decoder": "vqgan",
    "vqgan-encoder": "vqgan",
}
"""Component -> its builder in `BUILDERS`."""

SUMMARIES: Final[Mapping[str, str]] = {
    "llama": "the text model: tokens and a KV cache in, logits and the longer cache out",
    "llama-block": "one layer (--layer N), with its cache",
    "llama-block-decode": "one layer, new tokens into a cache of fixed length",
    "llama-block-prefill": "one layer, the first tokens of a cache of fixed length",
    "llama-decode": "the text model, new tokens into a cache of fixed length (--max-length)",
    "llama-embed": "tokens to states",
    "llama-head": "states to logits",
    "llama-prefill": "the text model, the first tokens (--sequence) of a cache of fixed length",
    "ring-step": "one step of ring attention: a rank's queries against the keys that it holds now",
    "vision-llama": "the vision-language model: words and codes in, the logits of --sample-mode out",
    "vision-llama-decode": "the vision-language model, new tokens into a cache of fixed length",
    "vision-llama-prefill": "the vision-language model, the first tokens of a cache of fixed length",
    "vqgan-decoder": "codes to a picture",
    "vqgan-encoder": "a picture to codes",
}
"""Component -> what it is, in a line."""

BUILDERS: Final = Registry(
    "family",
    {
        "llama": "lwmport.models.llama.family:LlamaFamily",
        "vqgan": "lwmport.models.vqgan.family:VQGANFamily",
    },
)
"""Family -> `Builder`."""

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {"vqgan": ("vqgan-encoder", "vqgan-decoder")}
"""Names that stand for several components -> those components."""

STATIC_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    name: (f"{name}-prefill", f"{name}-decode") for name in ("llama", "llama-block", "vision-llama")
}
"""Components of any length -> the two of fixed lengths that stand for them where sizes are static."""

NAMES: Final = (*GROUPS, *COMPONENTS)


class Builder(Protocol):
    """One model in one configuration: ``BUILDERS[family](config, options, part=name, specs=specs)``."""

    name: str
    config: Mapping[str, Any]
    weights: Mapping[str, WeightSpec]
    sources: Mapping[str, tuple[str, int, int]]

    def component(self, name: str) -> Component:
        """Return one component in float32."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """One model: the components asked for, and every weight that its checkpoint must hold.

    Attributes:
        name: the model.
        components: what was asked for, in the precision that was asked for.
        references: the same in float32, what the others are judged by.
        weights: the tensors of a checkpoint.
        sources: a tensor of a component -> (tensor, axis, layer) of the checkpoint, where that one is stacked.
        config: the configuration as plain JSON values.
        options: how the components are cut out.
    """

    name: str
    components: tuple[Component, ...]
    references: tuple[Component, ...]
    weights: Mapping[str, WeightSpec]
    config: Mapping[str, Any]
    options: Options
    sources: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)


def resolve(
    name: str,
    config: str | Mapping[str, Any] = "lwm",
    options: Options | None = None,
    specs: Mapping[str, WeightSpec] | None = None,
) -> Family:
    """Return the model behind a component's or a group's name, in a configuration.

    Args:
        name: a key of `COMPONENTS` or `GROUPS`.
        config: the name of a configuration, the path of a JSON file, or the fields themselves.
        options: how components are cut out of the model.
        specs: the tensors of a checkpoint, which settle what their shapes can; None for no checkpoint.

    Raises:
        UsageError: an unknown name, or options that do not go together.
        ConfigError: an unreadable file, values that no model can have or that the checkpoint contradicts.
    """
    from lwmport.models.precision import in_precision

    check_known("component", name, NAMES)
    options = options or Options()
    parts = parts_of(name, options)
    fields = _fields(config) if not isinstance(config, str) or is_file(config) else config
    build: Callable[..., Builder] = BUILDERS[COMPONENTS[parts[0]]]
    model = build(fields, options, part=name, specs=specs)
    references = tuple(map(model.component, parts))
    return Family(
        name=model.name,
        components=tuple(in_precision(component, options.precision) for component in references),
        references=references,
        weights=model.weights,
        config=model.config,
        options=replace(options, layer=options.layer or None, settings=(), sample_mode=None),
        sources=model.sources,
    )


def parts_of(name: str, options: Options) -> tuple[str, ...]:
    """Return the components that a name stands for; with static sizes a language model is two."""
    if name in STATIC_GROUPS and (options.static or options.attention == "unrolled"):
        return STATIC_GROUPS[name]
    return GROUPS.get(name, (name,))


def is_file(text: str) -> bool:
    """Return whether a configuration is meant as a file rather than by its name."""
    return text.endswith(".json") or "/" in text


def _fields(config: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields of a configuration file, or the fields as they are."""
    if not isinstance(config, str):
        return config
    try:
        values = json.loads(Path(config).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        found = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"expected a JSON file with a configuration at {config}, found: {found}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"expected a JSON object in {config}, found {type(values).__name__}")
    return values
