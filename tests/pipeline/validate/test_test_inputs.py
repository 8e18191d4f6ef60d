"""Inputs of a family that makes none of its own: photographs and seeded numbers, as each input says."""

import numpy as np
import pytest

from lwmport.pipeline.validate.test_inputs import TestInputs, UsualInputs, numbers, pictures
from lwmport.types import Component, Kind, Normalisation, Preprocessing, Signature, TensorSpec

PICTURE = TensorSpec(name="x", shape=("batch", 8, 12, 3), dtype="float32", kind=Kind.PICTURE, layout="NHWC")
TOKENS = TensorSpec(
    name="ids", shape=("batch", "length"), dtype="int64", kind=Kind.INDICES, value_range=(3, 5)
)  # fmt: skip
STATES = TensorSpec(name="states", shape=("batch", "length + 2", 4), dtype="float16")


def component(*inputs: TensorSpec) -> Component:
    return Component(
        name="c", family="nobody's", signature=Signature(inputs=inputs, outputs=()), weights={}, config={}, apply=dict
    )


def test_pictures_have_the_size_and_the_layout_of_the_input() -> None:
    wide = pictures(PICTURE, range(2))
    turned = TensorSpec(name="x", shape=("batch", 3, 8, 12), dtype="float32", kind=Kind.PICTURE, layout="NCHW")
    assert wide.shape == (2, 8, 12, 3)
    assert np.array_equal(pictures(turned, range(2)), wide.transpose(0, 3, 1, 2))
    assert (wide.min() >= -1, wide.max() <= 1) == (True, True)


def test_pictures_that_are_not_square_keep_their_size_when_all_photographs_are_used_up() -> None:
    found = pictures(PICTURE, range(4, 20))
    assert found.shape == (16, 8, 12, 3)
    assert not np.array_equal(found[0], found[6])


def test_one_channel_is_the_mean_of_all() -> None:
    grey = TensorSpec(name="x", shape=(1, 8, 8, 1), dtype="float32", kind=Kind.PICTURE)
    colour = TensorSpec(name="x", shape=(1, 8, 8, 3), dtype="float32", kind=Kind.PICTURE)
    mean = pictures(colour, range(1)).mean(axis=-1, keepdims=True)
    np.testing.assert_allclose(pictures(grey, range(1)), mean, atol=1e-6)


def test_a_mean_and_a_deviation_decide_in_place_of_the_range() -> None:
    how = Normalisation(mean=(0.5, 0.5, 0.5), deviation=(0.5, 0.25, 0.5))
    plain, found = pictures(PICTURE, range(1)), pictures(PICTURE, range(1), Preprocessing(normalisation=how))
    np.testing.assert_allclose(found, plain * np.asarray([1, 2, 1], np.float32), atol=1e-6)


def test_numbers_keep_dtype_range_and_sizes() -> None:
    random = np.random.default_rng(0)
    tokens, states = numbers(TOKENS, 2, random), numbers(STATES, 2, random)
    assert (tokens.shape, tokens.dtype.name) == ((2, 7), "int64")
    assert set(np.unique(tokens)) == {3, 4, 5}
    assert (states.shape, states.dtype.name) == ((2, 9, 4), "float16")
    assert numbers(TensorSpec(name="m", shape=(40,), dtype="bool"), 1, random).dtype.name == "bool"
    bounded = numbers(TensorSpec(name="b", shape=(40,), dtype="float32", value_range=(2, 3)), 1, random)
    assert (bounded.min() >= 2, bounded.max() <= 3) == (True, True)


@pytest.mark.parametrize(
    ("inputs", "described", "titles"),
    [
        ((PICTURE,), "photographs: cat, rocket", 2),
        ((TOKENS,), "seeded numbers (seed 21)", 0),
        ((PICTURE, TOKENS), "photographs: cat, rocket and seeded numbers (seed 21)", 2),
    ],
)
def test_inputs_say_what_they_are(inputs: tuple[TensorSpec, ...], described: str, titles: int) -> None:
    found = UsualInputs({}).make(component(*inputs), 2, 1, "")
    assert (found.description, len(found.titles)) == (described, titles)
    assert list(found.inputs) == [spec.name for spec in inputs]


def test_each_number_gives_other_inputs_and_the_same_number_the_same() -> None:
    maker = TestInputs(component(TOKENS, STATES), None)
    assert maker.cases == ("",)
    first, second, again = (maker.make(2, number).inputs for number in (0, 1, 0))
    assert np.array_equal(first["states"], again["states"])
    assert not np.array_equal(first["states"], second["states"])
