"""Prefill and decode of fixed length: the same values as the models of any length, step by step."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.errors import UsageError
from lwmport.graphs.atoms import composite_name, walk
from lwmport.graphs.trace import trace
from lwmport.models.attention.bias import HIDDEN
from lwmport.models.attention.blocks import AttentionPlan
from lwmport.models.composites import language as llama_composites
from lwmport.models.llama.components import llama
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.parts import llama_block, ring_step
from lwmport.models.llama.signatures import Lengths
from lwmport.models.llama.static import (
    llama_block_decode,
    llama_block_prefill,
    llama_decode,
    llama_prefill,
    static_plan,
)
from lwmport.types import Array, Component

SMALL = {
    "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_sequence_length": 64, "scan_query_chunk_size": 4, "scan_key_chunk_size": 4,
}  # fmt: skip
TEXT = LlamaConfig.from_json(SMALL)
VISION = VisionLlamaConfig.from_json({**SMALL, "vision_vocab_size": 24})
CONFIGS = {"text": TEXT, "vision": VISION}
CLOSE = 2e-5
PLANS = {
    "full": AttentionPlan(),
    "unrolled": AttentionPlan(form="unrolled", query_chunk=4, key_chunk=2),
    **{
        f"ring of {ranks}": AttentionPlan(form="unrolled", query_chunk=2, key_chunk=2, ring=ranks)
        for ranks in (2, 4, 8)
    },
}
SLOTS = 16


@pytest.mark.parametrize(("kind", "plan"), [*(("text", plan) for plan in PLANS), ("vision", "full")])
def test_a_prefill_is_the_first_pass_of_the_dynamic_model(kind: str, plan: str) -> None:
    config, tokens = CONFIGS[kind], fed(CONFIGS[kind], 8)
    whole = run(llama(config, Lengths(sequence=8, past=0)), {**tokens, **empty(config)})
    found = run(llama_prefill(config, 8, SLOTS, PLANS[plan]), tokens)
    assert list(found) == list(whole)
    same(found, whole, tokens["attention_mask"] != 0)
    for name, value in found.items():
        if "present" in name:
            assert value.shape[2] == SLOTS
            assert not np.any(value[:, :, 8:])


@pytest.mark.parametrize(("kind", "at_once"), [("text", 1), ("text", 2), ("vision", 1)])
def test_decoding_step_by_step_is_one_full_pass(kind: str, at_once: int) -> None:
    config, tokens = CONFIGS[kind], fed(CONFIGS[kind], 12)
    whole = run(llama(config, Lengths(sequence=12, past=0)), {**tokens, **empty(config)})
    found = steps(config, tokens, start=6, at_once=at_once)
    same(found, whole, tokens["attention_mask"] != 0)


@pytest.mark.parametrize("sabotage", ["no update", "shifted position", "ignored mask"])
def test_what_breaks_a_cache_is_seen(sabotage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = fed(TEXT, 12)
    whole = run(llama(TEXT, Lengths(sequence=12, past=0)), {**tokens, **empty(TEXT)})
    update = llama_composites.cache_update
    broken: dict[str, tuple[str, Callable[..., Any]]] = {
        "no update": ("cache_update", lambda cache, _new, _position: cache),
        "shifted position": ("cache_update", lambda cache, new, position: update(cache, new, position + 1)),
        "ignored mask": ("decode_bias", lambda mask, _position, _queries: np.zeros((2, 1, 1, mask.shape[1]), "f")),
    }
    name, function = broken[sabotage]
    monkeypatch.setattr(f"lwmport.models.llama.static.{name}", function)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        same(steps(TEXT, tokens, start=6), whole, tokens["attention_mask"] != 0)


def test_greedy_tokens_are_those_of_full_passes() -> None:
    tokens, expected = [3, 1, 4, 1, 5], [3, 1, 4, 1, 5]
    width, slots = 8, 40
    prefill, decode = (
        jitted(component) for component in (llama_prefill(TEXT, width, slots), llama_decode(TEXT, slots))
    )
    mask = np.zeros((1, slots), np.int64)
    mask[0, width - 5 : width] = 1
    ids = np.array([[0] * 3 + tokens])
    found = prefill({"input_ids": ids, "attention_mask": mask[:, :width], "position_ids": [[0, 0, 0, 0, 1, 2, 3, 4]]})
    for slot in range(width, width + 24):
        tokens.append(int(np.argmax(found["logits"][0, -1])))
        mask[0, slot] = 1
        given = {"input_ids": [[tokens[-1]]], "attention_mask": mask, "position_ids": [[len(tokens) - 1]]}
        found = decode({**given, **past_of(found), "cache_position": [slot]})
    whole = jitted(llama(TEXT, Lengths(sequence=40, past=0)))
    for _ in range(24):
        pad = 40 - len(expected)
        mask = np.array([[0] * pad + [1] * len(expected)])
        full = {"input_ids": [[0] * pad + expected], "attention_mask": mask, **empty(TEXT, 1)}
        logits = whole({**full, "position_ids": np.maximum(mask.cumsum(1) - 1, 0)})["logits"]
        expected.append(int(np.argmax(logits[0, -1])))
    assert tokens == expected


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_one_layer_is_that_of_the_dynamic_model(config: LlamaConfig) -> None:
    tokens, rng = fed(config, 8), np.random.default_rng(1)
    states = rng.standard_normal((2, 8, 32)).astype(np.float32)
    whole = run(
        llama_block(config, 1, Lengths(sequence=8, past=0)), {**tokens, **empty(config), "hidden_states": states}
    )
    first = {**cut(tokens, 0, 7), "hidden_states": states[:, :7]}
    found = run(llama_block_prefill(config, 1, 7, SLOTS), first)
    step = {**slots_of(cut(tokens, 7, 8)), **past_of(found), "cache_position": np.array([7])}
    last = run(llama_block_decode(config, 1, SLOTS), {**step, "hidden_states": states[:, 7:]})
    joined = np.concatenate([found["new_hidden_states"], last["new_hidden_states"]], axis=1)
    same({**last, "new_hidden_states": joined}, whole, tokens["attention_mask"] != 0)


def test_signatures_have_fixed_lengths() -> None:
    shapes = {spec.name: (spec.dtype, spec.shape) for spec in llama_decode(TEXT, SLOTS).signature.inputs}
    assert shapes["attention_mask"] == ("int64", ("batch", SLOTS))
    assert shapes["position_ids"] == ("int64", ("batch", 1))
    assert shapes["cache_position"] == ("int64", (1,))
    assert shapes["past_key_values.1.value"] == ("float32", ("batch", 4, SLOTS, 8))
    prefill = llama_prefill(VISION, 8, SLOTS).signature
    assert [spec.name for spec in prefill.inputs] == ["input_ids", "vision_masks", "attention_mask", "position_ids"]
    assert {spec.shape for spec in prefill.outputs} == {("batch", 8, 48), ("batch", 8, 24), ("batch", 4, SLOTS, 8)}
    names = [component.name for component in (llama_prefill(TEXT, 8, 16), llama_block_decode(TEXT, 0, 16))]
    assert [*names, llama_decode(VISION, 16).name] == ["llama-prefill", "llama-block-decode", "vision-llama-decode"]


def test_the_composites_of_a_decode_are_marked() -> None:
    names = [composite_name(equation) for equation in walk(trace(llama_decode(TEXT, SLOTS)).jaxpr)]
    assert {name: names.count(name) for name in set(names) - {None}} == {
        "lwmport.rms_norm": 5,
        "lwmport.rotary_embedding": 4,
        "lwmport.cache_update": 4,
        "lwmport.masked_attention": 2,
        "lwmport.silu": 2,
        "lwmport.softmax": 2,
    }


def test_every_mask_is_finite_in_float16() -> None:
    for component in (
        llama_decode(TEXT, SLOTS, 2),
        ring_step(TEXT, Lengths(sequence=8, past=8), AttentionPlan(), padded=True),
        ring_step(TEXT, Lengths(sequence=8, past=8), PLANS["unrolled"]),
        llama_prefill(TEXT, 8, SLOTS),
        llama_prefill(TEXT, 8, SLOTS, PLANS["unrolled"]),
    ):
        flat = trace(component).expand(lambda _: False)
        literals = [atom.val for equation in flat.jaxpr.eqns for atom in equation.invars if hasattr(atom, "val")]
        constants = [np.asarray(value) for value in (*literals, *flat.closed.consts)]
        lowest = min(np.min(array) for array in constants if array.dtype.kind == "f" and array.size)
        assert lowest in {HIDDEN, 0.0} or lowest >= -1.0
        assert np.isfinite(np.float16(lowest))
    assert np.isfinite(np.float16(HIDDEN) - np.float16(10000))


def test_the_plan_of_a_prefill_follows_its_length() -> None:
    assert static_plan(TEXT, 4) == AttentionPlan()
    assert static_plan(TEXT, 5) == AttentionPlan(form="unrolled", query_chunk=4, key_chunk=4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: llama_prefill(TEXT, 17, 16), "1 to 16 tokens at once, as many as the cache holds, found 17"),
        (lambda: llama_decode(TEXT, 16, 0), "1 to 16 tokens at once"),
        (lambda: llama_decode(TEXT, 65), "a cache of at most max_sequence_length 64, found 65"),
        (lambda: llama_prefill(TEXT, 8, 16, AttentionPlan(form="loop")), "fused or unrolled, found a loop"),
        (lambda: llama_block_decode(TEXT, 2, 16), "a layer from 0 to 1, found 2"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(make: Callable[[], Component], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def steps(config: LlamaConfig, tokens: Mapping[str, Array], start: int, at_once: int = 1) -> dict[str, Array]:
    """Return logits of all tokens and the last cache: a prefill of ``start`` tokens and then decoding."""
    found = run(llama_prefill(config, start, SLOTS), cut(tokens, 0, start))
    logits = {name: [value] for name, value in found.items() if "logits" in name}
    decode = jitted(llama_decode(config, SLOTS, at_once))
    for at in range(start, tokens["input_ids"].shape[1], at_once):
        step = slots_of(cut(tokens, at, at + at_once))
        found = decode({**step, **past_of(found), "cache_position": np.array([at])})
        for name, parts in logits.items():
            parts.append(found[name])
    return {**found, **{name: np.concatenate(parts, axis=1) for name, parts in logits.items()}}


def same(found: Mapping[str, Any], whole: Mapping[str, Any], seen: Array) -> None:
    """Compare what the tokens of a mask compute; what a padded query computes is nobody's."""
    for name, expected in whole.items():
        value, axis = np.asarray(found[name]), 2 if "present" in name else 1
        one, other = (np.moveaxis(np.asarray(array), axis, 1)[:, : seen.shape[1]][seen] for array in (value, expected))
        np.testing.assert_allclose(one, other, rtol=0, atol=CLOSE, err_msg=name)


def fed(config: LlamaConfig, length: int) -> dict[str, Array]:
    """Return tokens of two sequences, the second with two paddings on the left."""
    rng = np.random.default_rng(length)
    mask = np.ones((2, length), np.int64)
    mask[1, :2] = 0
    ids, positions = rng.integers(0, 24, (2, length)), np.maximum(mask.cumsum(1) - 1, 0)
    found: dict[str, Array] = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
    if isinstance(config, VisionLlamaConfig):
        found["vision_masks"] = rng.random((2, length)) < 0.5
    return found


def cut(tokens: Mapping[str, Array], start: int, end: int) -> dict[str, Array]:
    return {name: value[:, 0 if name == "attention_mask" else start : end] for name, value in tokens.items()}


def slots_of(tokens: Mapping[str, Array]) -> dict[str, Array]:
    """Return tokens with a mask of all slots, in which those that are not written yet hold nothing."""
    mask = tokens["attention_mask"]
    return {**tokens, "attention_mask": np.pad(mask, ((0, 0), (0, SLOTS - mask.shape[1])))}


def past_of(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("present", "past_key_values"): value for name, value in found.items() if "present" in name}


def empty(config: LlamaConfig, batch: int = 2) -> dict[str, Array]:
    none = np.zeros((batch, config.num_attention_heads, 0, config.head_dim), np.float32)
    layers = range(config.num_hidden_layers)
    return {f"past_key_values.{layer}.{part}": none for layer in layers for part in ("key", "value")}


def jitted(component: Component) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    seeded = SeededWeights(component.weights, 0)
    weights = {name: seeded.read(name) for name in component.weights}
    apply = jax.jit(component.apply, compiler_options={"xla_backend_optimization_level": 0})
    names = [spec.name for spec in component.signature.inputs]
    return lambda inputs: apply(weights, {name: np.asarray(inputs[name]) for name in names})


def run(component: Component, inputs: Mapping[str, Any]) -> dict[str, Any]:
    found = jitted(component)(inputs)
    assert set(found) == {spec.name for spec in component.signature.outputs}
    return found
