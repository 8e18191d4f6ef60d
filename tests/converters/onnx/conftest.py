"""Lowering a small function and running what came out, in one step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from primitive_cases import assert_agrees

from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.converters.dialects import dialect_for
from lwmport.converters.onnx.convert import convert
from lwmport.graphs.program import Program
from lwmport.graphs.trace import trace
from lwmport.models.schemes import SCHEMES
from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
from lwmport.types import Array, Artifact, Scheme


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """One function as an ONNX file, beside JAX's outputs on the same inputs."""

    program: Program
    artifact: Artifact
    inputs: Mapping[str, Array]
    reference: Mapping[str, Array]

    @property
    def operators(self) -> dict[str, int]:
        return dict(self.artifact.operators)

    @property
    def model(self) -> onnx.ModelProto:
        return onnx.load(self.artifact.path)

    def nodes(self, operator: str) -> list[onnx.NodeProto]:
        return [node for node in self.model.graph.node if node.op_type == operator]

    def run(self) -> dict[str, Array]:
        onnx.checker.check_model(self.artifact.path, full_check=True)
        return OnnxRuntimeRunner(self.artifact.path, threads=1).run(self.inputs)

    def agrees(self, rtol: float = 1e-5, atol: float = 1e-6) -> "Lowered":
        """Check the model, run it and compare every output with JAX: name, shape, dtype, values."""
        found = self.run()
        assert list(found) == [spec.name for spec in self.program.signature.outputs]
        assert_agrees(found, self.reference, rtol, atol)
        return self


@pytest.fixture
def lower(
    tmp_path: Path,
    component_of: Callable[..., Any],
    weights_of: Callable[..., Any],
    jax_outputs: Callable[..., dict[str, Array]],
) -> Callable[..., Lowered]:
    """Return ``lower(function, *inputs)``: the function through trace and convert, in a dialect, at an opset."""

    def run(
        function: Callable[..., Any],
        *inputs: Array,
        weights: Mapping[str, Array] | None = None,
        dynamic: bool = False,
        dialect: str = "onnx",
        opset: int | None = None,
        composites: Mapping[str, Sequence[str]] | None = None,
        reference: Mapping[str, Array] | None = None,
        packed: Sequence[str] = (),
        scheme: Scheme = SCHEMES["float16"],
    ) -> Lowered:
        held = StoredWeights(weights_of(weights or {}), scheme, dict.fromkeys(packed, scheme))
        component = component_of(function, inputs, weights, dynamic=dynamic)
        program = trace(component, "dynamic" if dynamic else 1)
        chosen = dialect_for("onnx", dialect, opset)
        if composites is not None:
            chosen = replace(chosen, composites={name: tuple(forms) for name, forms in composites.items()})
        artifact = convert(program, held, chosen, tmp_path, lambda *_: None)
        named = {spec.name: array for spec, array in zip(component.signature.inputs, inputs, strict=True)}
        expected = jax_outputs(component, held, named) if reference is None else reference
        return Lowered(program=program, artifact=artifact, inputs=named, reference=expected)

    return run
