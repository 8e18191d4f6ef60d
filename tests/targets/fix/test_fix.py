"""``--fix`` mends what it says it does, proves that the numbers stayed, and writes nothing when they did not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from rule_cases import (
    CASES,
    FLOAT,
    HALF,
    INT32,
    INT64,
    Build,
    built,
    group_norm,
    model,
    names_of,
    node,
    one,
    resize,
    value,
)

from lwmport import memory
from lwmport.errors import PortError, RunnerError, UsageError
from lwmport.runtime.registry import open_runner
from lwmport.targets.fix import folding, mending, proof
from lwmport.targets.fix.draft import Draft
from lwmport.targets.fix.mending import mend
from lwmport.targets.fix.proof import EACH, Proof, compare, prove
from lwmport.targets.graphs.onnx_file import read
from lwmport.targets.preflight import Conditions, check
from lwmport.types import Preflight, Status
from lwmport.validators.relative import peak_error

RANDOM = np.random.default_rng(5)


def rules(found: Preflight) -> set[str]:
    return {finding.rule for finding in found.findings}


def random(*shape: int) -> Any:
    return RANDOM.standard_normal(shape).astype(np.float32)


def scored(low: float, size: int) -> Build:
    """Return a softmax of masked scores; the mask has as many rows as asked for, and lies inside the model."""
    mask = np.triu(np.full((size, size), low, np.float32), 1)
    nodes = [node("Add", "x mask", "t"), node("Softmax", "t", "y", axis=-1)]
    return built(model(nodes, [value("x", [size, size])], constants={"mask": mask}))


def embedded() -> Build:
    """Return a table and token ids of int64, with arithmetic on the ids."""
    nodes = [node("Sub", "ids one", "t"), node("Max", "t zero", "i"), node("Gather", "w i", "y", axis=0)]
    constants = {"w": random(9, 3), "one": np.asarray(1, np.int64), "zero": np.asarray(0, np.int64)}
    return built(model(nodes, [value("ids", [1, 5], INT64)], constants=constants))


def reshaped(*, allowzero: int) -> Build:
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Concat", "n rest", "target", axis=0),
        node("Reshape", "x target", "y", allowzero=allowzero),
    ]
    constants = {"zero": np.asarray([0], np.int64), "rest": np.asarray([-1], np.int64)}
    return built(model(nodes, constants=constants, opset=21))


def norm_and_gelu(opset: int) -> Build:
    nodes = [
        node("LayerNormalization", "x scale bias", "t", axis=-1),
        node("Gelu", "t", "u"),
        node("HardSwish", "u", "v"),
        node("ReduceMean", "v axes", "w", keepdims=1),
        node("Add", "v w", "y"),
    ]
    constants = {"scale": random(8), "bias": random(8), "axes": np.asarray([1], np.int64)}
    return built(model(nodes, constants=constants, opset=opset))


def of_opset_23() -> Build:
    nodes = [node("RMSNormalization", "x scale", "t", axis=-1, epsilon=1e-5), node("Swish", "t", "y")]
    return built(model(nodes, constants={"scale": random(8)}, opset=24))


def heads() -> Build:
    """Return ONNX's own attention and rotary embedding: [batch, heads, length, size]."""
    nodes = [
        node("RotaryEmbedding", "x cos sin", "q"),
        node("Attention", "q q x", "y", is_causal=1),
    ]
    constants = {"cos": np.cos(random(1, 8, 4)), "sin": np.sin(random(1, 8, 4))}
    return built(model(nodes, constants=constants, opset=23))


def split_and_pad() -> Build:
    constants = {"pads": np.asarray([1, 2], np.int64), "axes": np.asarray([3], np.int64)}
    nodes = [
        node("Split", "x", "a b", axis=1, num_outputs=2),
        node("Mul", "a b", "t"),
        node("Pad", "t pads - axes", "u"),
        node("Cast", "u", "v", to=HALF, saturate=1),
        node("Cast", "v", "y", to=FLOAT),
    ]
    return built(model(nodes, constants=constants, opset=21))


MENDED: dict[str, tuple[str, Build, set[str], set[str]]] = {
    "opset": ("ascend", one("Relu", opset=21), {"A01"}, set()),
    "resize": ("ascend", resize("asymmetric"), {"A01", "A12"}, set()),
    "resize by three": ("ascend", resize("asymmetric", scale=3.0), {"A01", "A12"}, set()),
    "group norm, a scale of each group": ("ascend", group_norm(18), {"A03"}, set()),
    "group norm, a scale of each channel": ("ascend", group_norm(21), {"A01", "A03"}, set()),
    "group norm for MIGraphX": ("migraphx", group_norm(18), {"M05"}, set()),
    "norms and activations": ("ascend", norm_and_gelu(20), {"A01", "A03"}, set()),
    "RMS norm and Swish": ("ascend", of_opset_23(), {"A01", "A03"}, set()),
    "RMS norm and Swish for MIGraphX": ("migraphx", of_opset_23(), {"M01", "M02"}, set()),
    "attention": ("ascend", heads(), {"A01", "A03"}, set()),
    "attention for MIGraphX": ("migraphx", heads(), {"M01", "M04"}, set()),
    "split, pad and cast": ("ascend", split_and_pad(), {"A01"}, set()),
    "function": ("ascend", CASES["A04"].bad, {"A02", "A04"}, set()),
    "mask": ("ascend", scored(-np.inf, 4), {"A11"}, set()),
    "large mask": ("ascend", scored(float(np.finfo(np.float32).min), 64), {"A11"}, set()),
    "mask for Zhouyi": ("aipu", scored(-np.inf, 8), {"Z09"}, set()),
    "rows of a table": (
        "aipu",
        one("GatherND", "t", "x", constants={"t": random(8, 4)}, inputs=[value("x", [3, 1], INT64)]),
        {"Z30"},
        set(),
    ),
    "pads of one axis": ("aipu", CASES["Z36"].bad, {"Z36"}, set()),
    "names": ("ascend", CASES["A06"].bad, {"A06"}, set()),
    "a name that CANN gives too": ("ascend", names_of(None, "Relu_0"), {"A06"}, set()),
    "a node named as an input": ("ascend", names_of("x", "other"), {"A06"}, set()),
    "name of an input": ("ascend", CASES["A22"].bad, {"A22"}, set()),
    "indices": ("ascend", CASES["A14"].bad, {"A14"}, set()),
    "arithmetic on ids": ("ascend", embedded(), {"A15"}, set()),
    "double inside": (
        "ascend",
        built(
            lambda: model(
                [
                    node("Cast", "x", "t", to=onnx.TensorProto.DOUBLE),
                    node("Mul", "t c", "u"),
                    node("Cast", "u", "y", to=FLOAT),
                ],
                constants={"c": np.asarray([0.3], np.float64)},
            )
        ),
        {"A16"},
        set(),
    ),
    "computed shape": ("migraphx", reshaped(allowzero=0), {"M01"}, set()),
    "allowzero": ("migraphx", reshaped(allowzero=1), {"M01", "M10"}, set()),
    "unused domain": ("aipu", CASES["Z10"].bad, {"Z10"}, set()),
    "Einsum stays": ("ascend", CASES["A18"].bad, {"A18"}, {"A18"}),
}
"""Name -> target, model, rules that object before, rules of the model that still object after."""


@pytest.mark.parametrize("name", MENDED)
def test_it_mends_and_proves(name: str, tmp_path: Path) -> None:
    target, build, before, after = MENDED[name]
    source = build(tmp_path)
    conditions = Conditions(target=target)
    assert before <= rules(check(source, conditions))
    found = mend(source, tmp_path / "out" / "fixed.onnx", conditions)
    assert found.proof.equal, found.proof.sentence
    assert (before & rules(found.preflight)) == after
    assert rules(check(found.path, conditions)) == rules(found.preflight)
    if not after:
        assert found.preflight.status is Status.PASSED, found.preflight.findings
        assert found.notes
    onnx.checker.check_model(str(found.path))


def test_a_dynamic_batch_is_settled(tmp_path: Path) -> None:
    source = CASES["A10"].bad(tmp_path)
    conditions = Conditions(target="ascend", shapes={"x": (3, 4)})
    found = mend(source, tmp_path / "fixed.onnx", conditions)
    assert [read(found.path).inputs[0].shape, found.preflight.status] == [(3, 4), Status.PASSED]
    with pytest.raises(UsageError, match=r"size of every input .* x\['n', 4\]; give it: --input-shape"):
        mend(source, tmp_path / "other.onnx", Conditions(target="ascend"))
    assert not (tmp_path / "other.onnx").exists()


def test_large_weights_stream_into_one_file_beside_the_model(tmp_path: Path) -> None:
    """All ways to keep a tensor come out as one: inside, outside, and clipped on the way."""
    made = model(
        [node("MatMul", "x w", "t"), node("Add", "t b", "u"), node("Add", "u mask", "v"), node("Softmax", "v", "y")],
        [value("x", [2, 300])],
        constants={"w": random(300, 300), "mask": np.where(random(300, 300) > 1.5, -np.inf, 0).astype(np.float32)[:2]},
        opset=20,
    )
    made.graph.initializer[1].CopyFrom(
        onnx.numpy_helper.from_array(
            np.tile(np.where(np.arange(300) % 7 == 1, -np.inf, 0), (2, 100)).astype(np.float32)[:, :300], "mask"
        )
    )
    bias = made.graph.initializer.add(name="b", data_type=FLOAT, dims=[300], data_location=onnx.TensorProto.EXTERNAL)
    bias.external_data.extend(
        onnx.StringStringEntryProto(key=key, value=text) for key, text in (("offset", "8"), ("location", "own.bin"))
    )
    values = random(300)
    (tmp_path / "own.bin").write_bytes(bytes(8) + values.tobytes())
    source = built(made)(tmp_path)
    found = mend(source, tmp_path / "out" / "fixed.onnx", Conditions(target="ascend"))
    assert [path.name for path in found.files] == ["fixed.onnx", "fixed.onnx.data"]
    after = onnx.load(found.path)
    (bias,) = (tensor for tensor in after.graph.initializer if tensor.name == "b")
    assert np.array_equal(onnx.numpy_helper.to_array(bias), values)
    raw = onnx.load(found.path, load_external_data=False)
    for tensor in raw.graph.initializer:
        assert [entry.key for entry in tensor.external_data][:2] in ([], ["location", "offset"])
    assert found.preflight.status is Status.PASSED


def stored_outside(folder: Path, location: str) -> Path:
    """Return a model whose one weight lies at ``location`` beside it."""
    made = model([node("MatMul", "x w", "y")], [value("x", [2, 300])], constants={"w": random(300, 300)}, opset=20)
    path = folder / "model.onnx"
    onnx.save(made, path, save_as_external_data=True, location=location, size_threshold=0)
    return path


def _soft(folder: Path) -> None:
    (folder / "fixed.onnx.data").symlink_to("weights.bin")


def _hard(folder: Path) -> None:
    (folder / "fixed.onnx.data").hardlink_to(folder / "weights.bin")


def _folder(folder: Path) -> None:
    (folder / "link").symlink_to(".")


OWN: dict[str, tuple[str, Callable[[Path], None] | None, str]] = {
    "the data": ("fixed.onnx.data", None, "fixed.onnx"),
    "a link to the data": ("weights.bin", _soft, "fixed.onnx"),
    "a second name of the data": ("weights.bin", _hard, "fixed.onnx"),
    "the data as a model": ("weights.onnx", None, "weights.onnx"),
    "a linked folder": ("fixed.onnx.data", _folder, "link/fixed.onnx"),
}
"""Name -> where a model keeps its weights, what is linked to it, and --out."""


@pytest.mark.parametrize("name", OWN)
def test_no_file_that_the_model_is_read_from_is_written(name: str, tmp_path: Path) -> None:
    location, prepare, out = OWN[name]
    source = stored_outside(tmp_path, location)
    if prepare is not None:
        prepare(tmp_path)
    held = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(UsageError, match=r"would overwrite .*, which .*model\.onnx reads; nothing was written"):
        mend(source, tmp_path / out, Conditions(target="ascend"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == held


def test_a_model_beside_another_ones_data_is_written(tmp_path: Path) -> None:
    source = stored_outside(tmp_path, "model.onnx.data")
    held = (tmp_path / "model.onnx.data").read_bytes()
    found = mend(source, tmp_path / "fixed.onnx", Conditions(target="ascend"))
    assert [path.name for path in found.files] == ["fixed.onnx", "fixed.onnx.data"]
    assert (tmp_path / "model.onnx.data").read_bytes() == held


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    source = norm_and_gelu(20)(tmp_path)
    for name in ("one", "two"):
        mend(source, tmp_path / name / "fixed.onnx", Conditions(target="ascend"))
    files = [(tmp_path / name / "fixed.onnx").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]


def _scale_a_weight(draft: Draft) -> None:
    for tensor in draft.model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(array * np.float32(1.001), tensor.name))


def _swap_operands(draft: Draft) -> None:
    for item in draft.model.graph.node:
        if item.op_type == "Sub":
            first, second = item.input
            item.input[:] = [second, first]


def _make_nan(draft: Draft) -> None:
    for item in draft.model.graph.node:
        if item.op_type == "Relu":
            item.op_type = "Log"


def _add_a_code(draft: Draft) -> None:
    for tensor in draft.model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.dtype == np.int32:
            tensor.CopyFrom(onnx.numpy_helper.from_array(array + 1, tensor.name))


def _other_shape(draft: Draft) -> None:
    for item in draft.model.graph.node:
        for attribute in item.attribute:
            if attribute.name == "perm":
                attribute.ints[:] = [0, 1, 3, 2]


def _no_output(draft: Draft) -> None:
    del draft.model.graph.output[1:]


SABOTAGE: dict[str, Callable[[Draft], None]] = {
    "a weight scaled by a thousandth": _scale_a_weight,
    "operands swapped": _swap_operands,
    "NaN": _make_nan,
    "indices off by one": _add_a_code,
    "axes swapped": _other_shape,
    "an output dropped": _no_output,
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_a_fix_that_changes_the_numbers_writes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [
        node("Sub", "x w", "s"),
        node("Relu", "s", "r"),
        node("Transpose", "r", "y", perm=[0, 2, 1, 3]),
        node("ArgMax", "r", "i", axis=3, keepdims=0),
        node("Cast", "i", "j", to=INT32),
        node("Add", "j step", "z"),
    ]
    outputs = [value("y", None), value("z", None, INT32)]
    constants = {"w": random(4, 8, 8), "step": np.asarray([0], np.int32)}
    source = built(model(nodes, outputs=outputs, constants=constants))(tmp_path)
    out = tmp_path / "out" / "fixed.onnx"
    mend(source, tmp_path / "right" / "fixed.onnx", Conditions(target="ascend"))
    original = mending.improve

    def broken(draft: Draft, *rest: Any) -> None:
        original(draft, *rest)
        SABOTAGE[name](draft)

    monkeypatch.setattr(mending, "improve", broken)
    with pytest.raises(PortError):
        mend(source, out, Conditions(target="ascend"))
    assert not out.parent.exists()


def test_a_proof_counts_nothing_as_equal_that_is_not() -> None:
    ones = np.ones((2, 3), np.float32)
    assert peak_error(ones, ones) == 0
    assert peak_error(ones, ones + np.float32(1e-3)) == pytest.approx(1e-3, rel=1e-2)
    for other in (ones[:1], ones * np.nan, np.full_like(ones, np.inf)):
        assert peak_error(ones, other) == np.inf
    assert peak_error(np.asarray([1, 2]), np.asarray([1, 3])) == np.inf
    assert peak_error(ones * np.nan, ones * np.nan) == np.inf
    assert not Proof(error=float("nan"), tolerance=1e-4, output="y", runs=1).equal


def padded(size: float, *, place: str = "Add", masked: int = 1) -> Build:
    """Return scores of a size, those of padding hidden by a mask of -inf that is added or put in their place."""
    nodes = [
        node("Mul", "x size", "s"),
        node("Equal", "m zero", "padding"),
        node("Where", "padding low nothing", "mask"),
        node("Add", "s mask", "t") if place == "Add" else node("Where", "padding low s", "t"),
        node("Softmax", "t", "p", axis=-1),
        node("Mul", "p x", "y"),
    ]
    constants = {
        "size": np.asarray(size, np.float32),
        "zero": np.asarray(1 - masked, np.int64),
        "low": np.asarray(-np.inf, np.float32),
        "nothing": np.asarray(0, np.float32),
    }
    return built(model(nodes, [value("x", [32, 12]), value("m", [1, 12], INT64)], constants=constants, opset=17))


def mask_of(path: Path) -> float:
    (low,) = (item for item in onnx.load(path).graph.initializer if item.name == "low")
    return float(onnx.numpy_helper.to_array(low))


@pytest.mark.parametrize("place", ["Add", "Where"])
@pytest.mark.parametrize("size", [1.0, 100.0])
def test_a_softened_mask_hides_the_scores_that_it_met(size: float, place: str, tmp_path: Path) -> None:
    """Of 200 padded inputs none is off, and the condition says how far scores may lie apart."""
    source = padded(size, place=place, masked=1)(tmp_path)
    found = mend(source, tmp_path / "out" / "fixed.onnx", Conditions(target="aipu"))
    low = mask_of(found.path)
    assert low == -50 if size == 1 else -240 < low < -100
    assert f"only while the scores of a row lie within {-low - 20:g} of each other and of 0" in found.sentence
    assert "was measured" in found.condition
    assert [file.name for file in found.path.parent.iterdir()] == ["fixed.onnx"]
    sessions = [open_runner(path) for path in (source, found.path)]
    for seed in range(200):
        generator = np.random.default_rng(seed)
        x = generator.uniform(-1, 1, (32, 12)).astype(np.float32)
        shown = (np.arange(12) < generator.integers(1, 13)).astype(np.int64)[None]
        before, after = (session.run({"x": x, "m": shown})["y"] for session in sessions)
        assert peak_error(before, after) < 1e-4


def test_a_condition_says_at_which_size_masks_fail(tmp_path: Path) -> None:
    found = mend(padded(10.0)(tmp_path), tmp_path / "out" / "fixed.onnx", Conditions(target="aipu"))
    assert "agree up to 1 times the usual size, but not at 10 times" in found.condition
    plain = mend(one("Relu")(tmp_path), tmp_path / "out" / "plain.onnx", Conditions(target="aipu"))
    assert (plain.condition, plain.sentence) == ("", plain.proof.sentence)


def test_scores_that_no_mask_hides_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="no mask that float16 holds hides them; nothing was written"):
        mend(padded(6e4)(tmp_path), tmp_path / "out" / "fixed.onnx", Conditions(target="aipu"))
    assert not (tmp_path / "out").exists()


def test_masks_of_no_softmax_are_said_to_be_unmeasured(tmp_path: Path) -> None:
    """The maximum of what is masked is the same; but nothing says how far its scores may lie apart."""
    nodes = [node("Where", "hidden low x", "t"), node("ReduceMax", "t", "y", axes=[1], keepdims=1)]
    constants = {"hidden": np.arange(8)[None] > 4, "low": np.asarray(-np.inf, np.float32)}
    made = model(nodes, [value("x", [2, 8])], [value("y", [2, 1])], constants=constants, opset=17)
    found = mend(built(made)(tmp_path), tmp_path / "out" / "fixed.onnx", Conditions(target="aipu"))
    assert "their distance could not be measured" in found.condition


def bounded(limit: float = float(np.finfo(np.float32).max), operator: str = "Clip") -> Build:
    """Return values held between two bounds, which stand beside a mask."""
    bounds = {"low": np.asarray(-limit, np.float32), "high": np.asarray(limit, np.float32)}
    words = {"Clip": "x low high", "Min": "x high", "Max": "x low"}[operator]
    nodes = [node(operator, words, "t"), node("Add", "x mask", "s"), node("Softmax", "s", "p"), node("Add", "t p", "y")]
    mask = np.triu(np.full((8, 8), -np.inf, np.float32), 1)
    return built(model(nodes, [value("x", [8, 8])], constants={**bounds, "mask": mask}))


@pytest.mark.parametrize("operator", ["Clip", "Min", "Max"])
@pytest.mark.parametrize("target", ["aipu", "ascend"])
def test_a_bound_is_no_mask(target: str, operator: str, tmp_path: Path) -> None:
    """Bounds let through what they let through before, up to the end of float16; the mask beside them is softened."""
    found = mend(bounded(operator=operator)(tmp_path), tmp_path / "out" / "fixed.onnx", Conditions(target=target))
    assert (found.proof.equal, found.proof.runs) == (True, 10), found.proof.sentence
    graph = read(found.path)
    values = {name: np.unique(np.abs(item.value())) for name, item in graph.constants.items()}
    assert {name: float(array[-1]) for name, array in values.items()} == {
        **{name: 65504.0 for name in ("low", "high") if name in graph.constants},
        "mask": {"aipu": 50.0, "ascend": 1e4}[target],
    }


def _held(nodes: Any, kind: int, constants: dict[str, Any]) -> Callable[[Path, Any], Path]:
    def build(folder: Path, bound: Any) -> Path:
        folder.mkdir()
        made = model(nodes, [value("x", [4, 4], kind)], [value("y", None, kind)], constants={**constants, "b": bound})
        return built(made)(folder)

    return build


BOUNDS: dict[str, tuple[Callable[[Path, Any], Path], Any, Any]] = {
    "floats": (_held([node("Min", "x b", "y")], FLOAT, {}), np.float32(65504), np.float32(50)),
    "integers": (_held([node("Min", "x b", "y")], INT64, {}), np.int64(1 << 20), np.int64(100)),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_inputs_of_extraordinary_size_show_a_bound(name: str, tmp_path: Path) -> None:
    build, wide, narrow = BOUNDS[name]
    before, same, other = (
        read(build(tmp_path / folder, np.asarray(bound)))
        for folder, bound in (("before", wide), ("same", wide), ("other", narrow))
    )
    assert (prove(before, same).equal, prove(before, same).runs) == (True, 3)
    assert not prove(before, other).equal
    assert prove(before, other, wide=False).equal


def test_a_trial_that_the_first_model_cannot_bear_is_left_out(tmp_path: Path) -> None:
    """Indices out of range, numbers that are not finite, sizes that would fill the memory, and chaos."""
    scatter = model(
        [node("ScatterElements", "w x u", "y", axis=0)],
        [value("x", [1, 3], INT64)],
        constants={"w": random(2, 3), "u": random(1, 3)},
    )
    sizes = model(
        [node("Add", "x x", "n"), node("ConstantOfShape", "n", "t"), node("ReduceSum", "t", "y", keepdims=0)],
        [value("x", [1], INT64)],
    )
    makers = {
        "scatter": scatter,
        "overflow": model([node("Exp", "x", "y")]),
        "size": sizes,
        "chaos": model([node("Mul", "x k", "t"), node("Sin", "t", "y")], constants={"k": np.asarray(1e4, np.float32)}),
    }
    for name, made in makers.items():
        (tmp_path / name).mkdir()
        graph = read(built(made)(tmp_path / name))
        assert (prove(graph, graph).equal, prove(graph, graph).runs) == (True, 2), name


def test_a_mask_hides_no_error_elsewhere() -> None:
    scores = random(64, 64)
    masked = np.where(np.triu(np.ones((64, 64)), -20) > 0, np.float32(-1e4), scores)
    wrong = np.where(masked == -1e4, masked, masked * np.float32(1.2))
    assert peak_error(masked, wrong) < 1e-4
    assert not compare({"y": masked}, {"y": wrong}, {"y": "y"}).equal
    near = masked * np.float32(1 + EACH[1] / 1000)
    assert compare({"y": masked}, {"y": near}, {"y": "y"}).equal
    assert "times as far off as allowed" in compare({"y": masked}, {"y": wrong}, {"y": "y"}).sentence


def test_a_model_that_cannot_run_cannot_be_mended(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="ONNX Runtime refused"):
        mend(CASES["A33"].bad(tmp_path), tmp_path / "fixed.onnx", Conditions(target="ascend"))
    with pytest.raises(UsageError, match="expected another file"):
        mend(one("Relu")(tmp_path), tmp_path / "model.onnx", Conditions(target="ascend"))
    with pytest.raises(UsageError, match="expected ONNX files"):
        mend(CASES["Z14"].good(tmp_path), tmp_path / "fixed.onnx", Conditions(target="aipu"))


@pytest.mark.parametrize("op", ["ConstantOfShape", "Expand", "Range", "Tile"])
def test_a_constant_that_would_fill_memory_is_not_computed(op: str, tmp_path: Path) -> None:
    """A few bytes that say 2 to the 40: folding asks for the size before it computes."""
    huge = np.asarray([1 << 40], np.int64)
    operands = {
        "ConstantOfShape": ("s", {"s": huge}),
        "Expand": ("v s", {"s": huge, "v": np.ones(1, np.float32)}),
        "Range": (
            "a b c",
            {name: np.asarray(number, np.int64) for name, number in zip("abc", (0, 1 << 40, 1), strict=True)},
        ),
        "Tile": ("v s", {"s": huge, "v": np.ones(1, np.float32)}),
    }
    inputs, constants = operands[op]
    nodes = [node(op, inputs, "t"), node("Size", "t", "n"), node("Cast", "n", "f", to=FLOAT), node("Mul", "x f", "y")]
    draft = Draft(built(model(nodes, constants=constants))(tmp_path))
    folding.fold(draft)
    assert op in {item.op_type for item in draft.model.graph.node}


ROOM: dict[str, tuple[Any, str]] = {
    "an input": (model([node("Relu", "x", "y")], [value("x", [1, "n"])], [value("y", [1, "n"])]), "x"),
    "a value within": (
        model(
            [node("Transpose", "x", "t", perm=[1, 0]), node("Mul", "x t", "u"), node("ReduceSum", "u", "y")],
            [value("x", [1, "n"])],
            [value("y", [1, 1])],
        ),
        "u",
    ),
}
"""Name -> a model, and the value that is the largest in it."""


@pytest.mark.parametrize("name", ROOM)
def test_trials_that_would_fill_memory_are_not_made(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, largest = ROOM[name]
    source = built(made)(tmp_path)
    conditions = Conditions(target="ascend", shapes={"x": (1, 64)})
    mend(source, tmp_path / "right" / "fixed.onnx", conditions)
    monkeypatch.setattr(memory, "free_bytes", lambda: 2000)
    monkeypatch.setattr(proof, "usual_trials", lambda *_: pytest.fail("an input was made"))
    with pytest.raises(PortError, match=rf"found {largest}\[.*64\]: .* bytes where 2,000 are free; give smaller"):
        mend(source, tmp_path / "out" / "fixed.onnx", conditions)
    assert not (tmp_path / "out").exists()


def test_an_opset_that_cannot_say_it_is_left(tmp_path: Path) -> None:
    """Nodes whose meaning changed, or that are new and have no definition, keep the model where it is."""
    made = model(
        [node("TensorScatter", "x u i", "y")],
        [value("x", [1, 2, 8, 4]), value("u", [1, 2, 1, 4]), value("i", [1], INT64)],
        opset=24,
    )
    from lwmport.targets.fix.opsets import lower

    draft = Draft(built(made)(tmp_path))
    lower(draft, 17)
    assert draft.opset == 24
    assert "TensorScatter cannot be said at 17" in draft.notes[-1]


def test_bodies_are_mended_too(tmp_path: Path) -> None:
    inside = helper.make_graph([node("Swish", "x", "inner", None)], "body", [], [value("inner", [2])])
    outer = node("If", "flag", "y", then_branch=inside, else_branch=inside)
    made = model([outer], [value("x", [2]), value("flag", [], onnx.TensorProto.BOOL)], opset=24)
    found = mend(built(made)(tmp_path), tmp_path / "fixed.onnx", Conditions(target="ascend"))
    assert found.preflight.status is Status.PASSED, found.preflight.findings


def test_a_body_returns_nothing_from_outside(tmp_path: Path) -> None:
    """ONNX Runtime refuses a body that does: the Identity before its output is no needless one."""
    bodies = [
        helper.make_graph([node(op, "x", "inner", None)], "body", [], [value("inner", [2])])
        for op in ("Identity", "Relu")
    ]
    outer = node("If", "flag", "y", then_branch=bodies[0], else_branch=bodies[1])
    made = model([outer], [value("x", [2]), value("flag", [], onnx.TensorProto.BOOL)], opset=20)
    assert mend(built(made)(tmp_path), tmp_path / "fixed.onnx", Conditions(target="ascend")).proof.equal


def test_bodies_within_bodies_are_brought_down_too(tmp_path: Path) -> None:
    made = [node("ReduceMax", "x axes", "m", None, keepdims=1), node("Add", "x m", "innermost", None)]
    innermost = helper.make_graph(made, "innermost", [], [value("innermost", [2])])
    within = node("If", "flag", "inner", then_branch=innermost, else_branch=innermost)
    inner = helper.make_graph([within], "inner", [], [value("inner", [2])])
    outer = node("If", "flag", "y", then_branch=inner, else_branch=inner)
    inputs = [value("x", [2]), value("flag", [], onnx.TensorProto.BOOL)]
    whole = model([outer], inputs, constants={"axes": np.asarray([0], np.int64)}, opset=20)
    found = mend(built(whole)(tmp_path), tmp_path / "fixed.onnx", Conditions(target="ascend"))
    assert read(found.path).opset == 17
    assert {len(item.inputs) for item in read(found.path).nodes if item.op == "ReduceMax"} == {1}


def test_what_is_no_number_before_and_after_hides_nothing(tmp_path: Path) -> None:
    before = np.asarray([np.nan, 1.0, -np.inf, 2.0], np.float32)
    assert peak_error(before, before.copy()) == 0
    assert peak_error(before, np.asarray([np.nan, 1.0, np.inf, 2.0], np.float32)) == np.inf
    assert peak_error(before, np.asarray([0.0, 1.0, -np.inf, 2.0], np.float32)) == np.inf
    assert peak_error(before, np.asarray([np.nan, 1.0, -np.inf, 2.1], np.float32)) > 1e-2
    roots = built(model([node("Sqrt", "x", "y", "same"), node("Abs", "x", "z", "same")], outputs=[value("y", None)]))
    found = mend(roots(tmp_path), tmp_path / "out.onnx", Conditions(target="ascend"))
    assert found.preflight.status is Status.PASSED


def test_inputs_of_float64_stay_what_a_caller_gives(tmp_path: Path) -> None:
    source = CASES["A16"].bad(tmp_path)
    found = mend(source, tmp_path / "out.onnx", Conditions(target="ascend"))
    assert {finding.rule for finding in found.preflight.findings} >= {"A16"}


def test_texts_are_no_random_numbers(tmp_path: Path) -> None:
    texts = [value("x", [1], onnx.TensorProto.STRING)]
    source = built(model([node("Identity", "x", "y")], texts, [value("y", [1], onnx.TensorProto.STRING)]))(tmp_path)
    with pytest.raises(UsageError, match="found x of string"):
        mend(source, tmp_path / "out.onnx", Conditions(target="ascend"))


@pytest.mark.parametrize(("precision", "kept"), [("float16", 65504.0), ("float32", 1e6), ("bfloat16", 1e6)])
def test_bounds_stay_where_float16_is_not_computed_in(precision: str, kept: float, tmp_path: Path) -> None:
    source = bounded(1e6)(tmp_path)
    conditions = Conditions(target="ascend", precision=precision)
    found = mend(source, tmp_path / "out.onnx", conditions)
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in onnx.load(found.path).graph.initializer}
    assert constants["high"] == kept
    assert np.isinf(constants["mask"]).any() == (kept == 1e6)
