"""The runner refuses what does not fit in one line, and says what XNNPACK left out."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.errors import RunnerError
from lwmport.runtime.runners.litert import undelegated

X = np.ones((2, 3), np.float32)

WRONG = {
    "another name": ({"y": X}, "expected the inputs x0, found y"),
    "another shape": ({"x0": X[:, :2]}, r"expected x0 as float32\[2, 3\], found float32\[2, 2\]"),
    "another batch": ({"x0": X[:1]}, r"expected x0 as float32\[2, 3\], found float32\[1, 3\]"),
    "another dtype": ({"x0": X.astype(np.int32)}, r"expected x0 as float32\[2, 3\], found int32\[2, 3\]"),
    "too many": ({"x0": X, "x1": X}, "expected the inputs x0, found x0, x1"),
}


@pytest.mark.parametrize(("inputs", "message"), WRONG.values(), ids=WRONG)
def test_inputs_that_do_not_fit_are_refused(inputs: Any, message: str, lower: Callable[..., Any]) -> None:
    with pytest.raises(RunnerError, match=message):
        lower(jnp.exp, X).runner.run(inputs)


def test_outputs_are_copies(lower: Callable[..., Any]) -> None:
    runner = lower(jnp.exp, X).runner
    first = runner.run({"x0": X})["y0"]
    runner.run({"x0": X * 2})
    np.testing.assert_allclose(first, np.exp(X), rtol=1e-5)


def test_what_xnnpack_leaves_is_named_in_order(lower: Callable[..., Any]) -> None:
    def mixed(x: Any) -> Any:
        places = jnp.argmin(jnp.exp(x) * 2, axis=1)
        return jnp.exp(jnp.cumsum(x, axis=1)) * 3, places

    assert sorted(lower(mixed, X).runner.undelegated) == ["ARG_MIN", "CUMSUM"]


def test_a_part_is_what_lies_between_its_inputs_and_outputs() -> None:
    def node(index: int, name: str, inputs: list[int], outputs: list[int]) -> dict[str, Any]:
        return {"index": index, "op_name": name, "inputs": inputs, "outputs": outputs}

    nodes = [
        node(0, "EXP", [0], [1]),
        node(1, "GATHER", [1, 9], [2]),
        node(2, "MUL", [2, 1], [3]),
        node(3, "DELEGATE", [0], [1]),
        node(4, "DELEGATE", [2, 1], [3]),
    ]
    assert undelegated(nodes) == ("GATHER",)
    assert undelegated(nodes[:3]) == ("EXP", "GATHER", "MUL")
