"""Giving an ONNX model made by others the signature that ours have: names, order, dtypes, names of dynamic sizes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from lwmport.errors import LoweringError


def impose(model: Any, signature: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Order inputs and outputs of a model as the signature does, and write its shapes there.

    ``signature`` maps ``inputs`` and ``outputs`` to lists of ``{"name", "shape", "dtype"}``.

    Raises:
        LoweringError: names or dtypes differ, which no reordering can mend.
    """
    for side, values in (("inputs", model.graph.input), ("outputs", model.graph.output)):
        found = {value.name: value for value in values}
        expected = signature[side]
        _check(side, expected, found)
        ordered = [_typed(spec) for spec in expected]
        del values[:]
        values.extend(ordered)
    # Shapes inside were inferred with other names of dynamic sizes; every reader infers them again.
    del model.graph.value_info[:]


def _check(side: str, expected: Sequence[Mapping[str, Any]], found: Mapping[str, Any]) -> None:
    wanted = {spec["name"]: _element_type(spec) for spec in expected}
    have = {name: value.type.tensor_type.elem_type for name, value in found.items()}
    if wanted != have:
        raise LoweringError(f"expected tf2onnx to keep the {side} {_listed(wanted)}, found {_listed(have)}")


def _listed(types: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {onnx.TensorProto.DataType.Name(kind).lower()}" for name, kind in sorted(types.items()))


def _typed(spec: Mapping[str, Any]) -> Any:
    return onnx.helper.make_tensor_value_info(spec["name"], _element_type(spec), list(spec["shape"]))


def _element_type(spec: Mapping[str, Any]) -> int:
    return int(onnx.helper.np_dtype_to_tensor_dtype(np.dtype(spec["dtype"])))
