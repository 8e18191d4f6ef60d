"""Pictures that are drawn, and which inputs look like one."""

import numpy as np
import pytest

from lwmport.types import Kind, TensorSpec
from lwmport.validators.drawn import as_picture, drawn, layout_of_picture


@pytest.mark.parametrize(
    ("shape", "dtype", "layout"),
    [
        ((1, 3, 224, 224), "float32", "NCHW"),
        ((1, 224, 224, 3), "float32", "NHWC"),
        (("n", 3, "h", "w"), "float32", "NCHW"),
        ((1, 1, 28, 28), "float16", "NCHW"),
        ((1, 32, 32, 3), "uint8", "NHWC"),
        ((1, 3, 8, 8), "float32", ""),
        ((1, 64, 56, 56), "float32", ""),
        ((1, 3, 224, 224), "int64", ""),
        ((3, 224, 224), "float32", ""),
    ],
)
def test_a_shape_tells_a_picture(shape: tuple[int | str, ...], dtype: str, layout: str) -> None:
    assert layout_of_picture(shape, dtype) == layout
    spec = as_picture(TensorSpec(name="x", shape=shape, dtype=dtype))
    assert (spec.kind is Kind.PICTURE, spec.layout) == (bool(layout), layout)


def test_drawings_are_pictures_the_same_each_time_and_no_noise() -> None:
    found = drawn(2, (48, 64), 3)
    assert found.shape == (2, 48, 64, 3)
    assert found.dtype == np.float32
    assert (found.min() >= 0, found.max() <= 255) == (True, True)
    assert np.array_equal(found, drawn(2, (48, 64), 3))
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found, drawn(2, (48, 64), 3, seed=1))
    noise = np.random.default_rng(0).uniform(0, 255, found.shape)
    steps = [np.abs(np.diff(one, axis=1)).mean() / one.std() for one in (found, noise)]
    assert steps[0] < steps[1] / 3, "neighbours are alike"
