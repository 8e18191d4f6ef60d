"""Channels whose scale is free: whatever factors go in and out, in floats the model stays the same."""

import jax
import numpy as np
import pytest

from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.quantise.awq import widened
from lwmport.types import Array, Component

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "max_sequence_length": 16,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 1,
    "vocab_size": 40,
}


def made(name: str, **changes: object) -> Component:
    (found,) = resolve(name, {**SIZES, **changes}, Options()).components
    return found


def logits(component: Component, weights: dict[str, Array]) -> Array:
    random = np.random.default_rng(2)
    empty = {
        spec.name: np.zeros(
            [1 if size == "batch" else 0 if size == "past" else size for size in spec.shape], np.float32
        )
        for spec in component.signature.inputs
        if spec.name.startswith("past")
    }
    inputs = {
        "input_ids": random.integers(0, 40, (1, 7)),
        "attention_mask": np.ones((1, 7), np.int64),
        "position_ids": np.arange(7)[None],
        **empty,
    }
    return np.asarray(component.apply(weights, jax.tree.map(jax.numpy.asarray, inputs))["logits"])


def test_factors_change_nothing_but_the_rounding_of_floats() -> None:
    component, random = made("llama"), np.random.default_rng(0)
    exact = {name: random.normal(0, 0.3, spec.shape).astype(np.float32) for name, spec in component.weights.items()}
    scaled = dict(exact)
    assert len(component.folds) == 5
    for fold in component.folds:
        factors = random.uniform(0.2, 5, exact[fold.source].shape[-1]).astype(np.float32)
        scaled[fold.source] = scaled[fold.source] / factors
        for name in fold.targets:
            scaled[name] = scaled[name] * widened(factors, fold)[:, None]
    same = logits(component, exact)
    assert np.allclose(logits(component, scaled), same, rtol=1e-4, atol=1e-4 * np.abs(same).max())
    wrong = {**scaled, "transformer/h/0/attention/wv/kernel": exact["transformer/h/0/attention/wv/kernel"]}
    assert not np.allclose(logits(component, wrong), same, rtol=1e-2, atol=1e-2 * np.abs(same).max())


@pytest.mark.parametrize(
    ("name", "changes", "sources"),
    [
        ("llama-head", {}, {"ln_f/kernel"}),
        ("llama-head", {"tie_word_embeddings": True}, set()),
        ("llama-block-qkv", {}, {"attention_norm/kernel"}),
        ("llama-block-rest", {}, {"ffn_norm/kernel", "w3/kernel"}),
        ("llama-prefill", {}, {"ln_f/kernel", "attention_norm/kernel", "ffn_norm/kernel", "w3/kernel"}),
    ],
)
def test_what_others_see_is_not_free(name: str, changes: dict[str, object], sources: set[str]) -> None:
    """Nor are the values of a cache that a component of its own reads."""
    found = made(name, **changes).folds
    assert {"/".join(fold.source.split("/")[-2:]) for fold in found} == sources
