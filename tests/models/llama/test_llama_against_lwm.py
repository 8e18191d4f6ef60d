"""LWM's own outputs are the truth: tests/data/lwm_llama/README.md says how they were made."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.models.attention.blocks import AttentionPlan
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.llama.text import Llama
from lwmport.models.llama.vision import VisionLlama
from lwmport.models.llama.weights import checkpoint_weights, llama_weights, stacked_source
from lwmport.types import Array, WeightSpec

FOLDER = Path(__file__).parents[2] / "data" / "lwm_llama"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))
DECODED = [name for name in NAMES if "decode" in name]
RINGS = ["text_ring_2", "text_ring_4"]

LOGITS = 1e-5
"""Float32 sums in another order, for logits that deviate by 1: 6e-6 is seen where LWM's angles are rounded most."""


@pytest.mark.parametrize("name", [name for name in NAMES if name not in DECODED])
def test_logits_are_lwms_at_every_position_padding_included(name: str) -> None:
    case = load(name)
    assert_close(run(case, plan=None), case)


@pytest.mark.parametrize("name", ["text_blockwise_unequal", "vision_blockwise"])
def test_unrolled_blocks_are_lwms_too(name: str) -> None:
    case = load(name)
    assert_close(run(case, plan_of(case, "unrolled")), case)


@pytest.mark.parametrize("name", RINGS)
def test_a_ring_unrolled_on_one_device_is_lwms(name: str) -> None:
    case = load(name)
    assert_close(run(case, plan_of(case, "unrolled", ring=int(str(case["mesh_dim"]).split(",")[-1]))), case)


def test_rings_of_devices_are_lwms() -> None:
    script = "import test_llama_against_lwm as here; here.check_rings_on_devices()"
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    flags = "--xla_force_host_platform_device_count=8"
    environment = {**os.environ, "PYTHONPATH": path, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def check_rings_on_devices() -> None:
    """Run by the test above where there are eight devices: idle ones share out nothing but the batch."""
    for name, mesh_dim in {
        "text_ring_4": "!dp:1,fsdp:-1,tp:1,sp:4",
        "text_ring_8": "1,1,1,8",
        "vision_ring_2": "1,2,2,2",
        "text_blockwise_packed": "2,1,1,4",
    }.items():
        case = load(name)
        assert_close(run(case, plan=None, mesh_dim=mesh_dim), case)


@pytest.mark.parametrize(("name", "form"), [*((name, "full") for name in DECODED), ("text_decode", "loop")])
def test_greedy_tokens_and_their_logits_are_lwms(name: str, form: str) -> None:
    case = load(name)
    model, variables = model_of(case, AttentionPlan(form=form, query_chunk=8, key_chunk=8)), parameters(case)
    step = jax.jit(
        model.apply,
        compiler_options={"xla_backend_optimization_level": 0},
    )
    ids, mask, positions, past = case["input_ids"], case["attention_mask"], case["position_ids"], None
    codes = case.get("vision_masks")
    for turn in range(case["tokens"].shape[1]):
        extra = () if codes is None else (codes,)
        found, past = step(variables, ids, *extra, mask, positions, past)
        (logits,) = found.values() if isinstance(found, dict) else (found,)
        np.testing.assert_allclose(logits[:, -1], case["step_logits"][:, turn], rtol=0, atol=LOGITS)
        ids = np.argmax(logits[:, -1], axis=-1)[:, None]
        np.testing.assert_array_equal(ids[:, 0], case["tokens"][:, turn])
        mask = np.concatenate([mask, np.ones_like(ids, mask.dtype)], axis=1)
        positions, codes = positions[:, -1:] + 1, None if codes is None else np.zeros_like(ids, bool)
        if turn == 0:  # from here on every step has its own length: pad the cache on the left instead of compiling
            past, mask = filled(past, mask, case["tokens"].shape[1] + ids.shape[1])
        else:
            past, mask = dropped(past, mask)


def filled(past: Any, mask: Array, extra: int) -> tuple[Any, Array]:
    """Return a cache with ``extra`` masked tokens before it."""
    pad = ((0, 0), (0, 0), (extra, 0), (0, 0))
    return jax.tree.map(lambda x: np.pad(x, pad), past), np.pad(mask, ((0, 0), (extra, 0)))


def dropped(past: Any, mask: Array) -> tuple[Any, Array]:
    """Return a cache and mask without the first token, which is such filling."""
    return jax.tree.map(lambda x: x[:, :, 1:], past), mask[:, 1:]


@pytest.mark.parametrize(
    "name", ["text_left_padding", "text_stacked", "text_stacked_axis_1", "text_tied", "vision_tied"]
)
def test_tensors_are_named_and_shaped_as_the_modules_have_them(name: str) -> None:
    case = load(name)
    config = config_of(case)
    ids = jax.ShapeDtypeStruct((1, 4), np.int32)
    extra = (ids,) if isinstance(config, VisionLlamaConfig) else ()
    tree = jax.eval_shape(model_of(case).init, jax.random.key(0), ids, *extra)["params"]
    found = {key: list(leaf.shape) for key, leaf in flatten_dict(tree, sep="/").items()}
    assert found == {key: list(spec.shape) for key, spec in checkpoint_weights(config).items()}
    assert {key: list(spec.shape) for key, spec in llama_weights(config).items()} == json.loads(str(case["specs"]))


def test_every_sample_mode_and_option_has_a_case() -> None:
    configs = [json.loads(str(load(name)["config"])) for name in NAMES]
    for option in ("scan_attention", "scan_mlp", "scan_layers", "tie_word_embeddings", "tie_vision_embeddings"):
        assert {config.get(option) for config in configs} >= {True, False}, option
    assert {config.get("sample_mode") for config in configs} >= {"text", "vision", "all"}
    assert {config["param_scan_axis"] for config in configs} == {0, 1}


def load(name: str) -> dict[str, Array]:
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return dict(arrays)


def config_of(case: Mapping[str, Array], **changes: Any) -> LlamaConfig:
    values = {**json.loads(str(case["config"])), **changes}
    return (VisionLlamaConfig if "vision_vocab_size" in values else LlamaConfig).from_json(values)


def plan_of(case: Mapping[str, Array], form: str, ring: int = 1) -> AttentionPlan:
    """Return LWM's own block sizes: a padded query sees nothing but the blocks that are computed."""
    config = config_of(case)
    return AttentionPlan(
        form=form, query_chunk=config.scan_query_chunk_size, key_chunk=config.scan_key_chunk_size, ring=ring
    )


def model_of(case: Mapping[str, Array], plan: AttentionPlan | None = None, **changes: Any) -> Llama | VisionLlama:
    config = config_of(case, **changes)
    return VisionLlama(config, plan) if isinstance(config, VisionLlamaConfig) else Llama(config, plan)


def parameters(case: Mapping[str, Array]) -> dict[str, Any]:
    """Return the weights that LWM was given, stacked where LWM had them stacked."""
    config, shapes = config_of(case), json.loads(str(case["specs"]))
    seeded = SeededWeights(
        {name: WeightSpec(shape=tuple(shape), dtype="float32") for name, shape in shapes.items()}, int(case["seed"])
    )
    flat = {name: seeded.read(name) for name in shapes}
    assert digest(flat) == str(case["weights_sha256"]), (
        "the seeding formula has changed: LWM has to be run again on the new weights"
    )
    stacks: dict[tuple[str, int], dict[int, Array]] = {}
    for name in shapes:
        source = stacked_source(config, name)
        if source:
            stacks.setdefault((source.name, source.axis), {})[source.layer] = flat.pop(name)
    for (name, axis), layers in stacks.items():
        flat[name] = np.stack([layers[layer] for layer in sorted(layers)], axis)
    return {"params": unflatten_dict(flat, sep="/")}


def run(case: Mapping[str, Array], plan: AttentionPlan | None, **changes: Any) -> dict[str, Array]:
    model = model_of(case, plan, **changes)
    inputs = [case[name] for name in ("input_ids", "vision_masks", "attention_mask", "position_ids") if name in case]
    apply = jax.jit(
        lambda variables: model.apply(variables, *inputs, segment_ids=case.get("segment_ids"))[0],
        compiler_options={"xla_backend_optimization_level": 0},
    )
    found = apply(parameters(case))
    return found if isinstance(found, dict) else {"logits": found}


def assert_close(found: Mapping[str, Array], case: Mapping[str, Array]) -> None:
    assert set(found) == {name for name in case if name.endswith("logits")}
    for name, value in found.items():
        scale = max(1.0, float(case[name].std()))  # tied heads have no unit variance
        np.testing.assert_allclose(value, case[name], rtol=0, atol=LOGITS * scale, strict=True, err_msg=name)


def digest(weights: Mapping[str, Array]) -> str:
    """SHA-256 of every name and its float32 bytes (little-endian), in the order of the names."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode())
        found.update(weights[name].astype("<f4").tobytes())
    return found.hexdigest()
