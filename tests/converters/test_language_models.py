"""Every cut of the language models in every format of fixed sizes: values, names, tokens, and what breaks them."""

import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import jax
import numpy as np
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters import converter_for
from lwmport.converters.dialects import DEFAULTS, DIALECTS
from lwmport.extras import installed
from lwmport.graphs.trace import trace
from lwmport.models.attention.blocks import MASKED, AttentionPlan
from lwmport.models.composites import language as llama_composites
from lwmport.models.llama.components import llama
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.parts import llama_embed, llama_head, ring_step
from lwmport.models.llama.signatures import Lengths
from lwmport.models.llama.static import llama_block_decode, llama_block_prefill, llama_decode, llama_prefill
from lwmport.models.precision import in_precision
from lwmport.runtime.registry import open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Array, Artifact, Component

SMALL: Final = {
    "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_sequence_length": 2048, "scan_query_chunk_size": 4, "scan_key_chunk_size": 4,
}  # fmt: skip
TEXT: Final = LlamaConfig.from_json(SMALL)
VISION: Final = VisionLlamaConfig.from_json({**SMALL, "vision_vocab_size": 48})
TOKENS: Final = Lengths(sequence=8, past=0)
SLOTS: Final = 16
BLOCKS: Final = AttentionPlan(form="unrolled", query_chunk=4, key_chunk=2)
CLOSE: Final = 5e-5


def ring(ranks: int) -> AttentionPlan:
    """Return a ring whose ranks attend in blocks."""
    return AttentionPlan(form="unrolled", query_chunk=2, key_chunk=1, ring=ranks)


COMPONENTS: Final[dict[str, Callable[[], Component]]] = {
    "prefill": lambda: llama_prefill(TEXT, 8, SLOTS, AttentionPlan()),
    "prefill in blocks": lambda: llama_prefill(TEXT, 8, SLOTS, BLOCKS),
    **{
        f"prefill in a ring of {ranks}": lambda ranks=ranks: llama_prefill(TEXT, 8, SLOTS, ring(ranks))  # type: ignore[misc]
        for ranks in (1, 2, 4, 8)
    },
    "prefill of codes": lambda: llama_prefill(VISION, 8, SLOTS),
    "decode": lambda: llama_decode(TEXT, SLOTS),
    "decode of two": lambda: llama_decode(TEXT, SLOTS, 2),
    "decode of codes": lambda: llama_decode(VISION, SLOTS),
    "decode of codes alone": lambda: llama_decode(VISION.updated({"sample_mode": "vision"}), SLOTS),
    "block prefill": lambda: llama_block_prefill(VISION, 1, 8, SLOTS, BLOCKS),
    "block decode": lambda: llama_block_decode(TEXT, 0, SLOTS),
    "embed": lambda: llama_embed(VISION, TOKENS),
    "head": lambda: llama_head(VISION, TOKENS),
    "tied head": lambda: llama_head(TEXT.updated({"tie_word_embeddings": True}), TOKENS),
    "ring step": lambda: ring_step(TEXT, Lengths(sequence=8, past=8), AttentionPlan(), padded=True),
    "ring step in blocks": lambda: ring_step(TEXT, Lengths(sequence=8, past=8), BLOCKS),
}
"""Every cut of fixed length."""


def runner_of(component: Component, form: str, out: Path, batch: int | str = 2) -> tuple[Artifact, Any]:
    """Return a component converted to a format, and what runs it there."""
    dialect = DIALECTS[DEFAULTS[form]]
    program, weights = trace(component, batch), SeededWeights(component.weights, 0)
    artifact = converter_for(dialect)(program, weights, dialect, out, lambda *_: None)
    threads = len(os.sched_getaffinity(0))  # which TensorFlow settles once in a process
    return artifact, open_runner(artifact.path, RunnerContext(threads=threads))


def reference(component: Component) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    """Return JAX's own function of a component's inputs; LLVM's optimizations are off, for compiling takes longest."""
    seeded = SeededWeights(component.weights, 0)
    weights = {name: seeded.read(name) for name in component.weights}
    apply = jax.jit(component.apply, compiler_options={"xla_backend_optimization_level": 0})

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        given = {spec.name: np.asarray(inputs[spec.name]) for spec in component.signature.inputs}
        return {name: np.asarray(value) for name, value in apply(weights, given).items()}

    return run


@cache
def expected_of(name: str) -> dict[str, Array]:
    """Return what JAX makes of a component's inputs."""
    component = COMPONENTS[name]()
    return reference(component)(inputs_of(component))


def inputs_of(component: Component, batch: int = 2, sizes: Mapping[str, int] | None = None) -> dict[str, Array]:
    """Return inputs with padding on the left of the first sequence, and a cache that is filled up to slot 8."""
    known = {"batch": batch, **(sizes or {})}
    known["past + sequence"] = known.get("past", 0) + known.get("sequence", 0)
    random, found = np.random.default_rng(7), {}
    for spec in component.signature.inputs:
        shape = tuple(known[dim] if isinstance(dim, str) else dim for dim in spec.shape)
        found[spec.name] = _values(spec, shape, random)
    return found


def _values(spec: Any, shape: tuple[int, ...], random: Any) -> Array:
    if spec.name == "attention_mask":
        mask = np.ones(shape, np.int64)
        mask[0, :2] = 0
        mask[:, 10 if shape[1] == SLOTS else shape[1] :] = 0
        return mask
    fixed = {"cache_position": 8, "query_offset": 4, "key_offset": 2}
    if spec.name in fixed:
        return np.full(shape, fixed[spec.name], np.int64)
    if spec.name == "maximum":
        return np.full(shape, MASKED, np.float32)
    if spec.dtype == "bool":
        return np.asarray(random.random(shape) < 0.5)
    if spec.dtype == "int64":
        return np.asarray(random.integers(0, min(48, spec.value_range[1] + 1), shape))
    return np.asarray(random.standard_normal(shape), spec.dtype)


@cache
def greedy() -> tuple[int, ...]:
    """Return 24 tokens behind `PROMPT`, chosen by JAX from full passes over 40 slots that are padded on the left."""
    whole, tokens = reference(llama(TEXT, Lengths(sequence=40, past=0), AttentionPlan())), list(PROMPT)
    none = np.zeros((1, 4, 0, 8), np.float32)
    empty = {f"past_key_values.{layer}.{part}": none for layer in range(2) for part in ("key", "value")}
    for _ in range(24):
        pad = 40 - len(tokens)
        mask = np.array([[0] * pad + [1] * len(tokens)])
        ids, positions = np.array([[0] * pad + tokens]), np.maximum(mask.cumsum(1) - 1, 0)
        given = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, **empty}
        tokens.append(int(np.argmax(whole(given)["logits"][0, -1])))
    return tuple(tokens[len(PROMPT) :])


PROMPT: Final = (3, 1, 4, 1, 5)


def chosen(prefill: Any, decode: Any, slots: int) -> tuple[int, ...]:
    """Return 24 tokens behind `PROMPT`, chosen by a prefill of 8 slots, three of them padding, and then a decode."""
    mask = np.zeros((1, slots), np.int64)
    mask[0, 3:8] = 1
    ids, positions = np.array([[0] * 3 + list(PROMPT)]), np.array([[0, 0, 0, 0, 1, 2, 3, 4]])
    found = prefill.run({"input_ids": ids, "attention_mask": mask[:, :8], "position_ids": positions})
    tokens: list[int] = []
    for slot in range(8, 32):
        tokens.append(int(np.argmax(found["logits"][0, -1])))
        mask[0, slot] = 1
        past = {name.replace("present", "past_key_values"): found[name] for name in found if "present" in name}
        given = {"input_ids": np.array([[tokens[-1]]]), "position_ids": np.array([[len(PROMPT) + len(tokens) - 1]])}
        found = decode.run({**given, **past, "attention_mask": mask, "cache_position": np.array([slot])})
    return tuple(tokens)


NEEDS: Final = {"frozen_graph": "tensorflow", "saved_model": "tensorflow", "tflite": "ai_edge_litert"}
FEW: Final = {
    "frozen_graph": ("prefill", "decode of two"),
    "saved_model": ("prefill in a ring of 2", "decode of codes", "block decode", "ring step", "tied head"),
}
"""What is tried of TensorFlow, which needs seconds for each; its rules have tests of their own."""


def cases(*forms: str, names: tuple[str, ...] = ("",)) -> list[Any]:
    """Return every pair of a format and a name, skipped where the format's module is not installed."""
    return [
        pytest.param(form, name, marks=pytest.mark.skipif(not installed(NEEDS[form]), reason=f"no {NEEDS[form]}"))
        for form in forms
        for name in names
    ]


def only(*forms: str) -> list[Any]:
    """Return formats, skipped likewise."""
    return [pytest.param(case.values[0], marks=case.marks) for case in cases(*forms)]


POSITIONS: Final = ("DIV", "MUL", "SUB")
"""What divides a position, a whole number, by the period of the tables: each once."""

OUTSIDE: Final = {"CAST", "CONCATENATION", "DYNAMIC_UPDATE_SLICE", "GATHER", "RESHAPE", *POSITIONS}
"""What XNNPACK does not take: the lookups, the update of a cache, whole numbers at the edge."""


@pytest.mark.parametrize(
    ("form", "name"),
    [
        *cases("tflite", names=tuple(COMPONENTS)),
        *(case for form, names in FEW.items() for case in cases(form, names=names)),
    ],
)
def test_values_and_names_are_those_of_jax(form: str, name: str, tmp_path: Path) -> None:
    component = COMPONENTS[name]()
    _, runner = runner_of(component, form, tmp_path)
    inputs = inputs_of(component)
    found, expected = runner.run(inputs), expected_of("prefill" if name.startswith("prefill in") else name)
    assert {spec.name: spec.dtype for spec in runner.inputs} == {key: str(x.dtype) for key, x in inputs.items()}
    assert set(found) == set(expected)
    for key, value in expected.items():
        assert (found[key].shape, found[key].dtype) == (value.shape, value.dtype)
        one, other = (counted(name, key, array) for array in (found[key], value))
        np.testing.assert_allclose(one, other, rtol=0, atol=CLOSE, err_msg=key)


def counted(name: str, key: str, array: Array) -> Array:
    """Return what counts of an output: a padded query averages over what its form gives it, so it has its own form."""
    if not name.startswith("prefill in"):
        return array
    tokens = array if key == "logits" else np.moveaxis(array, 2, 1)[:, :8]
    return np.concatenate([tokens[0, 2:], tokens[1]])


@pytest.mark.parametrize("form", only("saved_model", "tflite"))
def test_greedy_tokens_are_those_of_full_passes(form: str, tmp_path: Path) -> None:
    steps = (llama_prefill(TEXT, 8, 40), llama_decode(TEXT, 40))
    prefill, decode = (runner_of(component, form, tmp_path, batch=1)[1] for component in steps)
    assert chosen(prefill, decode, 40) == greedy()


@pytest.mark.parametrize("form", only("saved_model", "tflite"))
def test_one_file_takes_any_batch(form: str, tmp_path: Path) -> None:
    component = llama_decode(TEXT, SLOTS)
    _, runner = runner_of(component, form, tmp_path, batch="dynamic")
    for batch in (3, 1):
        inputs = inputs_of(component, batch)
        np.testing.assert_allclose(runner.run(inputs)["logits"], reference(component)(inputs)["logits"], atol=CLOSE)


@pytest.mark.parametrize(
    ("form", "sabotage"),
    [
        *cases("tflite", names=("no update", "shifted position", "ignored mask")),
        *cases("saved_model", names=("shifted position",)),
    ],
)
def test_what_breaks_a_decode_is_seen(
    form: str, sabotage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    component, update = llama_decode(TEXT, SLOTS), llama_composites.cache_update
    inputs, expected = inputs_of(component), reference(component)(inputs_of(component))
    broken: dict[str, tuple[str, Callable[..., Any]]] = {
        "no update": ("cache_update", lambda cache, _new, _position: cache * 1),
        "shifted position": ("cache_update", lambda cache, new, position: update(cache, new, position + 1)),
        "ignored mask": ("decode_bias", lambda mask, _position, _queries: np.zeros((2, 1, 1, mask.shape[1]), "f")),
    }
    name, function = broken[sabotage]
    monkeypatch.setattr(f"lwmport.models.llama.static.{name}", function)
    _, runner = runner_of(component, form, tmp_path)
    used = {name: value for name, value in inputs.items() if name in {spec.name for spec in runner.inputs}}
    assert np.abs(runner.run(used)["logits"] - expected["logits"]).max() > 100 * CLOSE


class Rounded:
    """Seeded weights in the dtypes of a component (`lwmport.types.Weights`)."""

    def __init__(self, component: Component) -> None:
        self.specs, self._seeded = component.weights, SeededWeights(component.weights, 0)
        self.source = self._seeded.source

    def read(self, name: str) -> Array:
        return np.asarray(self._seeded.read(name)).astype(self.specs[name].dtype)


@pytest.mark.skipif(not installed("ai_edge_litert"), reason="no ai_edge_litert")
@pytest.mark.parametrize("name", ["decode", "block prefill", "tied head"])
def test_a_tflite_file_of_float16_computes_in_float32(name: str, tmp_path: Path) -> None:
    component = COMPONENTS[name]()
    half = in_precision(component, "float16")
    weights, inputs = Rounded(half), inputs_of(half)
    dialect = DIALECTS["litert"]
    artifact = converter_for(dialect)(trace(half, 2), weights, dialect, tmp_path, lambda *_: None)
    found = open_runner(artifact.path).run(inputs)
    wide = {name: np.asarray(weights.read(name), np.float32) for name in half.weights}
    expected = jax.jit(component.apply)(wide, {key: widened(value) for key, value in inputs.items()})
    matrices = sum(len(spec.shape) == 2 for spec in half.weights.values()) - artifact.operators.get("GATHER", 0) // 3
    assert artifact.operators["DEQUANTIZE"] == matrices
    for spec in half.signature.outputs:
        assert found[spec.name].dtype == spec.dtype
        coarse = 2e-3 if spec.dtype == "float16" else CLOSE
        np.testing.assert_allclose(found[spec.name], expected[spec.name], rtol=0, atol=coarse, err_msg=spec.name)


def widened(value: Array) -> Array:
    return value.astype(np.float32) if value.dtype == np.float16 else value


LENGTHS: Final = ((2, 5, 0), (1, 1, 8), (2, 6, 3))
"""Batch, sequence and past: a first pass, a single token, several tokens behind others."""


@pytest.mark.skipif(not installed("tensorflow"), reason="no tensorflow")
@pytest.mark.parametrize("plan", [AttentionPlan(), AttentionPlan(form="loop", key_chunk=4)], ids=["full", "loop"])
def test_one_saved_model_takes_any_length(plan: AttentionPlan, tmp_path: Path) -> None:
    component = llama(VISION if plan.form == "full" else TEXT, plan=plan)
    artifact, runner = runner_of(component, "saved_model", tmp_path, batch="dynamic")
    assert artifact.operators.get("StatelessWhile", 0) == (2 if plan.form == "loop" else 0)
    for batch, sequence, past in LENGTHS:
        inputs = inputs_of(component, batch, {"sequence": sequence, "past": past})
        found, expected = runner.run(inputs), reference(component)(inputs)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=0, atol=CLOSE, err_msg=name, strict=True)


@pytest.mark.skipif(not installed("ai_edge_litert"), reason="no ai_edge_litert")
@pytest.mark.parametrize("name", ["ring step", "ring step in blocks"])
def test_xnnpack_takes_all_of_a_ring_step_but_its_offsets(name: str, tmp_path: Path) -> None:
    _, runner = runner_of(COMPONENTS[name](), "tflite", tmp_path)
    assert set(runner.undelegated) <= {"ADD", "CAST", "SUB"}


@pytest.mark.skipif(not installed("ai_edge_litert"), reason="no ai_edge_litert")
@pytest.mark.parametrize("name", ["prefill", "prefill in blocks", "decode", "block prefill", "block decode", "head"])
def test_xnnpack_takes_all_but_lookups_and_caches(name: str, tmp_path: Path) -> None:
    component = COMPONENTS[name]()
    _, runner = runner_of(component, "tflite", tmp_path)
    assert set(runner.undelegated) <= OUTSIDE
    assert all(runner.undelegated.count(operator) <= 1 for operator in POSITIONS)
    assert runner.undelegated.count("GATHER") == {"prefill": 3, "prefill in blocks": 3, "decode": 3, "head": 0}.get(
        name, 2
    )
