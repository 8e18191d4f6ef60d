"""What the pieces of an ONNX model keep in memory."""

import gc
import weakref
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lwmport.runtime.pieces import onnx as pieces
from lwmport.types import Array, TensorSpec

COUNT, SIZE = 6, 1000


def test_constants_that_were_asked_for_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A diagnosis asks for every weight of a shape: those of all layers of a 7B are 4 GB."""
    monkeypatch.setattr(pieces, "KEPT_BYTES", 2 * SIZE * 4)
    names = [f"w{number}" for number in range(COUNT)]
    nodes = [helper.make_node("Add", [f"x{number}", name], [f"x{number + 1}"]) for number, name in enumerate(names)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [SIZE]) for name in ("x0", f"x{COUNT}")]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]), ir_version=onnx.IR_VERSION_2023_5_5)
    given: list[weakref.ref[Array]] = []

    def read(name: str) -> Array:
        value = np.full(SIZE, names.index(name), np.float32)
        given.append(weakref.ref(value))
        return value

    constants = {name: TensorSpec(name=name, shape=(SIZE,), dtype="float32") for name in names}
    opened = pieces.OnnxPieces(model, constants, read, 1)
    for name in names:
        assert opened.constant(name)[0] == names.index(name)
    gc.collect()
    assert sum(one() is not None for one in given) == 2
    opened.constant(names[-1])
    assert len(given) == COUNT
    opened.close()


def test_an_operator_that_asks_for_the_sizes_of_its_constants_runs_alone(tmp_path: Path) -> None:
    held = {
        "rows": np.full((8, 16), 0x98, np.uint8),
        "scales": np.ones((8, 1), np.float32),
        "zeros": np.full((8, 1), 0x08, np.uint8),
    }
    rows = helper.make_node(
        "GatherBlockQuantized",
        ["rows", "ids", "scales", "zeros"],
        ["y"],
        domain="com.microsoft",
        bits=4,
        block_size=32,
        gather_axis=0,
        quantize_axis=1,
    )
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [2])
    ends = [ids], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(
        [rows], "g", *ends, [numpy_helper.from_array(value, name) for name, value in held.items()]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")
    opened = pieces.open_onnx(tmp_path / "m.onnx", 1)
    found = opened.run([0], {"ids": np.array([1, 3])}, ["y"])["y"]
    np.testing.assert_array_equal(found, np.tile(np.float32([0, 1]), (2, 16)))
    opened.close()
