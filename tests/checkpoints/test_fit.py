"""One message says all that is wrong."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lwmport.checkpoints.fit import fit
from lwmport.errors import CheckpointError
from lwmport.types import WeightSpec


def wanted(**shapes: tuple[int, ...]) -> dict[str, WeightSpec]:
    return {name.replace("__", "/"): WeightSpec(shape=shape, dtype="float32") for name, shape in shapes.items()}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn])
def test_any_floating_dtype_fits(dtype: Any, in_memory: Callable[..., Any]) -> None:
    fit(in_memory({"a": np.zeros((2, 3), dtype)}), wanted(a=(2, 3)), "the model")


def test_everything_wrong_is_in_one_line(in_memory: Callable[..., Any]) -> None:
    weights = in_memory(
        {
            "encoder/Conv_0/kernal": np.zeros((3, 3)),
            "old": np.zeros(1),
            "a": np.zeros((2, 3)),
            "b": np.zeros(4, np.int32),
            "right": np.zeros(1),
        },
    )
    model = wanted(encoder__Conv_0__kernel=(3, 3), other=(5,), a=(3, 2), b=(4,), right=(1,))
    with pytest.raises(CheckpointError) as error:
        fit(weights, model, "the VQGAN")
    assert str(error.value) == (
        "expected the 5 tensors of the VQGAN, found in a test's arrays: "
        "2 missing: encoder/Conv_0/kernel (3, 3) (is it encoder/Conv_0/kernal?), other (5,); "
        "2 not wanted: encoder/Conv_0/kernal, old; "
        "1 of another shape: a expected (3, 2) found (2, 3); "
        "1 of another dtype: b expected float32 found int32"
    )


def test_a_transposed_kernel_does_not_fit(in_memory: Callable[..., Any]) -> None:
    with pytest.raises(CheckpointError, match=r"k expected \(2, 3\) found \(3, 2\)"):
        fit(in_memory({"k": np.zeros((3, 2), np.float32)}), wanted(k=(2, 3)), "the model")


def test_another_model_altogether_is_counted_and_cut_at_five(in_memory: Callable[..., Any]) -> None:
    weights = in_memory({f"layers/{i}/weight": np.zeros(1) for i in range(2000)})
    model = wanted(**{f"layers__{i}__kernel": (1,) for i in range(2000)})
    with pytest.raises(CheckpointError, match=r"2000 missing: .* and 1,995 more; 2000 not wanted: .*") as error:
        fit(weights, model, "the model")
    assert len(str(error.value)) < 500


def test_every_missing_tensor_of_a_few_layers_is_named(in_memory: Callable[..., Any]) -> None:
    model = wanted(**{f"layers__{i}__kernel": (1,) for i in range(40)})
    with pytest.raises(CheckpointError) as error:
        fit(in_memory({}), model, "the model")
    assert all(name in str(error.value) for name in model)
