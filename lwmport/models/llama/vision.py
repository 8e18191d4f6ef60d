"""LWM's vision-language model in flax.linen: the text model with a second table and a second head for codes."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from lwmport.models.attention.blocks import AttentionPlan
from lwmport.models.layers import rows
from lwmport.models.llama.config import VisionLlamaConfig
from lwmport.models.llama.layers import Cache, Context
from lwmport.models.llama.text import Caches, Transformer, head, is_embedded, prepare, setting


class VisionLlama(nn.Module):
    """Words and codes to logits of words, of codes, or of both, as ``sample_mode`` says."""

    config: VisionLlamaConfig
    plan: AttentionPlan | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        input_ids: jax.Array,
        vision_masks: jax.Array | None = None,
        attention_mask: jax.Array | None = None,
        position_ids: jax.Array | None = None,
        past: Caches | None = None,
        segment_ids: jax.Array | None = None,
    ) -> tuple[dict[str, jax.Array], tuple[Cache, ...]]:
        """Return (``text_logits`` and ``vision_logits`` float32 [b, s, vocabulary], the cache of each layer).

        Args:
            input_ids: [b, s], words or codes; or float32 [b, s, hidden]: tokens that are embedded already.
            vision_masks: [b, s], true where an id is a code; None for what is embedded.
            attention_mask: [b, past + s], 0 where a token is padding; all are tokens by default.
            position_ids: [b, s]; by default counted from the first token that is no padding.
            past: the cache of each layer, or None.
            segment_ids: [b, past + s] numbers of packed sequences, or None.
        """
        mask, angles = prepare(self.config, input_ids, attention_mask, position_ids, past)
        transformer = Transformer(self.config, setting(self, input_ids), name="transformer")
        x = input_ids
        if not is_embedded(x):
            x = embed(self.config.sample_mode, transformer.wte(), transformer.vte(), input_ids, vision_masks)
        states, present = transformer(x, Context(*angles, mask, segment_ids), past)
        kernels = {name: self._head(name, transformer) for name in self.config.heads}
        return {f"{name}_logits": (states @ kernel).astype(jnp.float32) for name, kernel in kernels.items()}, present

    def _head(self, name: str, transformer: Transformer) -> jax.Array:
        """Return the matrix [hidden, vocabulary] of one head."""
        config = self.config
        if name == "text":
            tied, table, size, label = config.tie_word_embeddings, transformer.wte, config.vocab_size, "lm_head"
        else:
            tied, table, size = config.tie_vision_embeddings, transformer.vte, config.vision_vocab_size
            label = "vision_head"
        return table().T if tied else head(config, size, self.dtype, label)()


def embed(mode: str, words: jax.Array, codes: jax.Array, ids: jax.Array, vision_masks: Any) -> jax.Array:
    """Return the embeddings [b, s, hidden] of ids [b, s]: of words [vocab, hidden] or codes [vision_vocab, hidden].

    A token fed alone is what the model itself sampled, so LWM looks it up where ``sample_mode`` says, whatever its
    mask. A program of dynamic length goes by the masks always, and so does ``all``, which LWM refuses here.
    """
    ids = ids.astype(jnp.int32)
    if isinstance(ids.shape[1], int) and ids.shape[1] == 1 and mode != "all":
        return rows(words if mode == "text" else codes, ids)
    is_code = vision_masks != 0
    word, code = rows(words, jnp.where(is_code, 0, ids)), rows(codes, jnp.where(is_code, ids, 0))
    return jnp.where(is_code[..., None], code, word)
