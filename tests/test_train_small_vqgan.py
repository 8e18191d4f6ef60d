"""What is trained is the network of the project: JAX differentiates other functions, with the same values."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest

from lwmport.models.composites import basic

TOOLS = Path(__file__).parents[1] / "tools"


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(TOOLS)
    return importlib.import_module("small_vqgan_step")


def test_what_is_differentiated_has_the_values_of_the_composites(training: ModuleType) -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (2, 4, 4, 64)) + 1.5
    scale, bias = (jax.random.normal(key, (64,)) for key in keys[1:])

    def values() -> list[jax.Array]:
        normalised = basic.group_norm(x, scale, bias, groups=32, epsilon=1e-6)
        return [normalised, basic.silu(normalised), basic.upsample_nearest(x, factor=2)]

    expected = values()
    with training.differentiable():
        found = values()
        slope = jax.grad(lambda x: basic.silu(x).sum())(x)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-5)
    assert slope.shape == x.shape


def test_the_configuration_is_that_beside_the_weights(training: ModuleType, trained_vqgan: Path) -> None:
    beside = json.loads(trained_vqgan.with_name(f"{trained_vqgan.name}.lwmport.json").read_text())
    assert beside["config"] == training.CONFIG.to_json()
