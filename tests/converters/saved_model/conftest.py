"""Lowering a small function to TensorFlow and running it, in one step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from primitive_cases import assert_agrees

from lwmport.converters.dialects import DIALECTS
from lwmport.converters.saved_model.functions import count_operators
from lwmport.graphs.program import Program
from lwmport.graphs.trace import trace
from lwmport.types import Array, Dialect

PLAIN = DIALECTS["tf"]


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """One function as a TensorFlow function, beside JAX's outputs on the same inputs."""

    program: Program
    function: Any
    variables: Any
    inputs: Mapping[str, Array]
    reference: Mapping[str, Array]

    @property
    def operators(self) -> dict[str, int]:
        return count_operators(self.function.graph.as_graph_def())

    @property
    def computing(self) -> dict[str, int]:
        """The operators but for constants and what the signature and the variables need."""
        plumbing = {"Const", "Identity", "NoOp", "Placeholder", "ReadVariableOp"}
        return {name: count for name, count in self.operators.items() if name not in plumbing}

    def run(self) -> dict[str, Array]:
        import tensorflow as tf

        found = self.function(**{name: tf.constant(array) for name, array in self.inputs.items()})
        return {name: value.numpy() for name, value in found.items()}

    def agrees(self, rtol: float = 1e-5, atol: float = 1e-6) -> "Lowered":
        """Run it and compare every output with JAX: name, shape, dtype, values."""
        assert_agrees(self.run(), self.reference, rtol, atol)
        return self


@pytest.fixture(scope="session")
def tf() -> Any:
    return pytest.importorskip("tensorflow", reason="TensorFlow is not installed: pip install 'lwmport[tf]'")


@pytest.fixture(scope="session")
def plain() -> Dialect:
    return PLAIN


@pytest.fixture(scope="session")
def lower(
    tf: Any,
    component_of: Callable[..., Any],
    weights_of: Callable[..., Any],
    jax_outputs: Callable[..., dict[str, Array]],
) -> Callable[..., Lowered]:
    """Return ``lower(function, *inputs)``: the function through trace and the rules, without a file."""
    from lwmport.converters.saved_model.convert import plain_function
    from lwmport.converters.saved_model.variables import Variables

    def run(
        function: Callable[..., Any],
        *inputs: Array,
        weights: Mapping[str, Array] | None = None,
        dynamic: bool = False,
        composites: Mapping[str, Sequence[str]] | None = None,
    ) -> Lowered:
        held = weights_of(weights or {})
        component = component_of(function, inputs, weights, dynamic=dynamic)
        program = trace(component, "dynamic" if dynamic else 1)
        forms = PLAIN.composites if composites is None else {name: tuple(forms) for name, forms in composites.items()}
        store = Variables(tf, lambda *_: None)
        made = plain_function(tf, program, held, replace(PLAIN, composites=forms), store)
        for held_back in store._made.values():  # values otherwise come with a file
            held_back.variable.assign(held_back.produce())
        named = {spec.name: array for spec, array in zip(component.signature.inputs, inputs, strict=True)}
        expected = jax_outputs(component, held, named)
        return Lowered(program=program, function=made, variables=store.root, inputs=named, reference=expected)

    return run
