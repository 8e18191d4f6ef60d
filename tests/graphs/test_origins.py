"""Where the values of a program come from: its weights and the values that an operation takes."""

import jax
import jax.numpy as jnp
import numpy as np

from lwmport.graphs.origins import origins


def test_an_operation_names_the_weights_and_the_values_that_it_takes() -> None:
    def model(weight: jax.Array, x: jax.Array) -> jax.Array:
        return jnp.exp(x @ weight.T) + 1.5

    closed = jax.make_jaxpr(model)(np.ones((3, 2), np.float32), np.ones((4, 2), np.float32))
    found = {origin.label: origin for origin in origins(closed, ["w"], ["x"]).values()}
    assert found["x"].number == 0
    assert found["transpose"].alone
    assert found["transpose"].weights == ("w",)
    assert found["dot_general"].weights == ("w",)
    assert found["dot_general"].operands == (0,)
    assert not found["dot_general"].alone
    assert found["exp"].operands == (found["dot_general"].number,)
    assert found["add"].literals == (1.5,)
