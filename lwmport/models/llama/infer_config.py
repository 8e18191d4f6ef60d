"""What the shapes of a checkpoint say about its configuration; what contradicts it is refused.

Shapes do not tell the number of heads, the base of the angles or the epsilon: those stay with the configuration. How
many heads of keys there are follows from the number of heads.
"""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from lwmport.errors import CheckpointError, ConfigError
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.weights import LAYERS, STACKED
from lwmport.types import WeightSpec

_Config = TypeVar("_Config", bound=LlamaConfig)


def settled(config: _Config, specs: Mapping[str, WeightSpec], fixed: Collection[str] = ()) -> _Config:
    """Return the configuration with every field that the tensors of LWM's tree decide read from them.

    Args:
        config: where the other fields come from.
        specs: the tensors of the checkpoint, stacked or not.
        fixed: fields that were asked for, which the checkpoint may not contradict.

    Raises:
        CheckpointError: a tensor is missing without which nothing is known, or has too few axes.
        ConfigError: a contradiction, or sizes that no model can have.
    """
    found = sizes_of(config, specs)
    heads = found["hidden_size"], config.num_attention_heads
    found |= {"num_key_value_heads": _key_heads(config, specs, *heads)}
    wrong = [name for name in sorted(fixed) if name in found and getattr(config, name) != found[name]]
    if wrong:
        asked = ", ".join(f"{name} {getattr(config, name)}" for name in wrong)
        held = ", ".join(f"{name} {found[name]}" for name in wrong)
        raise ConfigError(f"expected {asked} as asked for, found {held} in the checkpoint; leave it out or change it")
    return config.updated(found)


def key_size(specs: Mapping[str, WeightSpec]) -> int | None:
    """Return the channels of the keys of a token; None where there are none, which is noticed later."""
    names = sorted(name for name in specs if name.startswith(LAYERS) and name.endswith("attention/wk/kernel"))
    return specs[names[0]].shape[-1] if names and specs[names[0]].shape else None


def _key_heads(config: LlamaConfig, specs: Mapping[str, WeightSpec], hidden: int, heads: int) -> int | None:
    """Return how many heads of keys there are; None, or what the configuration says, where it is as many as queries.

    Raises:
        ConfigError: the channels of the keys are no heads of the size of the queries'.
    """
    size, asked = key_size(specs), config.num_key_value_heads
    if size is None or (size == hidden and asked in {None, heads}):
        return asked
    if hidden % heads or size % (hidden // heads):
        raise ConfigError(f"expected keys in heads of {hidden} / {heads} channels, found {size} channels of keys")
    found = size // (hidden // heads)
    return None if found == heads else found


def sizes_of(config: LlamaConfig, specs: Mapping[str, WeightSpec]) -> dict[str, Any]:
    """Return the fields that shapes tell by themselves.

    Raises:
        CheckpointError: a tensor is missing without which nothing is known, or has too few axes.
    """
    vocabulary, hidden = _shape(specs, "transformer/wte/embedding", 2)
    stacked = any(name.startswith(STACKED) for name in specs)
    layers = _stacked(config, specs, hidden) if stacked else _listed(specs)
    found = {
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "tie_word_embeddings": "lm_head/kernel" not in specs,
        "scan_layers": stacked,
        **layers,
    }
    if isinstance(config, VisionLlamaConfig):
        found["vision_vocab_size"] = _shape(specs, "transformer/vte/embedding", 2)[0]
        found["tie_vision_embeddings"] = "vision_head/kernel" not in specs
    return found


def _listed(specs: Mapping[str, WeightSpec]) -> dict[str, Any]:
    """Return what one tensor a layer tells: the highest number counts, so that a missing layer is noticed later."""
    numbers = {name.removeprefix(LAYERS).partition("/")[0] for name in specs if name.startswith(LAYERS)}
    count = max((int(number) + 1 for number in numbers if number.isdecimal()), default=0)
    inner = _shape(specs, f"{LAYERS}{max(count - 1, 0)}/feed_forward/w1/kernel", 2)[1]
    return {"num_hidden_layers": count, "intermediate_size": inner}


def _stacked(config: LlamaConfig, specs: Mapping[str, WeightSpec], hidden: int) -> dict[str, Any]:
    """Return what stacked tensors tell: a norm is [layers, hidden] or [hidden, layers], undecided if they are equal."""
    norm = _shape(specs, STACKED + "attention_norm/kernel", 2)
    axis = config.param_scan_axis if norm[0] == norm[1] else int(norm[0] == hidden)
    inner = _shape(specs, STACKED + "feed_forward/w1/kernel", 3)[2]
    return {"num_hidden_layers": norm[axis], "intermediate_size": inner, "param_scan_axis": axis}


def _shape(specs: Mapping[str, WeightSpec], name: str, rank: int) -> tuple[int, ...]:
    if name not in specs or len(specs[name].shape) != rank:
        found = list(specs[name].shape) if name in specs else f"none among {len(specs)} tensors"
        raise CheckpointError(f"expected {name} with {rank} axes in a LLaMA checkpoint of LWM, found {found}")
    return specs[name].shape
