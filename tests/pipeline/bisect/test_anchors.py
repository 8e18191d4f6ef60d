"""A tap of JAX is found in another order of axes, and not where its numbers differ."""

import numpy as np
import pytest

from lwmport.pipeline.bisect.anchors import Anchors, layers_of, print_of

VALUE = np.random.default_rng(1).normal(size=(2, 3, 4, 5)).astype(np.float32)


def anchors() -> Anchors:
    made = {"layer/0": print_of(VALUE), "layer/1": print_of(VALUE * 2)}
    return Anchors({name: one for name, one in made.items() if one is not None}, ["layer/0", "layer/1"])


def test_order_of_axes_and_rounding_do_not_matter() -> None:
    found = anchors()
    found.see("a", VALUE.transpose(0, 3, 1, 2).astype(np.float16))
    found.see("b", (2 * VALUE).reshape(-1))
    assert found.found == {"a": "layer/0", "b": "layer/1"}
    assert found.missing == ()


def test_other_numbers_are_another_value() -> None:
    found = anchors()
    found.see("a", VALUE + 1)
    found.see("b", VALUE[..., :4])
    assert found.found == {}
    assert found.missing == ("layer/0", "layer/1")


@pytest.mark.parametrize("value", [np.ones(4, np.float32), np.array([np.nan, 1.0]), np.arange(9), np.zeros(1)])
def test_what_says_too_little_has_no_print(value: np.ndarray) -> None:
    assert print_of(value) is None


def test_what_lies_in_front_of_the_end_of_a_layer_belongs_to_it() -> None:
    found = anchors()
    found.restore({"b": "layer/0", "d": "layer/1"})
    assert layers_of("abcde", found) == {"a": "layer/0", "b": "layer/0", "c": "layer/1", "d": "layer/1"}
