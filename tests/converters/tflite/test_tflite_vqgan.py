"""The VQGAN end to end, small: both halves, with attention, without convolutions in resampling, at any batch."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters.tflite.convert import convert
from lwmport.graphs.trace import trace
from lwmport.models.vqgan.components import vqgan_decoder, vqgan_encoder
from lwmport.models.vqgan.config import CONFIGS, VQGANConfig
from lwmport.runtime.runners.litert import LiteRTRunner
from lwmport.types import Array, Component

DEBUG = CONFIGS["debug"]
VARIANTS: Final = {
    "debug": DEBUG,
    "with attention": replace(DEBUG, attn_resolutions=(16,), no_attn_mid_block=False),
    "resampled without convolutions": replace(DEBUG, resample_with_conv=False),
    "by tiles": replace(DEBUG, hidden_channels=64),
}
HALVES: Final = {"encoder": vqgan_encoder, "decoder": vqgan_decoder}
OUTSIDE: Final = {"encoder": ("ARG_MIN", "GATHER"), "decoder": ("GATHER",)}
"""The lookup and the argmin: all that XNNPACK does not take."""


def inputs_of(component: Component, batch: int) -> dict[str, Array]:
    (spec,) = component.signature.inputs
    shape = (batch, *(int(size) for size in spec.shape[1:]))
    random = np.random.default_rng(batch)
    if spec.dtype == "int32":
        return {spec.name: random.integers(0, DEBUG.num_embeddings, shape, dtype=np.int32)}
    return {spec.name: random.uniform(-1, 1, shape).astype(np.float32)}


def check(found: dict[str, Array], expected: dict[str, Array]) -> None:
    assert sorted(found) == sorted(expected)
    for name, reference in expected.items():
        exact = reference.dtype == np.int32
        np.testing.assert_allclose(found[name], reference, rtol=0, atol=0 if exact else 1e-4, strict=True)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_half_agrees_with_jax_inside_xnnpack(
    config: VQGANConfig,
    half: str,
    tmp_path: Path,
    dialect_of: Callable[..., Any],
    jax_outputs: Callable[..., dict[str, Array]],
) -> None:
    component = HALVES[half](config)
    weights = SeededWeights(component.weights, seed=0)
    artifact = convert(trace(component), weights, dialect_of(), tmp_path, lambda *_: None)
    runner = LiteRTRunner(artifact.path, threads=2)
    inputs = inputs_of(component, 1)
    check(runner.run(inputs), jax_outputs(component, weights, inputs))
    assert runner.undelegated == OUTSIDE[half]
    assert (artifact.operators.get("DEPTHWISE_CONV_2D", 0) >= 16) == (config.hidden_channels == 64)
    assert not {"TRANSPOSE", "BROADCAST_TO"} & set(artifact.operators)
    assert artifact.files == (tmp_path / f"vqgan-{half}.tflite",)


@pytest.mark.parametrize("half", HALVES)
def test_one_file_takes_any_batch(
    half: str, tmp_path: Path, dialect_of: Callable[..., Any], jax_outputs: Callable[..., dict[str, Array]]
) -> None:
    component = HALVES[half](VARIANTS["with attention"])
    weights = SeededWeights(component.weights, seed=1)
    artifact = convert(trace(component, "dynamic"), weights, dialect_of(), tmp_path, lambda *_: None)
    runner = LiteRTRunner(artifact.path, threads=2)
    assert runner.inputs[0].shape[0] == "?"
    for batch in (3, 1):
        inputs = inputs_of(component, batch)
        check(runner.run(inputs), jax_outputs(component, weights, inputs))


@pytest.mark.parametrize("half", HALVES)
def test_native_and_decomposed_are_two_ways_to_one_result(
    half: str, tmp_path: Path, dialect_of: Callable[..., Any]
) -> None:
    component = HALVES[half](DEBUG)
    weights, inputs, found = SeededWeights(component.weights, seed=2), inputs_of(component, 1), []
    for name, composites in (("native", {}), ("pieces", {"composites": {}})):
        artifact = convert(trace(component), weights, dialect_of(**composites), tmp_path / name, lambda *_: None)
        found.append(LiteRTRunner(artifact.path, threads=1).run(inputs))
    check(*found)
