"""Programs: one digest for one program, and composites decomposed on demand."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.graphs.atoms import composite_name
from lwmport.graphs.program import Program
from lwmport.graphs.trace import trace
from lwmport.models.families import resolve
from lwmport.models.options import Options

X = np.ones((1, 4), np.float32)
KERNEL = {"kernel": np.ones((4, 3), np.float32)}


def project(x: Any, kernel: Any) -> Any:
    return jnp.tanh(x @ kernel)


@pytest.fixture
def program(component_of: Callable[..., Any]) -> Program:
    return trace(component_of(project, [X], KERNEL, dynamic=True))


def test_tracing_again_gives_the_same_digest(program: Program, component_of: Callable[..., Any]) -> None:
    assert trace(component_of(project, [X], KERNEL, dynamic=True)).digest == program.digest


def test_every_difference_shows_in_the_digest(program: Program, component_of: Callable[..., Any]) -> None:
    component = component_of(project, [X], KERNEL, dynamic=True)
    (spec,) = program.signature.outputs
    others = {
        "batch": trace(component, 2),
        "dynamic batch": trace(component, "dynamic"),
        "operation": trace(component_of(lambda x, kernel: jnp.sin(x @ kernel), [X], KERNEL)),
        "constant": trace(component_of(lambda x, kernel: jnp.tanh(x @ kernel * 2.0), [X], KERNEL)),
        "another constant": trace(component_of(lambda x, kernel: jnp.tanh(x @ kernel * 3.0), [X], KERNEL)),
        "weight's name": replace(program, weight_names=("other",)),
        "weight's shape": trace(component_of(project, [X], {"kernel": np.ones((4, 2), np.float32)})),
        "weight's dtype": trace(component_of(project, [X], {"kernel": np.ones((4, 3), np.float16)})),
        "component's name": replace(program, component="other"),
        "output's name": replace(program, signature=replace(program.signature, outputs=(replace(spec, name="z"),))),
    }
    digests = {"itself": program.digest, **{name: other.digest for name, other in others.items()}}
    assert len(set(digests.values())) == len(digests), digests


@pytest.mark.parametrize("mark", [lambda function: function, lambda f: jax.lax.composite(f, name="added")])
def test_constant_arrays_show_in_the_digest(mark: Callable[..., Any], component_of: Callable[..., Any]) -> None:
    def digest(table: Any) -> str:
        return trace(component_of(mark(lambda x: x + table), [X])).digest

    assert digest(jnp.arange(4.0)) != digest(jnp.arange(4.0) + 1.0)


def test_what_is_kept_between_runs_does_not_change_the_digest() -> None:
    """Else manifests from before it was told would be of other programs."""
    (component,) = resolve("ring-step", "debug", Options(sequence=4)).components
    untold = replace(component, signature=replace(component.signature, states=()))
    assert component.signature.states
    assert trace(component).digest == trace(untold).digest


def test_expand_decomposes_what_is_refused_and_leaves_the_original() -> None:
    program = trace(resolve("vqgan-decoder", "debug").components[0])
    before = names(program)
    assert {"lwmport.group_norm", "lwmport.silu", "lwmport.upsample_nearest"} <= before
    assert names(program.expand(lambda equation: composite_name(equation) == "lwmport.silu")) == {"lwmport.silu"}
    assert names(program.expand(lambda _: False)) == set()
    assert names(program) == before


def names(program: Program) -> set[str]:
    return {name for equation in program.jaxpr.eqns if (name := composite_name(equation))}
