"""What the shapes of a checkpoint say about its configuration; what contradicts it is refused.

Shapes do not tell the number of heads, the base of the angles or the epsilon: those stay with the configuration.
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
    found = _found(config, specs)
    wrong = [name for name in sorted(fixed) if name in found and getattr(config, name) != found[name]]
    if wrong:
        asked = ", ".join(f"{name} {getattr(config, name)}" for name in wrong)
        held = ", ".join(f"{name} {found[name]}" for name in wrong)
        raise ConfigError(f"expected {asked} as asked for, found {held} in the checkpoint; leave it out or change it")
    return config.updated(found)


def _found(config: LlamaConfig, specs: Mapping[str, WeightSpec]) -> dict[str, Any]:
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
