"""What tests of several rooms share: weights in memory, components made of one function, JAX's answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import pytest

from lwmport.types import Array, Component, Signature, TensorSpec, WeightSpec


class WeightsInMemory:
    """Weights (`lwmport.types.Weights`) that are simply there, and remember which of them were read."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._arrays = dict(arrays)
        self.specs = {name: WeightSpec(shape=a.shape, dtype=a.dtype.name) for name, a in self._arrays.items()}
        self.source: dict[str, Any] = {"kind": "test", "description": "a test's arrays"}
        self.reads: list[str] = []

    def read(self, name: str) -> Array:
        self.reads.append(name)
        return self._arrays[name]


def as_component(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    weights: Mapping[str, Any] | None = None,
    *,
    dynamic: bool = False,
    name: str = "small",
) -> Component:
    """Return ``function(*inputs, **weights)`` as a component: inputs x0, x1, ..., outputs y0, y1, ...

    Inputs and weights need shape and dtype only. With ``dynamic`` the first axis of every input and output is the
    batch.
    """
    weights = weights or {}
    abstract = {key: jax.ShapeDtypeStruct(value.shape, value.dtype) for key, value in weights.items()}
    made = jax.eval_shape(function, *(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in inputs), **abstract)

    def spec(key: str, like: Any) -> TensorSpec:
        shape = ("batch", *like.shape[1:]) if dynamic else like.shape
        return TensorSpec(name=key, shape=shape, dtype=str(np.dtype(like.dtype)))

    signature = Signature(
        inputs=tuple(spec(f"x{i}", x) for i, x in enumerate(inputs)),
        outputs=tuple(spec(f"y{i}", y) for i, y in enumerate(_as_tuple(made))),
    )

    def apply(given: Mapping[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
        found = function(*(arrays[item.name] for item in signature.inputs), **given)
        return {f"y{i}": y for i, y in enumerate(_as_tuple(found))}

    specs = {key: WeightSpec(shape=value.shape, dtype=str(np.dtype(value.dtype))) for key, value in weights.items()}
    return Component(name=name, family="test", signature=signature, weights=specs, config={}, apply=apply)


def with_jax(component: Component, weights: Any, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return JAX's own outputs; LLVM's optimizations are off, for compiling takes longer than these runs."""
    given = {name: weights.read(name) for name in component.weights}
    run = jax.jit(component.apply, compiler_options={"xla_backend_optimization_level": 0})
    return {name: np.asarray(value) for name, value in run(given, dict(inputs)).items()}


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)


@pytest.fixture(scope="session")
def weights_of() -> type[WeightsInMemory]:
    return WeightsInMemory


@pytest.fixture(scope="session")
def component_of() -> Callable[..., Component]:
    return as_component


@pytest.fixture(scope="session")
def jax_outputs() -> Callable[..., dict[str, Array]]:
    return with_jax
