"""Taps of small programs: what a layer is, how it is called, and what is no tap."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.errors import UsageError
from lwmport.graphs.trace import trace
from lwmport.models.composites import basic as composites
from lwmport.types import TAPS, Component, Kind

X = np.ones((2, 4), np.float32)
W = np.ones((4, 4), np.float32)
scope = jax.named_scope


def block(x: Any, number: int) -> Any:
    with scope(f"block_{number}"):
        with scope("norm"):
            y = composites.softmax(x)
        with scope("mlp"):
            y = composites.silu(y * 2.0) + composites.silu(y)
        return x + y


def two_blocks(x: Any) -> Any:
    with scope("Model"), scope("stem"):
        x = x * 3.0
    for number in range(2):
        with scope("Model"):
            x = block(x, number)
    return x * 2.0


def repeated(x: Any) -> Any:
    def step(carry: Any, _: Any) -> tuple[Any, None]:
        with scope("inside"):
            return composites.silu(carry), None

    with scope("looped"):
        return jax.lax.scan(step, x, length=3)[0] * 2.0


def names(component: Component, kind: str) -> list[str]:
    return [spec.name for spec in trace(component, 1, kind).signature.outputs[len(component.signature.outputs) :]]


def test_layers_hold_modules_or_lie_beside_one_that_does(component_of: Callable[..., Component]) -> None:
    assert names(component_of(two_blocks, [X]), "layers") == ["Model/stem", "Model/block_0", "Model/block_1"]


def test_composites_are_numbered_from_the_second_of_a_name_on(component_of: Callable[..., Component]) -> None:
    found = names(component_of(two_blocks, [X]), "composites")
    inside = ["norm/softmax", "mlp/silu", "mlp/silu_1", ""]
    blocks = [f"Model/block_{number}/{name}".rstrip("/") for number in range(2) for name in inside]
    assert found == ["Model/stem", *blocks]


def test_taps_come_behind_the_outputs_with_the_values_that_they_name(component_of: Callable[..., Component]) -> None:
    component = component_of(two_blocks, [X])
    program = trace(component, 1, "layers")
    assert program.component == "small.taps"
    assert [spec.name for spec in program.signature.outputs][:1] == ["y0"]
    found = jax.core.eval_jaxpr(program.jaxpr, program.closed.consts, X)
    np.testing.assert_allclose(found[1], X * 3.0)
    np.testing.assert_allclose(found[0], found[-1] * 2.0)


def test_a_program_without_taps_is_the_one_that_it_was(component_of: Callable[..., Component]) -> None:
    component = component_of(two_blocks, [X])
    assert trace(component, 1, "").digest == trace(component, 1).digest != trace(component, 1, "layers").digest


def test_a_method_stands_for_its_module_and_a_class_for_none(component_of: Callable[..., Component]) -> None:
    def model(x: Any, **weights: Any) -> Any:
        with scope("Net.apply"):
            with scope("table.lookup"):
                x = x * weights["table/rows"]
            with scope("body"), scope("part"), scope("part._helper"):
                x = composites.silu(x @ weights["body/part/kernel"])
            with scope("bhqd,bhkd->bhqk"):
                return x * 2.0

    component = component_of(model, [X], {"table/rows": W[:1], "body/part/kernel": W})
    assert names(component, "layers") == ["table", "body"]
    assert names(component, "composites") == ["table", "body"]


def test_a_module_that_holds_all_weights_is_called_by_their_path(component_of: Callable[..., Component]) -> None:
    def model(x: Any, **weights: Any) -> Any:
        with scope("Block"):
            with scope("mlp"):
                y = composites.silu(x @ weights["h/3/mlp/kernel"])
            with scope("norm"):
                y = composites.softmax(y * weights["h/3/norm/scale"])
            return x + y

    component = component_of(model, [X], {"h/3/mlp/kernel": W, "h/3/norm/scale": W[0]})
    assert names(component, "composites") == ["h/3/mlp/silu", "h/3/norm/softmax", "h/3"]


def test_a_composite_is_in_the_module_whose_weight_it_takes(component_of: Callable[..., Component]) -> None:
    def model(x: Any, **weights: Any) -> Any:
        with scope("body"), scope("mlp"):
            x = composites.silu(x)
        return composites.nearest_code(x, weights["head/codes"]) + 1

    component = component_of(model, [X], {"head/codes": W})
    program = trace(component, 1, "composites")
    assert [spec.name for spec in program.signature.outputs] == ["y0", "body", "head"]
    assert program.signature.outputs[-1].kind is Kind.INDICES


def test_what_depends_on_no_input_and_what_is_true_or_false_is_no_tap(component_of: Callable[..., Component]) -> None:
    def model(x: Any, **weights: Any) -> Any:
        with scope("a"), scope("b"):
            known = composites.silu(weights["w"])
        with scope("c"), scope("d"):
            mask = x > 0.0
        with scope("e"), scope("f"):
            return jnp.where(mask, x, known)

    component = component_of(model, [X], {"w": X})
    assert names(component, "composites") == ["e"]


def test_of_a_loop_the_result_is_a_tap_and_nothing_inside(component_of: Callable[..., Component]) -> None:
    def model(x: Any) -> Any:
        return block(repeated(x), 0)

    assert names(component_of(model, [X]), "composites")[0] == "looped"


def test_what_is_an_output_already_is_a_tap_as_a_layer_alone(component_of: Callable[..., Component]) -> None:
    def model(x: Any) -> Any:
        with scope("outer"):
            with scope("inner"):
                made = composites.silu(x)
            return composites.softmax(made).reshape(-1)

    assert names(component_of(model, [X]), "composites") == ["outer/inner/silu", "outer"]


def test_no_name_is_given_twice(component_of: Callable[..., Component]) -> None:
    def model(x: Any) -> Any:
        with scope("y0"), scope("part"):
            x = x * 2.0
        with scope("m"):
            x = composites.silu(x)
            with scope("silu"), scope("deep"):
                return x * 3.0

    assert names(component_of(model, [X]), "composites") == ["y0_tap", "m/silu_tap", "m/silu"]


@pytest.mark.parametrize("kind", TAPS)
def test_nothing_to_tap_is_one_line(kind: str, component_of: Callable[..., Component]) -> None:
    with pytest.raises(UsageError, match=f"expected {kind} to tap in small, found none"):
        trace(component_of(lambda x: x * 2.0, [X]), 1, kind)


def test_an_unknown_kind_is_refused(component_of: Callable[..., Component]) -> None:
    with pytest.raises(UsageError, match="did you mean 'layers'"):
        trace(component_of(two_blocks, [X]), 1, "layer")
