"""Components: what they promise, what they compute, and that tracing them costs nothing."""

import resource
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.extend
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.errors import UsageError
from lwmport.graphs.atoms import composite_name, walk
from lwmport.graphs.simplify import simplify
from lwmport.graphs.trace import trace
from lwmport.models.attention.blocks import AttentionPlan, initial_state
from lwmport.models.attention.causal import plan_for
from lwmport.models.llama.components import llama
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.parts import (
    llama_block,
    llama_block_qkv,
    llama_block_rest,
    llama_embed,
    llama_head,
    ring_step,
)
from lwmport.models.llama.presets import CONFIGS, VISION_CONFIGS
from lwmport.models.llama.signatures import Lengths
from lwmport.models.llama.text import Llama
from lwmport.models.llama.weights import llama_weights, stacked_source
from lwmport.runtime.runners.jax import JaxRunner
from lwmport.types import Array, Component

SMALL = {
    "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_sequence_length": 128, "scan_query_chunk_size": 8, "scan_key_chunk_size": 8,
}  # fmt: skip
TEXT = LlamaConfig.from_json(SMALL)
VISION = VisionLlamaConfig.from_json({**SMALL, "vision_vocab_size": 24})
CLOSE = 2e-5


def test_the_signature_is_the_ecosystems() -> None:
    signature = llama(TEXT).signature
    inputs = {spec.name: (spec.dtype, spec.shape) for spec in signature.inputs}
    assert inputs == {
        "input_ids": ("int64", ("batch", "sequence")),
        "attention_mask": ("int64", ("batch", "past + sequence")),
        "position_ids": ("int64", ("batch", "sequence")),
        **{
            f"past_key_values.{layer}.{part}": ("float32", ("batch", 4, "past", 8))
            for layer in range(2)
            for part in ("key", "value")
        },
    }
    outputs = {spec.name: (spec.dtype, spec.shape) for spec in signature.outputs}
    assert outputs == {
        "logits": ("float32", ("batch", "sequence", 48)),
        **{
            f"present.{layer}.{part}": ("float32", ("batch", 4, "past + sequence", 8))
            for layer in range(2)
            for part in ("key", "value")
        },
    }


@pytest.mark.parametrize(
    ("mode", "names"),
    [("all", ["text_logits", "vision_logits"]), ("text", ["text_logits"]), ("vision", ["vision_logits"])],
)
def test_vision_language_adds_masks_and_gives_the_logits_of_its_mode(mode: str, names: list[str]) -> None:
    signature = llama(VISION.updated({"sample_mode": mode})).signature
    assert [spec.name for spec in signature.outputs if "logits" in spec.name] == names
    (masks,) = (spec for spec in signature.inputs if spec.name == "vision_masks")
    assert (masks.dtype, masks.shape) == ("bool", ("batch", "sequence"))


@pytest.mark.parametrize("config", [TEXT, VISION], ids=["text", "vision"])
def test_prefill_and_decoding_one_by_one_are_one_full_pass(config: LlamaConfig) -> None:
    tokens = fed(config, 8)
    whole = run(llama(config, Lengths(sequence=8, past=0)), {**tokens, **empty(config)})
    part = run(llama(config, Lengths(sequence=5, past=0)), {**cut(tokens, 0, 5), **empty(config)})
    logits = {name: [value] for name, value in part.items() if "logits" in name}
    mode = {"sample_mode": "all"} if isinstance(config, VisionLlamaConfig) else {}
    for at in range(5, 8):
        past = {name.replace("present", "past_key_values"): value for name, value in part.items() if "present" in name}
        step = llama(config.updated(mode), Lengths(sequence=1, past=at))
        part = run(step, {**cut(tokens, at, at + 1), **past})
        for name, found in logits.items():
            found.append(part[name])
    seen = tokens["attention_mask"] != 0  # what a padded query computes is nobody's: it averages over what it is given
    for name, found in logits.items():
        joined = np.concatenate(found, axis=1)
        np.testing.assert_allclose(joined[seen], whole[name][seen], rtol=0, atol=CLOSE)
    for name in part:
        if "present" in name:
            by_token = (np.moveaxis(caches[name], 2, 1)[seen] for caches in (part, whole))
            np.testing.assert_allclose(*by_token, rtol=0, atol=CLOSE)


def test_greedy_tokens_are_the_same_in_every_form() -> None:
    expected = greedy(AttentionPlan(), 24)
    assert greedy(AttentionPlan(form="loop", query_chunk=8, key_chunk=8), 24) == expected
    assert greedy(AttentionPlan(form="unrolled", query_chunk=16, key_chunk=16), 24) == expected
    assert greedy(AttentionPlan(form="unrolled", ring=2), 24) == expected


def greedy(plan: AttentionPlan, count: int) -> list[int]:
    """Return tokens chosen from a full pass over 40 slots each, the unused ones being padding on the left."""
    component = llama(TEXT, Lengths(sequence=40, past=0), plan)
    options = {"xla_backend_optimization_level": 0}
    apply, values = jax.jit(component.apply, compiler_options=options), weights_of(component)
    tokens: list[int] = [3, 1, 4, 1, 5]
    for _ in range(count):
        pad = 40 - len(tokens)
        mask = np.array([[0] * pad + [1] * len(tokens)])
        inputs = {"input_ids": np.array([[0] * pad + tokens]), "attention_mask": mask, **empty(TEXT, 1)}
        found = apply(values, {**inputs, "position_ids": np.maximum(mask.cumsum(1) - 1, 0)})
        tokens.append(int(np.argmax(found["logits"][0, -1])))
    return tokens


@pytest.mark.parametrize(
    "config", [TEXT, VISION, TEXT.updated({"tie_word_embeddings": True})], ids=["text", "vision", "tied"]
)
def test_embedding_layers_and_head_chained_are_the_whole(config: LlamaConfig) -> None:
    lengths, tokens = Lengths(sequence=6, past=0), {**fed(config, 6), **empty(config)}
    whole = run(llama(config, lengths), tokens)
    states = run(llama_embed(config, lengths), tokens)["hidden_states"]
    for layer in range(2):
        found = run(llama_block(config, layer, lengths), {**tokens, "hidden_states": states})
        states = found.pop("new_hidden_states")
        for name, value in found.items():
            np.testing.assert_allclose(value, whole[name], rtol=0, atol=CLOSE)
    for name, value in run(llama_head(config, lengths), {"hidden_states": states}).items():
        np.testing.assert_allclose(value, whole[name], rtol=0, atol=CLOSE)


def test_the_halves_of_a_layer_around_a_ring_step_are_the_layer() -> None:
    lengths, tokens = Lengths(sequence=6, past=0), {**fed(TEXT, 6), **empty(TEXT)}
    tokens["hidden_states"] = run(llama_embed(TEXT, lengths), tokens)["hidden_states"]
    whole = run(llama_block(TEXT, 1, lengths), tokens)
    heads = run(llama_block_qkv(TEXT, 1, lengths), tokens)
    np.testing.assert_allclose(heads["key"], whole["present.1.key"], rtol=0, atol=CLOSE)
    state, places = initial_state(heads["query"])._asdict(), {"query_offset": np.int64(0), "key_offset": np.int64(0)}
    step = ring_step(TEXT, Lengths(sequence=6, past=6), AttentionPlan(), padded=True)
    found = run(step, {**heads, **state, **places, "attention_mask": tokens["attention_mask"]})
    seen = {name.removeprefix("new_"): value for name, value in found.items()}
    states = run(llama_block_rest(TEXT, 1, lengths), {**tokens, **seen})["new_hidden_states"]
    counts = tokens["attention_mask"][..., None]  # what padding computes is nobody's
    np.testing.assert_allclose(states * counts, whole["new_hidden_states"] * counts, rtol=0, atol=CLOSE)


def test_ring_steps_chained_are_attention() -> None:
    rng = np.random.default_rng(0)
    query, key, value = (rng.standard_normal((2, 4, 16, 8)).astype(np.float32) for _ in range(3))
    mask = np.ones((2, 16), np.int64)
    mask[0, :3] = 0
    component = ring_step(TEXT, Lengths(sequence=8, past=8), padded=True)
    state = initial_state(query[:, :, 8:])._asdict()
    for source in (1, 0):
        part = slice(8 * source, 8 * source + 8)
        given = {"query": query[:, :, 8:], "key": key[:, :, part], "value": value[:, :, part]}
        offsets = {"query_offset": np.int64(8), "key_offset": np.int64(8 * source)}
        found = run(component, {**given, **offsets, **state, "attention_mask": mask[:, part]})
        state = {name.removeprefix("new_"): value for name, value in found.items()}
    scores = np.einsum("bhqd,bhkd->bhqk", query[:, :, 8:], key) / np.sqrt(8)
    seen = (np.arange(16) <= np.arange(8, 16)[:, None]) & (mask != 0)[:, None, None]
    weights = np.where(seen, np.exp(scores), 0)
    expected = np.einsum("bhqk,bhkd->bhqd", weights / weights.sum(-1, keepdims=True), value)
    np.testing.assert_allclose(state["numerator"] / state["denominator"][..., None], expected, rtol=0, atol=CLOSE)


FACTORIES: dict[str, Callable[..., Component]] = {
    "llama": lambda: llama(CONFIGS["lwm-text-1m"], Lengths(sequence=1, past=1048575)),
    "vision-llama": lambda: llama(VISION_CONFIGS["lwm-chat-32k"], Lengths(sequence=32768, past=0)),
    "llama-block": lambda: llama_block(CONFIGS["7b"], 31, Lengths(sequence=8, past=8)),
    "llama-block-qkv": lambda: llama_block_qkv(CONFIGS["7b"], 31, Lengths(sequence=8, past=0)),
    "llama-block-rest": lambda: llama_block_rest(CONFIGS["7b"], 31, Lengths(sequence=8, past=0)),
    "llama-embed": lambda: llama_embed(VISION_CONFIGS["7b"], Lengths(sequence=8, past=0)),
    "llama-head": lambda: llama_head(CONFIGS["7b"], Lengths(sequence=8, past=0)),
    "ring-step": lambda: ring_step(CONFIGS["7b"], Lengths(sequence=4096, past=4096)),
}


@pytest.mark.parametrize("name", FACTORIES)
def test_released_sizes_are_traced_without_their_memory(name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    program = trace(FACTORIES[name]())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 400 * 2**10, f"{grown} KiB for a model of 26 GiB"
    assert sum(np.asarray(constant).nbytes for constant in program.closed.consts) < 4 * 2**20


def test_the_composites_of_a_layer_are_marked() -> None:
    program = trace(llama(TEXT, Lengths(sequence=8, past=4)), batch="dynamic")
    names = [composite_name(equation) for equation in walk(program.jaxpr)]
    assert {name: names.count(name) for name in set(names) - {None}} == {
        "lwmport.rms_norm": 5,
        "lwmport.rotary_embedding": 4,
        "lwmport.causal_attention": 2,
        "lwmport.silu": 2,
    }


def test_a_program_without_composites_computes_the_same() -> None:
    component = llama(TEXT, Lengths(sequence=8, past=0), AttentionPlan(form="unrolled", query_chunk=4, key_chunk=4))
    inputs = {**fed(TEXT, 8), **empty(TEXT)}
    program = trace(component, batch=2).expand(lambda _: False)
    values = weights_of(component)
    order = [
        inputs[spec.name].astype(var.aval.dtype)
        for spec, var in zip(program.signature.inputs, program.input_vars, strict=True)
    ]
    found = jax.core.eval_jaxpr(
        program.jaxpr, program.closed.consts, *(values[name] for name in program.weight_names), *order
    )
    np.testing.assert_allclose(found[0], run(component, inputs)["logits"], rtol=0, atol=CLOSE)


@pytest.mark.parametrize("axis", [0, 1])
def test_stacked_and_unstacked_weights_give_the_same_logits(axis: int) -> None:
    config = TEXT.updated({"param_scan_axis": axis})
    component = llama(config, Lengths(sequence=8, past=0))
    flat = {name: np.asarray(value) for name, value in weights_of(component).items()}
    stacked: dict[str, Any] = {}
    for name, value in flat.items():
        source = stacked_source(config, name)
        if source is None:
            stacked[name] = value
        else:
            layers = [flat[name.replace(f"/h/{source.layer}/", f"/h/{layer}/")] for layer in range(2)]
            stacked[source.name] = np.stack(layers, source.axis)
    tokens = fed(config, 8)
    params = {"params": unflatten_dict(stacked, sep="/")}
    logits, present = Llama(config).apply(
        params, *(tokens[name] for name in ("input_ids", "attention_mask", "position_ids"))
    )
    whole = run(component, {**tokens, **empty(config)})
    np.testing.assert_allclose(logits, whole["logits"], rtol=0, atol=CLOSE)
    np.testing.assert_allclose(present[1][1], whole["present.1.value"], rtol=0, atol=CLOSE)


def test_chunks_of_the_network_change_nothing() -> None:
    component = llama(TEXT, Lengths(sequence=8, past=0))
    params = {"params": unflatten_dict(weights_of(component), sep="/")}
    config = TEXT.updated({"scan_layers": False, "scan_mlp_chunk_size": 3})
    ids = fed(TEXT, 8)["input_ids"]
    one, other = (Llama(config.updated({"scan_mlp": scan})).apply(params, ids)[0] for scan in (True, False))
    np.testing.assert_allclose(one, other, rtol=0, atol=CLOSE)


def test_a_bfloat16_model_is_near_the_float32_one() -> None:
    component = llama(TEXT, Lengths(sequence=8, past=0))
    params = {"params": unflatten_dict(weights_of(component), sep="/")}
    ids = fed(TEXT, 8)["input_ids"]
    config = TEXT.updated({"scan_layers": False})
    rough, fine = (Llama(config, dtype=dtype).apply(params, ids)[0] for dtype in ("bfloat16", "float32"))
    assert rough.dtype == np.float32
    assert 1e-4 < np.abs(rough - fine).max() < 0.2


def test_what_cannot_be_asked_for_is_refused() -> None:
    with pytest.raises(UsageError, match="a layer from 0 to 1, found 2"):
        llama_block(TEXT, 2)
    too_long = llama(TEXT, Lengths(sequence=100, past=29))
    with pytest.raises(UsageError, match="at most max_sequence_length 128 tokens, found 129"):
        trace(too_long)


def test_the_runner_takes_int64() -> None:
    component = llama(TEXT, Lengths(sequence=6, past=0))
    weights = SeededWeights(component.weights, 0)
    inputs = {**fed(TEXT, 6), **empty(TEXT)}
    found = JaxRunner(component, weights).run(inputs)
    np.testing.assert_allclose(found["logits"], run(component, inputs)["logits"], rtol=0, atol=CLOSE)


def test_every_length_is_one_program_where_names_stand_for_lengths() -> None:
    batch, sequence, past = jax.export.symbolic_shape("batch, sequence, past")
    sizes = {"batch": batch, "sequence": sequence, "past": past, "past + sequence": past + sequence}
    component = llama(TEXT)
    inputs = {
        spec.name: jax.ShapeDtypeStruct(tuple(sizes.get(str(dim), dim) for dim in spec.shape), spec.dtype)
        for spec in component.signature.inputs
    }
    weights = {name: jax.ShapeDtypeStruct(spec.shape, spec.dtype) for name, spec in component.weights.items()}
    flat = simplify(jax.make_jaxpr(component.apply)(weights, inputs), lambda _: False)
    leaves = jax.tree.leaves((weights, inputs))
    # JAX cannot lower a composite of symbolic shapes, so the program is exported without any.
    exported = jax.export.export(jax.jit(jax.extend.core.jaxpr_as_fun(flat)))(*leaves)
    tokens = fed(TEXT, 9)
    start = run(llama(TEXT, Lengths(sequence=4, past=0)), {**cut(tokens, 0, 4), **empty(TEXT)})
    past_values = {
        name.replace("present", "past_key_values"): value for name, value in start.items() if "present" in name
    }
    given = {**int32(cut(tokens, 4, 9)), **past_values}
    names = sorted(spec.name for spec in component.signature.outputs)
    found = dict(zip(names, exported.call(*jax.tree.leaves((weights_of(component), given))), strict=True))
    whole = run(llama(TEXT, Lengths(sequence=9, past=0)), {**tokens, **empty(TEXT)})
    np.testing.assert_allclose(found["logits"], whole["logits"][:, 4:], rtol=0, atol=CLOSE)


def test_the_plan_of_a_component_follows_its_length() -> None:
    assert plan_for(TEXT, 8).form == "full"
    assert plan_for(TEXT, 9).form == "loop"
    assert plan_for(TEXT, "sequence").query_chunk == 0


def test_a_tensor_of_a_stack_is_found_and_others_are_their_own() -> None:
    name = "transformer/h/1/attention_norm/kernel"
    stack = "transformer/h/scan_decoder/attention_norm/kernel"
    assert stacked_source(TEXT, name) == (stack, 0, 1)
    assert stacked_source(TEXT.updated({"param_scan_axis": 1}), name) == (stack, 1, 1)
    assert stacked_source(TEXT.updated({"scan_layers": False}), name) is None
    assert stacked_source(TEXT, "lm_head/kernel") is None


def fed(config: LlamaConfig, length: int) -> dict[str, Array]:
    """Return tokens of two sequences, the second with two paddings on the left."""
    rng = np.random.default_rng(length)
    mask = np.ones((2, length), np.int64)
    mask[1, :2] = 0
    found: dict[str, Array] = {
        "input_ids": rng.integers(0, 24, (2, length)),
        "attention_mask": mask,
        "position_ids": np.maximum(mask.cumsum(1) - 1, 0),
    }
    if isinstance(config, VisionLlamaConfig):
        found["vision_masks"] = rng.random((2, length)) < 0.5
    return found


def cut(tokens: Mapping[str, Array], start: int, end: int) -> dict[str, Array]:
    """Return tokens from start to end; the mask reaches back to the first."""
    return {name: value[:, 0 if name == "attention_mask" else start : end] for name, value in tokens.items()}


def int32(inputs: Mapping[str, Array]) -> dict[str, Array]:
    return {name: value.astype(np.int32) if value.dtype == np.int64 else value for name, value in inputs.items()}


def empty(config: LlamaConfig, batch: int = 2) -> dict[str, Array]:
    """Return a cache of no tokens."""
    none = np.zeros((batch, config.num_attention_heads, 0, config.head_dim), np.float32)
    layers = range(config.num_hidden_layers)
    return {f"past_key_values.{layer}.{part}": none for layer in layers for part in ("key", "value")}


def weights_of(component: Component) -> dict[str, Any]:
    seeded = SeededWeights(component.weights, 0)
    return {name: seeded.read(name) for name in component.weights}


def run(component: Component, inputs: Mapping[str, Any]) -> dict[str, Any]:
    given = {spec.name: inputs[spec.name] for spec in component.signature.inputs}
    options = {"xla_backend_optimization_level": 0}
    found = jax.jit(component.apply, compiler_options=options)(weights_of(component), given)
    assert set(found) == {spec.name for spec in component.signature.outputs}
    return found


def test_weights_of_parts_are_those_of_the_whole() -> None:
    parts = [llama_embed(VISION), llama_head(VISION), *(llama_block(VISION, layer) for layer in range(2))]
    names = {name: spec for part in parts for name, spec in part.weights.items()}
    assert names == llama_weights(VISION)
