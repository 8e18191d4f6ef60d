"""Which table a token is looked up in. The rest of the model is held against LWM in test_llama_against_lwm.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.models.llama.config import VisionLlamaConfig
from lwmport.models.llama.vision import VisionLlama, embed

WORDS = jnp.arange(12.0).reshape(6, 2)
CODES = -jnp.arange(6.0).reshape(3, 2) - 100


@pytest.mark.parametrize("mode", ["text", "vision", "all"])
def test_masks_pick_the_table_of_every_token(mode: str) -> None:
    ids, masks = np.array([[5, 2, 0, 1]]), np.array([[False, True, False, True]])
    found = embed(mode, WORDS, CODES, jnp.asarray(ids), jnp.asarray(masks))
    np.testing.assert_array_equal(found[0], [WORDS[5], CODES[2], WORDS[0], CODES[1]])


@pytest.mark.parametrize("mask", [False, True])
def test_a_token_alone_follows_the_sample_mode(mask: bool) -> None:  # noqa: FBT001
    ids, masks = jnp.array([[2]]), jnp.array([[mask]])
    np.testing.assert_array_equal(embed("text", WORDS, CODES, ids, masks)[0, 0], WORDS[2])
    np.testing.assert_array_equal(embed("vision", WORDS, CODES, ids, masks)[0, 0], CODES[2])
    np.testing.assert_array_equal(embed("all", WORDS, CODES, ids, masks)[0, 0], (CODES if mask else WORDS)[2])


def test_a_word_beyond_the_codes_is_never_looked_up_among_them() -> None:
    broken = CODES.at[:].set(jnp.nan)
    found = embed("all", WORDS, broken, jnp.array([[5, 4]]), jnp.zeros((1, 2), bool))
    np.testing.assert_array_equal(found[0], WORDS[jnp.array([5, 4])])


def test_a_symbolic_length_goes_by_the_masks() -> None:
    (length,) = jax.export.symbolic_shape("sequence")
    ids, masks = (jax.ShapeDtypeStruct((1, length), dtype) for dtype in ("int32", "bool"))
    exported = jax.export.export(jax.jit(lambda ids, masks: embed("text", WORDS, CODES, ids, masks)))(ids, masks)
    found = exported.call(jnp.array([[2]], "int32"), jnp.array([[True]]))
    np.testing.assert_array_equal(found[0, 0], CODES[2])


@pytest.mark.parametrize(
    ("mode", "shapes"),
    [("all", {"text_logits": 6, "vision_logits": 3}), ("text", {"text_logits": 6}), ("vision", {"vision_logits": 3})],
)
def test_the_sample_mode_picks_the_heads(mode: str, shapes: dict[str, int]) -> None:
    config = VisionLlamaConfig(
        vocab_size=6, vision_vocab_size=3, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=2, max_sequence_length=16, sample_mode=mode,
    )  # fmt: skip
    ids, masks = jnp.zeros((1, 4), jnp.int32), jnp.zeros((1, 4), bool)
    found = jax.eval_shape(lambda: VisionLlama(config).init_with_output(jax.random.key(0), ids, masks))[0][0]
    assert {name: value.shape for name, value in found.items()} == {name: (1, 4, size) for name, size in shapes.items()}
