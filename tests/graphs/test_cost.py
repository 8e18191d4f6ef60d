"""Operations and bytes of equations, counted by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.graphs.cost import cost_of, name_of


def costs(function: Any, *shapes: tuple[int, ...]) -> dict[str, Any]:
    given = [jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes]
    return {name_of(equation): cost_of(equation) for equation in jax.make_jaxpr(function)(*given).eqns}


def test_a_product_is_two_operations_for_each_pair() -> None:
    found = costs(lambda a, b: jnp.einsum("bij,bjk->bik", a, b), (2, 3, 5), (2, 5, 7))["dot_general"]
    assert found.flop == found.main == 2 * 2 * 3 * 5 * 7
    assert found.bytes == 4 * (2 * 3 * 5 + 2 * 5 * 7 + 2 * 3 * 7)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_counts_its_window(groups: int) -> None:
    def run(x: Any, kernel: Any) -> Any:
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=numbers, feature_group_count=groups
        )

    found = costs(run, (1, 8, 8, 4), (3, 3, 4 // groups, 6))["conv_general_dilated"]
    assert found.main == 2 * 8 * 8 * 6 * 3 * 3 * 4 // groups


def test_moving_numbers_is_free_and_a_function_is_one_each() -> None:
    found = costs(lambda x: jnp.exp(x.T).sum(), (4, 5))
    assert found["transpose"].flop == 0
    assert found["exp"].flop == found["reduce_sum"].flop == 20
    assert found["exp"].main == 0


def test_a_table_is_read_as_far_as_it_is_picked_from() -> None:
    def run(x: Any) -> Any:
        return jax.lax.slice(x, (0, 0), (2, 8))

    assert costs(run, (1000, 8))["slice"].bytes == 2 * 4 * 16


def test_a_loop_counts_its_rounds_and_says_what_it_is_made_of() -> None:
    def run(x: Any) -> Any:
        return jax.lax.scan(lambda carry, _: (jnp.sin(carry), None), x, None, length=7)[0]

    found = costs(run, (3,))["scan"]
    assert found.flop == 7 * 3
    assert found.inside == {"sin": 1}
    assert found.open_loops == 0


def test_a_loop_of_unknown_length_is_told() -> None:
    def run(x: Any) -> Any:
        return jax.lax.while_loop(lambda y: y.sum() < 10, lambda y: y + 1, x)

    assert costs(run, (3,))["while"].open_loops == 1
