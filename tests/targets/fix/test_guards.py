"""What looks for a mask goes with it; rows that mean nothing are left out of a proof, and no others."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from rule_cases import FLOAT, INT64, model, node, value

from lwmport.runtime.registry import open_runner
from lwmport.targets.fix.mending import Mended, mend
from lwmport.targets.preflight import Conditions

LOW = float(np.finfo(np.float32).min)
BOOL = onnx.TensorProto.BOOL
SHAPES = {"q": [1, 2, 4, 8], "k": [1, 2, 8, 4], "v": [1, 2, 4, 8], "m": [4, 4]}

MASKED = [node("Where", "m nothing low", "bias"), node("MatMul", "q k", "s"), node("Add", "s bias", "t")]
WEIGHTS = [node("Softmax", "t", "p", axis=-1)]
PLAIN = [*MASKED, *WEIGHTS, node("MatMul", "p v", "y")]
SHIELDED = [node("Where", "hidden nothing p", "safe"), node("MatMul", "safe v", "y")]
GUARDS = {
    "equal": [node("ReduceMax", "bias", "top", axes=[-1], keepdims=1), node("Equal", "top low2", "hidden")],
    "behind a sum": [node("ReduceMax", "t", "top", axes=[-1], keepdims=1), node("Equal", "top low2", "hidden")],
    "below": [node("ReduceMax", "bias", "top", axes=[-1], keepdims=1), node("Less", "top far", "hidden")],
    "infinite": [node("ReduceMax", "bias", "top", axes=[-1], keepdims=1), node("IsInf", "top", "hidden")],
    "no number": [node("IsNaN", "p", "hidden")],
}
NOT_FOLLOWED = [
    *MASKED,
    *WEIGHTS,
    node("MatMul", "p v", "made"),
    node("IsNaN", "made", "hidden"),
    node("Where", "hidden nothing made", "y"),
]


def attention(nodes: list[onnx.NodeProto], folder: Path, low: float = -np.inf) -> Path:
    inputs = [value(name, shape, BOOL if name == "m" else FLOAT) for name, shape in SHAPES.items()]
    constants = {
        name: np.float32(number) for name, number in {"low": low, "low2": low, "far": -1e30, "nothing": 0}.items()
    }
    used = {name for item in nodes for name in item.input}
    constants = {name: array for name, array in constants.items() if name in used}
    path = folder / "model.onnx"
    onnx.save(model(nodes, inputs, constants=constants), path)
    return path


def mended(nodes: list[onnx.NodeProto], folder: Path, low: float = -np.inf) -> tuple[Path, Mended]:
    source = attention(nodes, folder, low)
    return source, mend(source, folder / "out" / "fixed.onnx", Conditions(target="ascend"))


def outputs(path: Path, mask: Any) -> Any:
    random = np.random.default_rng(1)
    feed = {name: random.uniform(-1, 1, shape).astype(np.float32) for name, shape in SHAPES.items() if name != "m"}
    return open_runner(path).run({**feed, "m": mask})["y"]


def half_hidden() -> Any:
    mask = np.tri(4, dtype=bool)
    mask[1] = False
    return mask


@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_still_finds_rows_that_are_masked_whole(guard: str, tmp_path: Path) -> None:
    source, found = mended([*MASKED, *WEIGHTS, *GUARDS[guard], *SHIELDED], tmp_path)
    assert "clipped 1 constants beyond float16 to 10000" in found.notes, found.notes
    before, after = outputs(source, half_hidden()), outputs(found.path, half_hidden())
    assert not before[..., 1, :].any()
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_a_mask_stays_where_its_guard_cannot_go_with_it(tmp_path: Path) -> None:
    """Rows of 0 would become the mean of the values: they mean something, so they are compared."""
    source, found = mended(NOT_FOLLOWED, tmp_path)
    assert any(note.startswith("left 1 mask as it is") for note in found.notes), found.notes
    assert found.condition == ""
    before, after = outputs(source, half_hidden()), outputs(found.path, half_hidden())
    assert not before[..., 1, :].any()
    np.testing.assert_allclose(after, before, atol=1e-6)


@pytest.mark.parametrize("low", [-np.inf, LOW])
def test_rows_that_mean_nothing_are_left_out(low: float, tmp_path: Path) -> None:
    """A row without a shown entry is NaN, or the mean of the values; the others are the same."""
    source, found = mended(PLAIN, tmp_path, low)
    assert "clipped 1 constants beyond float16 to 10000" in found.notes, found.notes
    shown = [0, 2, 3]
    before, after = outputs(source, half_hidden()), outputs(found.path, half_hidden())
    np.testing.assert_allclose(after[..., shown, :], before[..., shown, :], atol=1e-6)


def test_two_masks_are_softened(tmp_path: Path) -> None:
    """Padding and a causal mask: a row that both hide means nothing."""
    nodes = [
        node("Cast", "m", "shown", to=FLOAT),
        node("Sub", "one shown", "hidden"),
        node("Mul", "hidden low", "padding"),
        node("Add", "padding causal", "both"),
        node("Add", "x both", "t"),
        node("Softmax", "t", "y", axis=-1),
    ]
    causal = np.triu(np.full((8, 8), LOW, np.float32), 1)[None, None]
    constants = {"one": np.float32(1), "low": np.float32(LOW), "causal": causal}
    path = tmp_path / "model.onnx"
    onnx.save(model(nodes, [value("x", [1, 2, 8, 8]), value("m", [1, 1, 1, 8], INT64)], constants=constants), path)
    found = mend(path, tmp_path / "out" / "fixed.onnx", Conditions(target="ascend"))
    assert "clipped 2 constants beyond float16 to 10000" in found.notes
    mask = np.asarray([0, 0, 1, 1, 1, 1, 0, 0])[None, None, None]
    x = np.random.default_rng(2).uniform(-1, 1, (1, 2, 8, 8)).astype(np.float32)
    before, after = (open_runner(one).run({"x": x, "m": mask})["y"] for one in (path, found.path))
    np.testing.assert_allclose(after[..., 2:, :], before[..., 2:, :], atol=1e-6)


def test_a_pad_of_a_mask_is_a_mask_and_one_of_a_picture_a_bound(tmp_path: Path) -> None:
    """One constant that is both becomes two."""
    pads = np.asarray([0, 0, 0, 0, 0, 0, 1, 1], np.int64)
    nodes = [
        node("Where", "m x low", "t"),
        node("Softmax", "t", "p", axis=-1),
        node("Pad", "x pads low", "wide"),
        node("MaxPool", "wide", "pooled", kernel_shape=[2, 2]),
        node("Add", "p pooled", "y"),
    ]
    inputs = [value("x", [1, 2, 4, 4]), value("m", [4, 4], BOOL)]
    path = tmp_path / "model.onnx"
    onnx.save(model(nodes, inputs, constants={"low": np.float32(-np.inf), "pads": pads}), path)
    found = mend(path, tmp_path / "out" / "fixed.onnx", Conditions(target="ascend"))
    tensors = {item.name: onnx.numpy_helper.to_array(item) for item in onnx.load(found.path).graph.initializer}
    numbers = sorted(float(array) for array in tensors.values() if array.dtype == np.float32)
    assert numbers == [-65504.0, -10000.0]
