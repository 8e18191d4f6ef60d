"""Every dtype of ONNX has one name, and ONNX Runtime's values of each go there and back."""

import ml_dtypes
import numpy as np
import onnx
import pytest

from lwmport.onnx_dtypes import DTYPES, KINDS, NUMBERS
from lwmport.runtime.runners import onnxruntime_values
from lwmport.types import dtype_of


def test_the_table_is_that_of_onnx() -> None:
    assert set(DTYPES) == {number for name, number in onnx.TensorProto.DataType.items() if name != "UNDEFINED"}
    for number, name in DTYPES.items():
        if name not in {"string", "bfloat16"}:
            assert onnx.helper.tensor_dtype_to_np_dtype(number) == dtype_of(name), name
    assert KINDS["tensor(float8e4m3fn)"] == "float8_e4m3fn"
    assert NUMBERS["int8"] == onnx.TensorProto.INT8


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4", "int2", "uint2"])
def test_values_that_numpy_has_not_go_there_and_back(name: str) -> None:
    limits = ml_dtypes.iinfo(name) if "int" in name else None
    numbers = np.arange(limits.min, limits.max + 1) if limits else np.arange(-3, 4)
    array = numbers[:3].astype(dtype_of(name)).reshape(1, 3)
    back = onnxruntime_values._array(onnxruntime_values._value(array))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back.astype(np.float32), array.astype(np.float32))
