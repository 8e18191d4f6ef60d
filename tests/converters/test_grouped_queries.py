"""Models whose heads of queries share heads of keys, in every format, held against JAX and against transformers."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import jax
import numpy as np
import pytest

from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters import converter_for
from lwmport.converters.dialects import DIALECTS
from lwmport.extras import installed
from lwmport.graphs.trace import trace
from lwmport.models.attention.blocks import AttentionPlan
from lwmport.models.llama.components import llama
from lwmport.models.llama.config import LlamaConfig
from lwmport.models.llama.parts import ring_step
from lwmport.models.llama.signatures import Lengths
from lwmport.models.llama.static import llama_decode, llama_prefill
from lwmport.models.llama.test_inputs import CASES, language_inputs
from lwmport.runtime.registry import open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.ascend.dialects import ASCEND
from lwmport.types import Array, Component, Weights

CONFIG: Final = LlamaConfig.from_json({
    "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_sequence_length": 128, "scan_query_chunk_size": 4, "scan_key_chunk_size": 4,
})  # fmt: skip
TIED: Final[dict[str, Any]] = {
    "vocab_size": 48, "hidden_size": 72, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 9,
    "num_key_value_heads": 3, "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 1e5,
    "tie_word_embeddings": True, "initializer_range": 0.3,
}  # fmt: skip
"""The layout of SmolLM2: three heads of queries to one of keys, and the head is the table again."""

CLOSE: Final = 5e-5
QUICK: Final = {"xla_backend_optimization_level": 0}
FULL: Final = AttentionPlan()
BLOCKS: Final = AttentionPlan(form="unrolled", query_chunk=4, key_chunk=2)
WHOLE: Final = Lengths(sequence=8, past=0)


def opened(component: Component, dialect: str, out: Path, weights: Weights | None = None) -> object:
    """Return a component converted in a dialect, opened in the runner of its format; weights are seeded by default."""
    known = ASCEND if dialect == "ascend" else DIALECTS[dialect]
    lowered = trace(component, "dynamic") if known.lowered else component
    held = weights or SeededWeights(component.weights, 0)
    artifact = converter_for(known)(lowered, held, known, out, lambda *_: None)
    threads = len(os.sched_getaffinity(0))  # which TensorFlow settles once in a process
    return open_runner(artifact.path, RunnerContext(threads=threads))


def expected(component: Component, inputs: dict[str, Array]) -> dict[str, Array]:
    """Return what JAX makes of inputs; LLVM's optimizations are off, for compiling takes longest."""
    seeded = SeededWeights(component.weights, 0)
    weights = {name: seeded.read(name) for name in component.weights}
    found = jax.jit(component.apply, compiler_options=QUICK)(weights, inputs)
    return {name: np.asarray(value) for name, value in found.items()}


def check(component: Component, runner: object, cases: tuple[int, ...] = (0,)) -> None:
    """Compare what counts of every output, with padding and without."""
    for case in cases:
        made = language_inputs(component, 2, case=CASES[case])
        found, right = runner.run(made.inputs), expected(component, dict(made.inputs))  # type: ignore[attr-defined]
        assert set(found) == set(right)
        for name, value in right.items():
            counts = np.broadcast_to(made.relevant[name], value.shape)
            np.testing.assert_allclose(found[name][counts], value[counts], rtol=0, atol=CLOSE, err_msg=name)


@cache
def repeated() -> tuple[Component, dict[str, Array]]:
    """Return the model with a head of keys for each head of queries, and weights that make it the same model."""
    wide = llama(CONFIG.updated({"num_key_value_heads": None}), WHOLE, FULL)
    seeded = SeededWeights(llama(CONFIG).weights, 0)
    weights = {name: seeded.read(name) for name in wide.weights}
    for name, array in weights.items():
        if "/wk/" in name or "/wv/" in name:
            weights[name] = np.repeat(array.reshape(32, 2, 8), 2, axis=1).reshape(32, 32)
    return wide, weights


PLANS: Final = {
    "at once": FULL,
    "a loop": AttentionPlan(form="loop", query_chunk=4, key_chunk=4),
    "a list of blocks": BLOCKS,
    "a ring": AttentionPlan(form="unrolled", query_chunk=2, key_chunk=1, ring=4),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
def test_every_form_is_the_model_whose_keys_are_repeated(plan: AttentionPlan) -> None:
    wide, weights = repeated()
    component = llama(CONFIG, WHOLE, plan)
    inputs = {
        name: array for name, array in language_inputs(wide, 2, case=CASES[0]).inputs.items() if "past" not in name
    }
    none = {"past_key_values.0.key", "past_key_values.0.value", "past_key_values.1.key", "past_key_values.1.value"}
    own = expected(component, {**inputs, **{name: np.zeros((2, 2, 0, 8), np.float32) for name in none}})
    full = jax.jit(wide.apply, compiler_options=QUICK)(
        weights, {**inputs, **{name: np.zeros((2, 4, 0, 8), np.float32) for name in none}}
    )
    np.testing.assert_allclose(own["logits"], full["logits"], rtol=0, atol=CLOSE)
    assert own["present.0.key"].shape == (2, 2, 8, 8)


ANY: Final[dict[str, Callable[[], Component]]] = {
    "at once": lambda: llama(CONFIG, plan=FULL),
    "a loop": lambda: llama(CONFIG, plan=AttentionPlan(form="loop", key_chunk=4)),
}


@pytest.mark.parametrize("dialect", ["ort", "onnx", "ascend"])
def test_onnx_takes_any_length(dialect: str, tmp_path: Path) -> None:
    component = ANY["at once"]()
    check(component, opened(component, dialect, tmp_path), (0, 1, 2, 3, 4))


FIXED: Final[dict[str, Callable[[], Component]]] = {
    "prefill": lambda: llama_prefill(CONFIG, 8, 16),
    "prefill in blocks": lambda: llama_prefill(CONFIG, 8, 16, BLOCKS),
    "decode": lambda: llama_decode(CONFIG, 16),
    "one token": lambda: llama(CONFIG, Lengths(sequence=1), FULL),
    "ring step": lambda: ring_step(CONFIG, Lengths(sequence=8, past=8), FULL, padded=True),
}


@pytest.mark.parametrize("name", FIXED)
def test_onnx_runtime_takes_fixed_lengths(name: str, tmp_path: Path) -> None:
    component = FIXED[name]()
    check(component, opened(component, "ort", tmp_path), (4,))


@pytest.mark.skipif(not installed("ai_edge_litert"), reason="no ai_edge_litert")
@pytest.mark.parametrize("name", ["prefill", "prefill in blocks", "decode", "ring step"])
def test_tflite_takes_fixed_lengths(name: str, tmp_path: Path) -> None:
    component = FIXED[name]()
    check(component, opened(component, "litert", tmp_path), (4,))


@pytest.mark.skipif(not installed("tensorflow"), reason="no tensorflow")
def test_a_saved_model_takes_any_length(tmp_path: Path) -> None:
    component = ANY["a loop"]()
    check(component, opened(component, "tf", tmp_path), (1, 4))


@pytest.mark.skipif(not installed("transformers"), reason="no transformers")
def test_transformers_computes_the_same_from_the_folder(tmp_path: Path) -> None:
    component = ANY["at once"]()
    runner = opened(component, "hf", tmp_path)
    check(component, runner, (1, 4))
    back = open_checkpoint(str(tmp_path / "llama.hf"), "llama")
    seeded = SeededWeights(component.weights, 0)
    assert back.config["num_key_value_heads"] == 2
    for name in component.weights:
        np.testing.assert_array_equal(back.read(name), seeded.read(name), err_msg=name)


@pytest.mark.skipif(not (installed("transformers") and installed("torch")), reason="no transformers")
@pytest.mark.parametrize("dialect", ["ort", "hf"])
def test_a_tied_folder_of_transformers_gives_its_logits(dialect: str, tmp_path: Path) -> None:
    import torch
    import transformers

    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**TIED)).eval()
    model.save_pretrained(tmp_path / "theirs")
    checkpoint = open_checkpoint(str(tmp_path / "theirs"), "llama")
    component = llama(LlamaConfig.from_json(checkpoint.config), plan=FULL)
    assert "lm_head/kernel" not in component.weights
    inputs = dict(language_inputs(component, 2, case=CASES[0]).inputs)
    with torch.no_grad():
        expected = model(torch.from_numpy(inputs["input_ids"])).logits.numpy()
    out = tmp_path / "ours"
    out.mkdir()
    found = opened(component, dialect, out, checkpoint).run(inputs)  # type: ignore[attr-defined]
    np.testing.assert_allclose(found["logits"], expected, rtol=0, atol=CLOSE)
    assert expected.std() > 0.1
