"""Every option of the model in every dialect, opset and batch: a valid model, JAX's outputs, nothing to simplify."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxsim
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters.dialects import DIALECTS, dialect_for
from lwmport.converters.onnx.convert import convert
from lwmport.graphs.program import Program
from lwmport.graphs.trace import trace
from lwmport.models.families import resolve
from lwmport.models.vqgan.config import CONFIGS
from lwmport.models.vqgan.tolerances import TOLERANCES
from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
from lwmport.types import Array, Artifact, Component, Status
from lwmport.validators.outputs import compare_outputs
from lwmport.validators.pictures import photographs

ONNX = {
    dialect.name: dialect for dialect in DIALECTS.values() if dialect.format == "onnx" and dialect.name != "tf2onnx"
}
"""The dialects that this converter writes; tf2onnx takes another route to the format."""

SMALL = CONFIGS["debug"].to_json()
VARIANTS: dict[str, dict[str, Any]] = {
    "debug": SMALL,
    "attention in blocks": {**SMALL, "resolution": 16, "attn_resolutions": [8, 16]},
    "attention in the middle, one channel": {**SMALL, "resolution": 16, "no_attn_mid_block": False, "num_channels": 1},
    "average pooling": {**SMALL, "resample_with_conv": False},
    "three levels, two blocks": {
        **SMALL,
        "resolution": 24,
        "channel_mult": [1, 2, 3],
        "num_res_blocks": 2,
        "num_channels": 4,
        "z_channels": 8,
    },
}
EVERY_LAYER = ("attention in blocks", "average pooling")
"""Between them these hold every layer there is: opsets differ in operators, not in how many of them there are."""

BATCHES = (1, 2, "dynamic")


@dataclass(frozen=True, kw_only=True)
class Half:
    """One half of a model, and what JAX makes of two pictures."""

    component: Component
    weights: SeededWeights
    inputs: dict[str, Array]
    outputs: dict[str, Array]
    programs: dict[int | str, Program]

    def converted(self, batch: int | str, dialect: str, opset: int | None, folder: Path) -> Artifact:
        chosen = dialect_for("onnx", dialect, opset)
        return convert(self.programs[batch], self.weights, chosen, folder, lambda *_: None)

    def agrees(self, artifact: Artifact, batch: int | str) -> None:
        """Check the model, run it on one picture or two, and hold it against the table of tolerances."""
        onnx.checker.check_model(artifact.path, full_check=True)
        runner = OnnxRuntimeRunner(artifact.path, threads=1)
        for items in (1, 2) if batch == "dynamic" else (batch,):
            found = runner.run({name: array[:items] for name, array in self.inputs.items()})
            expected = {name: array[:items] for name, array in self.outputs.items()}
            diffs = compare_outputs(TOLERANCES, artifact.signature.outputs, expected, found)
            assert {diff.name: diff.reason for diff in diffs if diff.status is not Status.PASSED} == {}


@pytest.fixture(scope="module", params=VARIANTS)
def halves(request: pytest.FixtureRequest, jax_outputs: Callable[..., dict[str, Array]]) -> list[Half]:
    family = resolve("vqgan", VARIANTS[request.param])
    weights = SeededWeights(family.weights, 0)
    channels = [channel % 3 for channel in range(family.config["num_channels"])]
    made = {"pixel_values": photographs(2, family.config["resolution"])[..., channels]}
    found = []
    for component in family.components:
        inputs = {spec.name: made[spec.name] for spec in component.signature.inputs}
        outputs = jax_outputs(component, weights, inputs)
        programs = {batch: trace(component, batch) for batch in BATCHES}
        found.append(Half(component=component, weights=weights, inputs=inputs, outputs=outputs, programs=programs))
        made |= outputs
    return found


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("dialect", ONNX)
def test_every_option_agrees_with_jax_and_leaves_onnxsim_nothing(
    dialect: str, batch: int | str, halves: list[Half], tmp_path: Path
) -> None:
    for half in halves:
        artifact = half.converted(batch, dialect, None, tmp_path)
        half.agrees(artifact, batch)
        model = onnx.load(artifact.path)
        simplified, checked = onnxsim.simplify(model)
        assert checked
        assert operators(simplified) == operators(model)


@pytest.mark.parametrize(
    ("dialect", "opset"),
    [(d.name, o) for d in ONNX.values() for o in range(d.opsets[0], d.opsets[1] + 1) if o != d.opset],
)
@pytest.mark.parametrize("halves", EVERY_LAYER, indirect=True)
def test_every_opset_agrees_with_jax(dialect: str, opset: int, halves: list[Half], tmp_path: Path) -> None:
    for half, batch in zip(halves, (BATCHES[opset % 3], "dynamic"), strict=True):
        half.agrees(half.converted(batch, dialect, opset, tmp_path), batch)


def test_onnxsim_would_find_something(tmp_path: Path, component_of: Callable[..., Component]) -> None:
    def wasteful(x: Any) -> Any:
        return jax.lax.pad(jnp.sin(x), np.float32(0), ((0, 0, 0),))

    component = component_of(wasteful, [np.ones(3, np.float32)])
    artifact = convert(trace(component), SeededWeights({}, 0), dialect_for("onnx"), tmp_path, lambda *_: None)
    simplified, _ = onnxsim.simplify(onnx.load(artifact.path))
    assert (artifact.operators, operators(simplified)) == ({"Pad": 1, "Sin": 1}, {"Sin": 1})


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)
