"""The language models in ONNX: every dialect, form of attention and length against JAX, and what a graph may hold."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
import onnx
import onnxsim
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters.dialects import dialect_for
from lwmport.converters.onnx.convert import convert
from lwmport.graphs.trace import trace
from lwmport.models.attention.blocks import AttentionPlan, initial_state
from lwmport.models.attention.causal import plan_for
from lwmport.models.families import resolve
from lwmport.models.llama.components import llama
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.parts import llama_block, llama_embed, llama_head, ring_step
from lwmport.models.llama.signatures import Lengths
from lwmport.models.options import Options
from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
from lwmport.types import Array, Artifact, Component

SMALL: dict[str, Any] = {
    "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_sequence_length": 128, "scan_query_chunk_size": 8, "scan_key_chunk_size": 8,
}  # fmt: skip
TEXT = LlamaConfig.from_json(SMALL)
VISION = VisionLlamaConfig.from_json({**SMALL, "vision_vocab_size": 24})
CLOSE = 2e-5
DIALECTS = [("ort", 21), ("onnx", 13), ("onnx", 21), ("onnx", 24), ("openvino", 21)]
FACTORIES: dict[str, Callable[..., Component]] = {
    "llama": lambda plan, lengths: llama(TEXT, lengths, plan),
    "vision-llama": lambda plan, lengths: llama(VISION, lengths, plan),
    "llama-block": lambda plan, lengths: llama_block(TEXT, 1, lengths, plan),
    "llama-embed": lambda _, lengths: llama_embed(VISION, lengths),
    "llama-head": lambda _, lengths: llama_head(VISION, lengths),
}


@dataclass(frozen=True)
class Case:
    """Sequences, new tokens, tokens before, and how many on the left of each sequence are padding."""

    batch: int
    sequence: int
    past: int = 0
    padding: tuple[int, ...] = ()

    @property
    def mask(self) -> Array:
        """Which tokens are real, int64 [batch, past + sequence]."""
        padding = np.asarray(self.padding or (0,) * self.batch)
        return np.asarray(np.arange(self.past + self.sequence) >= padding[:, None], np.int64)


ANY_LENGTH = [
    Case(2, 7), Case(2, 7, 0, (3, 0)), Case(2, 1, 9, (2, 0)), Case(2, 4, 5, (2, 7)), Case(2, 4, 5), Case(1, 6, 3),
    Case(1, 1), Case(2, 1, 9),
]  # fmt: skip


def feed(component: Component, case: Case) -> dict[str, Array]:
    """Return inputs of a component: random, but for mask and positions."""
    random = np.random.default_rng([case.batch, case.sequence, case.past])
    sizes = {"batch": case.batch, "sequence": case.sequence, "past": case.past}
    sizes["past + sequence"] = case.past + case.sequence
    positions = np.maximum(np.cumsum(case.mask, axis=1) - 1, 0)
    known = {"attention_mask": case.mask, "position_ids": positions[:, case.past :]}
    found = {}
    for spec in component.signature.inputs:
        shape = tuple(sizes.get(str(dim), dim) for dim in spec.shape)
        if spec.name in known:
            found[spec.name] = known[spec.name]
        elif spec.dtype == "bool":
            found[spec.name] = random.random(shape) < 0.5  # type: ignore[arg-type]
        elif spec.dtype == "int64":
            found[spec.name] = random.integers(0, 24, shape)  # type: ignore[arg-type]
        else:
            found[spec.name] = np.asarray(random.normal(size=shape), spec.dtype)  # type: ignore[arg-type]
    return found


@cache
def reference(name: str, case: Case) -> Mapping[str, Array]:
    """Return JAX's outputs, with all scores at once."""
    component = FACTORIES[name](AttentionPlan(), Lengths())
    weights = held(component)
    arrays = {name: np.asarray(weights.read(name)) for name in component.weights}
    run = jax.jit(component.apply, compiler_options={"xla_backend_optimization_level": 0})
    return {name: np.asarray(value) for name, value in run(arrays, feed(component, case)).items()}


def held(component: Component) -> SeededWeights:
    return SeededWeights(component.weights, 3)


def lowered(
    component: Component, folder: Path, dialect: str = "ort", opset: int | None = None, batch: int | str = "dynamic"
) -> Artifact:
    chosen = dialect_for("onnx", dialect, opset)
    return convert(trace(component, batch), held(component), chosen, folder, lambda *_: None)


def differences(found: Mapping[str, Array], expected: Mapping[str, Array], case: Case) -> dict[str, float]:
    """Return the largest difference of each output over what is no padding."""
    real = case.mask != 0
    worst = {}
    for name, value in expected.items():
        assert found[name].shape == value.shape, name
        off = np.abs(np.asarray(found[name], np.float64) - np.asarray(value, np.float64))
        kept = np.moveaxis(off, 2, 1)[real] if name.startswith("present") else off[real[:, case.past :]]
        assert np.isfinite(found[name]).all(), name
        worst[name] = float(kept.max(initial=0))
    return worst


def agrees(artifact: Artifact, component: Component, cases: Sequence[Case]) -> None:
    onnx.checker.check_model(artifact.path, full_check=True)
    runner = OnnxRuntimeRunner(artifact.path, threads=1)
    for case in cases:
        worst = differences(runner.run(feed(component, case)), reference(component.name, case), case)
        assert max(worst.values()) < CLOSE, (case, worst)


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("form", ["full", "loop"])
@pytest.mark.parametrize("name", ["llama", "vision-llama", "llama-block"])
def test_any_length_agrees_with_jax(name: str, form: str, dialect: tuple[str, int], tmp_path: Path) -> None:
    component = FACTORIES[name](plan_for(TEXT, "sequence", form), Lengths())
    agrees(lowered(component, tmp_path, *dialect), component, ANY_LENGTH if name == "llama" else ANY_LENGTH[1:4])


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("name", ["llama-embed", "llama-head"])
def test_embedding_and_head_agree_with_jax(name: str, dialect: tuple[str, int], tmp_path: Path) -> None:
    component = FACTORIES[name](None, Lengths())
    agrees(lowered(component, tmp_path, *dialect), component, [Case(2, 7), Case(1, 1)])


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("form", ["full", "loop", "unrolled"])
@pytest.mark.parametrize("case", [Case(2, 20, 0, (3, 0)), Case(2, 16, 3), Case(2, 1, 9, (2, 0))], ids=str)
def test_fixed_lengths_agree_with_jax(case: Case, form: str, dialect: tuple[str, int], tmp_path: Path) -> None:
    lengths = Lengths(sequence=case.sequence, past=case.past)
    component = FACTORIES["llama"](plan_for(TEXT, case.sequence, form), lengths)
    agrees(lowered(component, tmp_path, *dialect, batch=2), component, [case])


@pytest.mark.parametrize("ring", [2, 4, 8])
def test_an_unrolled_ring_agrees_with_jax(ring: int, tmp_path: Path) -> None:
    plan = AttentionPlan(form="unrolled", query_chunk=2, key_chunk=3, ring=ring)
    component = FACTORIES["llama"](plan, Lengths(sequence=24, past=0))
    agrees(lowered(component, tmp_path), component, [Case(2, 24, 0, (5, 0))])


@pytest.mark.parametrize("opset", range(13, 25))
def test_every_opset_agrees_with_jax(opset: int, tmp_path: Path) -> None:
    component = FACTORIES["llama"](AttentionPlan(), Lengths())
    agrees(lowered(component, tmp_path, "onnx", opset), component, [Case(2, 7, 0, (3, 0)), Case(2, 4, 5)])


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_prefill_and_decoding_one_by_one_are_one_full_pass(dialect: tuple[str, int], tmp_path: Path) -> None:
    component = FACTORIES["vision-llama"](AttentionPlan(), Lengths())
    runner = OnnxRuntimeRunner(lowered(component, tmp_path, *dialect).path, threads=1)
    case = Case(2, 9, 0, (3, 0))
    whole = feed(component, case)
    expected = runner.run(whole)
    past = {name: value for name, value in whole.items() if name.startswith("past")}
    logits: dict[str, list[Array]] = {"text_logits": [], "vision_logits": []}
    for start, end in ((0, 5), *((at, at + 1) for at in range(5, 9))):
        part = {name: whole[name][:, start:end] for name in ("input_ids", "vision_masks", "position_ids")}
        found = runner.run({**part, "attention_mask": whole["attention_mask"][:, :end], **past})
        past = {name.replace("present", "past_key_values"): found[name] for name in found if "present" in name}
        for name, parts in logits.items():
            parts.append(found[name])
    joined = {name: np.concatenate(parts, axis=1) for name, parts in logits.items()}
    worst = differences(joined, {name: expected[name] for name in logits}, case)
    assert max(worst.values()) < CLOSE, worst


@pytest.mark.parametrize("dialect", DIALECTS[::2], ids=str)
def test_24_greedy_tokens_are_jaxs(dialect: tuple[str, int], tmp_path: Path) -> None:
    component = FACTORIES["llama"](AttentionPlan(), Lengths())
    prompt = [[5, 17, 3, 40, 8], [0, 0, 9, 1, 22]]
    found = _generated(component, prompt, OnnxRuntimeRunner(lowered(component, tmp_path, *dialect).path, threads=1))
    weights = held(component)
    arrays = {name: np.asarray(weights.read(name)) for name in component.weights}
    run = jax.jit(component.apply)
    window, tokens, mask = 32, np.asarray(prompt), Case(2, 5, 0, (0, 2)).mask
    for _ in range(24):  # JAX without a cache, padded to one length on the left
        fill = ((0, 0), (window - tokens.shape[1], 0))
        whole, seen = np.pad(tokens, fill), np.pad(mask, fill)
        given = {"input_ids": whole, "attention_mask": seen, "position_ids": np.maximum(np.cumsum(seen, axis=1) - 1, 0)}
        logits = run(arrays, {**given, **_no_past(component)})["logits"]
        tokens = np.concatenate([tokens, np.asarray(logits)[:, -1:].argmax(-1)], axis=1)
        mask = np.pad(mask, ((0, 0), (0, 1)), constant_values=1)
    assert found.tolist() == tokens[:, 5:].tolist()


def _generated(component: Component, prompt: list[list[int]], runner: OnnxRuntimeRunner) -> Array:
    tokens, mask = np.asarray(prompt), Case(2, 5, 0, (0, 2)).mask
    new, past = tokens, _no_past(component)
    for _ in range(24):
        positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)[:, -new.shape[1] :]
        found = runner.run({"input_ids": new, "attention_mask": mask, "position_ids": positions, **past})
        past = {name.replace("present", "past_key_values"): found[name] for name in found if "present" in name}
        new = found["logits"][:, -1:].argmax(-1)
        tokens = np.concatenate([tokens, new], axis=1)
        mask = np.pad(mask, ((0, 0), (0, 1)), constant_values=1)
    return tokens[:, 5:]


def _no_past(component: Component) -> dict[str, Array]:
    names = [spec.name for spec in component.signature.inputs if spec.name.startswith("past")]
    return {name: np.zeros((2, 4, 0, 8), np.float32) for name in names}


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize(("form", "lengths"), [("full", Lengths(sequence="queries", past="keys")), ("loop", None)])
def test_ring_steps_in_a_chain_are_full_attention(
    form: str, lengths: Lengths | None, dialect: tuple[str, int], tmp_path: Path
) -> None:
    chosen = lengths or Lengths(sequence="queries", past="keys")
    component = ring_step(TEXT, chosen, plan_for(TEXT, "queries", form), padded=True)
    artifact = lowered(component, tmp_path, *dialect)
    onnx.checker.check_model(artifact.path, full_check=True)
    runner = OnnxRuntimeRunner(artifact.path, threads=1)
    random = np.random.default_rng(0)
    query, key, value = (random.normal(size=(2, 4, 24, 8)).astype(np.float32) for _ in range(3))
    mask = Case(2, 24, 0, (3, 0)).mask
    expected = _attended(query, key, value, mask)
    for ranks in (1, 2, 4, 8):
        size, parts = 24 // ranks, []
        for rank in range(ranks):
            own = query[:, :, rank * size : (rank + 1) * size]
            state = {name: np.asarray(part) for name, part in initial_state(jax.numpy.asarray(own))._asdict().items()}
            for step in range(ranks):
                at = (rank - step) % ranks * size
                held_now = {"key": key[:, :, at : at + size], "value": value[:, :, at : at + size]}
                offsets = {"query_offset": np.asarray(rank * size), "key_offset": np.asarray(at)}
                seen = {"attention_mask": mask[:, at : at + size]}
                found = runner.run({"query": own, **held_now, **state, **offsets, **seen})
                state = {name: found[f"new_{name}"] for name in state}
            parts.append(state["numerator"] / state["denominator"][..., None])
        off = np.abs(np.concatenate(parts, axis=2) - expected)
        assert np.moveaxis(off, 2, 1)[mask != 0].max() < CLOSE, ranks


def _attended(query: Array, key: Array, value: Array, mask: Array) -> Array:
    """Return causal attention in float64."""
    scores = np.einsum("bhqd,bhkd->bhqk", query.astype(np.float64), key) / np.sqrt(query.shape[-1])
    seen = (mask != 0)[:, None, None] & np.tri(scores.shape[2], dtype=bool)
    scores = np.where(seen, scores, -1e30)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(np.einsum("bhqk,bhkd->bhqd", weights / weights.sum(-1, keepdims=True), value))


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("form", ["full", "loop"])
def test_no_tensor_grows_with_the_square_of_the_length(form: str, dialect: tuple[str, int], tmp_path: Path) -> None:
    component = FACTORIES["llama"](plan_for(TEXT, "sequence", form), Lengths())
    model = onnx.load(lowered(component, tmp_path, *dialect).path, load_external_data=False)
    shapes = [_shape(info) for info in every_value(model.graph)]
    assert len(shapes) > 50
    assert [shape for shape in shapes if sum("sequence" in dim or "past" in dim for dim in shape) > 1] == []


@pytest.mark.parametrize("form", ["loop", "unrolled"])
def test_blocks_of_fixed_lengths_hold_no_square(form: str, tmp_path: Path) -> None:
    component = FACTORIES["llama"](plan_for(TEXT, 72, form), Lengths(sequence=72, past=0))
    model = onnx.load(lowered(component, tmp_path).path, load_external_data=False)
    shapes = [_shape(info) for info in every_value(model.graph)]
    assert [shape for shape in shapes if sum(dim.isdecimal() and int(dim) >= 72 for dim in shape) > 1] == []


def every_value(graph: onnx.GraphProto) -> Iterator[onnx.ValueInfoProto]:
    """Yield what is known of every value, those in the bodies of loops and branches included."""
    yield from (*graph.value_info, *graph.input, *graph.output)
    for body in _bodies(graph):
        yield from every_value(body)


def _bodies(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    for node in graph.node:
        yield from (attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH)


def _shape(info: onnx.ValueInfoProto) -> list[str]:
    return [dim.dim_param or str(dim.dim_value) for dim in info.type.tensor_type.shape.dim]


def operators(graph: onnx.GraphProto) -> Counter[str]:
    found = Counter(node.op_type for node in graph.node)
    for body in _bodies(graph):
        found += operators(body)
    return found


@pytest.mark.parametrize("dialect", DIALECTS[::2] + DIALECTS[3:], ids=str)
@pytest.mark.parametrize("form", ["full", "loop", "unrolled"])
def test_onnxsim_finds_nothing(form: str, dialect: tuple[str, int], tmp_path: Path) -> None:
    lengths = Lengths(sequence=16, past=3) if form == "unrolled" else Lengths()
    component = FACTORIES["llama"](plan_for(TEXT, lengths.sequence, form), lengths)
    model = onnx.load(lowered(component, tmp_path, *dialect).path)
    # Three projections stay three matrices of the checkpoint: as one they would have to be in memory together.
    simplified, _ = onnxsim.simplify(model, check_n=0, skipped_optimizers=["fuse_qkv"])
    assert operators(simplified.graph) == operators(model.graph)


def test_a_layer_is_made_of_fused_operators(tmp_path: Path) -> None:
    component = FACTORIES["llama"](AttentionPlan(), Lengths())
    found = lowered(component, tmp_path).operators
    counts = {name.removeprefix("com.microsoft."): count for name, count in found.items() if "microsoft" in name}
    fused = {"GroupQueryAttention": 2, "MultiHeadAttention": 2, "RotaryEmbedding": 4}
    assert counts == {**fused, "SkipSimplifiedLayerNormalization": 4}
    newest = lowered(component, tmp_path, "onnx", 23).operators
    assert (newest["Attention"], newest["RotaryEmbedding"], newest["RMSNormalization"]) == (4, 4, 5)
    assert {"Mod", "BitwiseAnd", "BitShift"}.isdisjoint({*found, *newest})


def test_a_lone_token_of_fixed_lengths_needs_no_choice(tmp_path: Path) -> None:
    component = FACTORIES["llama"](AttentionPlan(), Lengths(sequence=1, past=9))
    found = lowered(component, tmp_path).operators
    assert "If" not in found
    assert found["com.microsoft.MultiHeadAttention"] == 2
    assert "If" not in lowered(component, tmp_path, "onnx", 24).operators


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_angles_are_right_at_the_last_of_a_million_positions(dialect: tuple[str, int], tmp_path: Path) -> None:
    config = TEXT.updated({"max_sequence_length": 2**20, "theta": 5e7, "num_hidden_layers": 1})
    component = llama_block(config, 0, Lengths(), AttentionPlan())
    given = feed(component, Case(2, 3))
    given["position_ids"] = np.asarray([[2**20 - 3, 2**20 - 2, 2**20 - 1], [65535, 65536, 999_999]])
    artifact = lowered(component, tmp_path, *dialect)
    found = OnnxRuntimeRunner(artifact.path, threads=1).run(given)
    weights = held(component)
    arrays = {name: np.asarray(weights.read(name)) for name in component.weights}
    expected = jax.jit(component.apply)(arrays, given)
    worst = differences(found, {name: np.asarray(value) for name, value in expected.items()}, Case(2, 3))
    assert max(worst.values()) < CLOSE, worst
    assert sum(file.stat().st_size for file in artifact.files) < 2**20


@pytest.mark.parametrize("dialect", DIALECTS[::2] + DIALECTS[3:], ids=str)
@pytest.mark.parametrize(("attention", "case"), [("fused", Case(2, 1, 5, (2, 0))), ("loop", Case(2, 4, 5, (2, 0)))])
def test_half_precision_is_near_jaxs(attention: str, case: Case, dialect: tuple[str, int], tmp_path: Path) -> None:
    options = Options(precision="float16", attention=attention)
    (component,) = resolve("llama", SMALL, options=options).components
    given = feed(component, case)
    artifact = lowered(component, tmp_path, *dialect)
    onnx.checker.check_model(artifact.path, full_check=True)
    found = OnnxRuntimeRunner(artifact.path, threads=1).run(given)
    assert (found["logits"].dtype, found["present.0.key"].dtype) == (np.float32, np.float16)
    weights = held(component)
    arrays = {name: np.asarray(weights.read(name)) for name in component.weights}
    expected = jax.jit(component.apply)(arrays, given)
    worst = differences(found, {name: np.asarray(value) for name, value in expected.items()}, case)
    assert 0 < max(worst.values()) < 2e-2, worst


SABOTAGE: dict[str, Callable[[dict[str, Array]], dict[str, Array]]] = {
    "a dropped past": lambda given: {
        name: value[:, :, :0] if name.startswith("past") else value[:, -4:] if name == "attention_mask" else value
        for name, value in given.items()
    },
    "a wrong position": lambda given: {**given, "position_ids": given["position_ids"] + [[0, 0, 0, 1]]},
    "a mask ignored": lambda given: {**given, "attention_mask": np.ones_like(given["attention_mask"])},
    "keys for values": lambda given: {
        **given, "past_key_values.0.key": given["past_key_values.0.value"],
    },
    "codes for words": lambda given: {**given, "vision_masks": ~given["vision_masks"]},
}  # fmt: skip


@pytest.mark.parametrize("sabotage", SABOTAGE.values(), ids=SABOTAGE)
def test_what_is_wrong_is_seen(sabotage: Callable[..., dict[str, Array]], tmp_path: Path) -> None:
    component, case = FACTORIES["vision-llama"](AttentionPlan(), Lengths()), Case(2, 4, 5, (2, 0))
    runner = OnnxRuntimeRunner(lowered(component, tmp_path).path, threads=1)
    found = runner.run(sabotage(feed(component, case)))
    expected = {name: value for name, value in reference(component.name, case).items() if "logits" in name}
    assert max(differences(found, expected, case).values()) > 1e-2
