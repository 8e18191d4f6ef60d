"""Lowering a small function to TFLite and running what came out, in one step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from primitive_cases import assert_agrees

from lwmport import extras
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.converters.dialects import DIALECTS
from lwmport.graphs.program import Program
from lwmport.graphs.trace import trace
from lwmport.models.schemes import SCHEMES
from lwmport.types import Array, Artifact, Dialect, Scheme

COMPOSITES: Final = DIALECTS["litert"].composites


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what cannot even be imported without TFLite's schema; test_tflite_installed.py says so."""
    missing = not extras.installed("ai_edge_litert")
    return True if missing and collection_path.name != "test_tflite_installed.py" else None


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """One function as a TFLite file, beside JAX's outputs on the same inputs."""

    program: Program
    artifact: Artifact
    inputs: Mapping[str, Array]
    reference: Mapping[str, Array]

    @property
    def operators(self) -> dict[str, int]:
        return dict(self.artifact.operators)

    @property
    def model(self) -> Any:
        from ai_edge_litert import schema_py_generated as schema

        return schema.ModelT.InitFromPackedBuf(self.artifact.path.read_bytes())

    @property
    def runner(self) -> Any:
        from lwmport.runtime.runners.litert import LiteRTRunner

        return LiteRTRunner(self.artifact.path, threads=1)

    def agrees(self, rtol: float = 1e-5, atol: float = 1e-6) -> "Lowered":
        """Run the model and compare every output with JAX: name, shape, dtype, values."""
        assert_agrees(self.runner.run(self.inputs), self.reference, rtol, atol)
        return self


def _dialect_of(composites: Mapping[str, Sequence[str]] = COMPOSITES) -> Dialect:
    forms = {name: tuple(names) for name, names in composites.items()}
    return Dialect(name="test", format="tflite", summary="a test's", opset=3, opsets=(3, 3), composites=forms)


@pytest.fixture
def dialect_of() -> Callable[..., Dialect]:
    return _dialect_of


@pytest.fixture
def lower(
    tmp_path: Path,
    component_of: Callable[..., Any],
    weights_of: Callable[..., Any],
    jax_outputs: Callable[..., dict[str, Array]],
) -> Callable[..., Lowered]:
    """Return ``lower(function, *inputs)``: the function through trace and convert."""
    from lwmport.converters.tflite.convert import convert

    def run(
        function: Callable[..., Any],
        *inputs: Array,
        weights: Mapping[str, Array] | None = None,
        dynamic: bool = False,
        composites: Mapping[str, Sequence[str]] = COMPOSITES,
        packed: Sequence[str] = (),
        scheme: Scheme = SCHEMES["float16"],
    ) -> Lowered:
        held = StoredWeights(weights_of(weights or {}), scheme, dict.fromkeys(packed, scheme))
        component = component_of(function, inputs, weights, dynamic=dynamic)
        program = trace(component, "dynamic" if dynamic else 1)
        artifact = convert(program, held, _dialect_of(composites), tmp_path, lambda *_: None)
        named = {spec.name: array for spec, array in zip(component.signature.inputs, inputs, strict=True)}
        expected = jax_outputs(component, held, named)
        return Lowered(program=program, artifact=artifact, inputs=named, reference=expected)

    return run
