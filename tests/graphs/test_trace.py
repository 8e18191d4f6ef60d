"""Tracing: abstract weights, every kind of batch, and a signature that must be true."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.errors import LoweringError, UsageError
from lwmport.graphs.trace import trace
from lwmport.models.families import resolve
from lwmport.types import Component, Signature

PICTURES = jax.ShapeDtypeStruct((1, 4, 3), np.float32)


@pytest.fixture
def tower(component_of: Callable[..., Component]) -> Component:
    """Five square matrices of 52 GB each: 65 billion parameters, of which not one could be allocated."""
    side = 114_688

    def function(x: Any, **weights: Any) -> Any:
        for name in sorted(weights):
            x = jnp.tanh(x @ weights[name])
        return x

    matrix = jax.ShapeDtypeStruct((side, side), np.float32)
    return component_of(
        function,
        [jax.ShapeDtypeStruct((1, side), np.float32)],
        {f"layer_{i}/kernel": matrix for i in range(5)},
        dynamic=True,
    )


@pytest.fixture
def halves(component_of: Callable[..., Component]) -> Component:
    return component_of(lambda x: (x[:, :2], x.sum(axis=2).astype(jnp.int32)), [PICTURES], dynamic=True)


def test_65_billion_parameters_trace_without_memory(tower: Component) -> None:
    program = trace(tower)
    assert sum(np.prod(spec.shape, dtype=np.int64) for spec in tower.weights.values()) > 65e9
    assert program.weight_names == tuple(f"layer_{i}/kernel" for i in range(5))
    assert [equation.primitive.name for equation in program.jaxpr.eqns] == ["dot_general", "tanh"] * 5
    assert program.closed.consts == []


@pytest.mark.parametrize("batch", [1, 3])
def test_a_fixed_batch_fills_the_signature_and_the_program(halves: Component, batch: int) -> None:
    program = trace(halves, batch)
    assert [spec.shape for spec in program.signature.inputs] == [(batch, 4, 3)]
    assert [spec.shape for spec in program.signature.outputs] == [(batch, 2, 3), (batch, 4)]
    assert [variable.aval.shape for variable in program.input_vars] == [(batch, 4, 3)]
    assert [aval.shape for aval in program.closed.out_avals] == [(batch, 2, 3), (batch, 4)]


def test_a_dynamic_batch_keeps_its_name(halves: Component) -> None:
    program = trace(halves, "dynamic")
    assert program.signature == halves.signature
    assert str(program.input_vars[0].aval.shape) == "(batch, 4, 3)"


@pytest.mark.parametrize("batch", [0, -1, 1.0, True, "2", "batch", None])
def test_any_other_batch_is_refused(halves: Component, batch: Any) -> None:
    with pytest.raises(UsageError, match=f"expected a batch of at least 1 or 'dynamic', found {batch!r}"):
        trace(halves, batch)


def reshaped(signature: Signature) -> Signature:
    first, second = signature.outputs
    return replace(signature, outputs=(replace(first, shape=("batch", 2, 4)), second))


def frozen(signature: Signature) -> Signature:
    first, second = signature.outputs
    return replace(signature, outputs=(replace(first, shape=(7, 2, 3)), second))


def retyped(signature: Signature) -> Signature:
    first, second = signature.outputs
    return replace(signature, outputs=(first, replace(second, dtype="int16")))


def renamed(signature: Signature) -> Signature:
    first, second = signature.outputs
    return replace(signature, outputs=(first, replace(second, name="sums")))


def shortened(signature: Signature) -> Signature:
    return replace(signature, outputs=signature.outputs[:1])


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (reshaped, r"expected small to return y0 float32\[1, 2, 4\], found float32\[1, 2, 3\]"),
        (frozen, r"expected small to return y0 float32\[7, 2, 3\], found float32\[1, 2, 3\]"),
        (retyped, r"expected small to return y1 int16\[1, 4\], found int32\[1, 4\]"),
        (renamed, "expected small to return y0, sums, found y0, y1"),
        (shortened, "expected small to return y0, found y0, y1"),
    ],
)
def test_a_signature_that_lies_is_refused(
    halves: Component, lie: Callable[[Signature], Signature], message: str
) -> None:
    with pytest.raises(LoweringError, match=message):
        trace(replace(halves, signature=lie(halves.signature)))


@pytest.mark.parametrize("function", [lambda x: x.reshape(5, -1), lambda x: x if x.shape[0] > 2 else x + 1])
def test_a_component_that_needs_to_know_its_batch_says_so(
    function: Callable[..., Any], component_of: Callable[..., Component]
) -> None:
    component = component_of(function, [jax.ShapeDtypeStruct((5, 3), np.float32)], dynamic=True)
    with pytest.raises(LoweringError, match=r"expected small to work for any batch, found: .*Fix the batch") as caught:
        trace(component, "dynamic")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["vqgan-encoder", "vqgan-decoder"])
@pytest.mark.parametrize("batch", [2, "dynamic"])
def test_the_models_trace_to_their_signature(name: str, batch: int | str) -> None:
    (component,) = resolve(name, "debug").components
    program = trace(component, batch)
    assert list(program.weight_names) == sorted(component.weights)
    assert {spec.shape[0] for spec in program.signature.outputs} == {batch if batch == 2 else "batch"}


def test_every_named_size_is_dynamic_and_written_as_in_the_signature(component_of: Callable[..., Component]) -> None:
    def grow(past: Any, new: Any, ids: Any) -> tuple[Any, Any]:
        return jnp.concatenate([past, new], axis=1), ids + past.shape[1]

    arrays = [jax.ShapeDtypeStruct((2, 3), np.float32), jax.ShapeDtypeStruct((2, 1), np.float32)]
    component = component_of(grow, [*arrays, jax.ShapeDtypeStruct((2, 1), np.int32)])
    shapes = [("batch", "past"), ("batch", "sequence"), ("batch", "sequence")]
    inputs = [replace(spec, shape=shape) for spec, shape in zip(component.signature.inputs, shapes, strict=True)]
    inputs[2] = replace(inputs[2], dtype="int64")
    whole, numbers = component.signature.outputs
    outputs = (replace(whole, shape=("batch", "past + sequence")), replace(numbers, shape=shapes[1], dtype="int64"))
    named = replace(component, signature=Signature(inputs=tuple(inputs), outputs=outputs))
    program = trace(named, 2)
    assert [spec.shape for spec in program.signature.outputs] == [(2, "past + sequence"), (2, "sequence")]
    assert program.sizes["sequence + past"] == "past + sequence"
    assert [str(variable.aval.dtype) for variable in program.input_vars] == ["float32", "float32", "int32"]
    assert [str(aval.dtype) for aval in program.closed.out_avals] == ["float32", "int32"]
