"""Exports of the same VQGAN that are not ours: refused for Ascend with the right rules, mended, and then passed."""

import contextlib
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.models.families import resolve
from lwmport.targets.fix.mending import mend
from lwmport.targets.preflight import Conditions, check
from lwmport.types import Component, Status

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SMALL: Final = {"channel_mult": [1, 1], "num_res_blocks": 1}
"""A VQGAN of two levels, otherwise LWM's debug configuration: quick to export."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    from lwmport.models.vqgan.config import CONFIGS

    path = tmp_path / "small.json"
    path.write_text(json.dumps({**CONFIGS["debug"].to_json(), **SMALL}))
    return path


def half(name: str, config: Path) -> tuple[Component, dict[str, Any]]:
    family = resolve(f"vqgan-{name}", str(config))
    (component,) = family.components
    weights = SeededWeights(family.weights, 0)
    return component, {key: weights.read(key) for key in component.weights}


@contextlib.contextmanager
def scripts() -> Iterator[None]:
    """Make the benchmark's scripts importable, and forget them again."""
    before = set(sys.modules)
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in {path.stem for path in BENCHMARKS.glob("*.py")} & (set(sys.modules) - before):
            del sys.modules[name]


def by_torch(name: str, config: Path, out: Path, opset: int) -> Path:
    """Export the hand-written twin with torch.onnx."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[bench]'")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed; run: pip install 'lwmport[bench]'")
    from lwmport.models.vqgan.config import VQGANConfig

    component, weights = half(name, config)
    with scripts():
        twin = importlib.import_module("torch_twin").build(name, VQGANConfig.from_json(component.config), weights)
        (spec,) = component.signature.inputs
        example = torch.zeros((1, *spec.shape[1:]), dtype=getattr(torch, spec.dtype))
        path = out / f"torch-{name}.onnx"
        torch.onnx.export(twin, (example,), path, dynamo=True, verbose=False, opset_version=opset)
    return path


def by_jax2onnx(name: str, config: Path, out: Path, _opset: int) -> Path:
    """Export the flax model with jax2onnx, at the opset that it takes by itself."""
    jax2onnx = pytest.importorskip("jax2onnx", reason="jax2onnx is not installed; run: pip install 'lwmport[bench]'")
    import jax

    component, weights = half(name, config)
    (spec,) = component.signature.inputs
    shape = jax.ShapeDtypeStruct((1, *spec.shape[1:]), spec.dtype)
    with scripts():
        inlined = importlib.import_module("conversions")._inlined_composites
        with inlined():
            made = jax2onnx.to_onnx(lambda x: tuple(component.apply(weights, {spec.name: x}).values()), [shape])
    path = out / f"jax2onnx-{name}.onnx"
    onnx.save(made, path)
    return path


EXPORTS: dict[str, tuple[Callable[..., Path], str, int, set[str]]] = {
    "torch.onnx, encoder": (by_torch, "encoder", 21, {"A01", "A03", "A14"}),
    "torch.onnx, decoder": (by_torch, "decoder", 21, {"A01", "A03", "A12"}),
    "jax2onnx, encoder": (by_jax2onnx, "encoder", 0, {"A01"}),
    "jax2onnx, decoder": (by_jax2onnx, "decoder", 0, {"A01"}),
}
"""Name -> the exporter, the half, the opset that is asked for, and the rules of Ascend that object."""


@pytest.mark.filterwarnings("ignore")  # the exporters' own
@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_refused_and_after_the_fix_passes_and_agrees(name: str, config: Path, tmp_path: Path) -> None:
    export, part, opset, expected = EXPORTS[name]
    source = export(part, config, tmp_path, opset)
    conditions = Conditions(target="ascend")
    before = check(source, conditions)
    found = {finding.rule for finding in before.findings if finding.severity != "note"}
    assert before.status is Status.FAILED
    assert expected <= found <= expected | {"A18"}
    mended = mend(source, tmp_path / "fixed" / source.name, conditions)
    assert mended.preflight.status is Status.PASSED, mended.preflight.findings
    assert mended.proof.equal
    assert np.isfinite(mended.proof.error)
