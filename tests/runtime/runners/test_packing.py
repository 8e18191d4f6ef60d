"""A session packs its weights with all threads; everything else opens a file as it did, in less memory."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from lwmport.runtime.runners.onnxruntime import SIDE_BY_SIDE, open_model
from lwmport.runtime.spec import RunnerContext


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a product with a weight."""
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 8]) for name in ("x", "y")]
    weight = numpy_helper.from_array(np.arange(64, dtype=np.float32).reshape(8, 8), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "product", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.save(model, tmp_path / "product.onnx")
    return tmp_path / "product.onnx"


@pytest.mark.parametrize("session", [True, False])
def test_only_a_session_packs_weights_side_by_side(path: Path, *, session: bool) -> None:
    runner = open_model(path, RunnerContext(threads=2, session=session))
    assert _set(runner.session.get_session_options()) is session
    runner.close()


def _set(options: Any) -> bool:
    try:
        return bool(options.get_session_config_entry(SIDE_BY_SIDE) == "1")
    except RuntimeError:  # what ONNX Runtime says of an entry that nobody set
        return False
