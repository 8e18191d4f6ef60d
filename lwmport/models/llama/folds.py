"""Channels of a language model whose scale is free: behind a normalisation, of values, and inside the network."""

from collections.abc import Collection

from lwmport.models.llama.config import LlamaConfig
from lwmport.models.llama.weights import LAYERS
from lwmport.types import Fold


def folds_of(config: LlamaConfig, names: Collection[str], *, values: bool) -> tuple[Fold, ...]:
    """Return those between the weights ``names`` of a component.

    Args:
        config: of the model.
        names: the component's weights; channels that another component makes or takes are not free.
        values: whether those of values are free too. They lie in the cache, so whoever reads it has to be the same
            component.
    """
    found = []
    if not config.tie_word_embeddings and not getattr(config, "tie_vision_embeddings", False):
        heads = _held(names, "lm_head/kernel", "vision_head/kernel")
        found.append(Fold(source="transformer/ln_f/kernel", targets=heads))
    for at in (f"{LAYERS}{layer}/" for layer in range(config.num_hidden_layers)):
        attention, network = f"{at}attention/", f"{at}feed_forward/"
        heads = _held(names, *(f"{attention}{name}/kernel" for name in ("wq", "wk", "wv")))
        up = _held(names, *(f"{network}{name}/kernel" for name in ("w1", "w3")))
        found += [
            Fold(source=f"{at}attention_norm/kernel", targets=heads),
            Fold(source=f"{at}ffn_norm/kernel", targets=up),
            Fold(source=f"{network}w3/kernel", targets=_held(names, f"{network}w2/kernel")),
        ]
        if values:
            out, times = _held(names, f"{attention}wo/kernel"), config.num_attention_heads // config.kv_heads
            found.append(Fold(source=f"{attention}wv/kernel", targets=out, blocks=config.kv_heads, times=times))
    return tuple(fold for fold in found if fold.source in names and fold.targets)


def _held(names: Collection[str], *wanted: str) -> tuple[str, ...]:
    return tuple(name for name in wanted if name in names)
