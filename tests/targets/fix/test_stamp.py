"""A mended model is known by its stamp, and only as it was written."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lwmport.targets.fix import stamp


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tensor = onnx.numpy_helper.from_array(np.ones(4, np.float32), "w")
    inputs, outputs = ([helper.make_tensor_value_info(name, TensorProto.FLOAT, [4])] for name in ("x", "y"))
    node = helper.make_node("Add", ["x", "w"], ["y"])
    made = helper.make_model(helper.make_graph([node], "g", inputs, outputs, [tensor]))
    made.metadata_props.add(key="theirs", value="kept")
    onnx.save(made, str(tmp_path / "m.onnx"))
    (tmp_path / "m.onnx.data").write_bytes(b"data")
    return tmp_path / "m.onnx"


def test_a_stamped_model_is_ours_with_its_data(model: Path) -> None:
    assert stamp.owned(model) == ()
    stamp.put(model)
    assert set(stamp.owned(model)) == {"m.onnx", "m.onnx.data"}
    assert onnx.load(str(model)).metadata_props[0].value == "kept"
    first = model.read_bytes()
    stamp.put(model)
    assert model.read_bytes() == first


def test_one_that_was_changed_is_the_users(model: Path) -> None:
    stamp.put(model)
    whole = model.read_bytes()
    changed = onnx.load(str(model))
    changed.graph.node[0].op_type = "Sub"
    onnx.save(changed, str(model))
    assert stamp.owned(model) == ()
    model.write_bytes(whole)
    (model.parent / "m.onnx.data").write_bytes(b"other")
    assert stamp.owned(model) == ()
    (model.parent / "m.onnx.data").unlink()
    assert stamp.owned(model) == ()


@pytest.mark.parametrize("content", [b"", b"no model", b"\xff" * 100])
def test_what_is_no_model_is_the_users(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    assert stamp.owned(tmp_path / "m.onnx") == ()
    assert stamp.owned(tmp_path / "none.onnx") == ()
    (tmp_path / "link.onnx").symlink_to(tmp_path / "m.onnx")
    assert stamp.owned(tmp_path / "link.onnx") == ()
