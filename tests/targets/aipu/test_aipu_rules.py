"""The verdict on a model for Zhouyi is that of Compass's parser, run on each of these or on one of the suite like it.

What it refuses stands beside what it takes and reads wrongly: cubic pixels as linear ones, axes that are computed as
the first, a window of attention as none, and weights that are computed as numbers of its own making.
"""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from rule_cases import BOOL, FLOAT, INT32, INT64, Build, built, model, node, one, value, windowed, with_weights

from lwmport.targets.preflight import Conditions, check
from lwmport.types import Status

INT4, INT8, UINT8 = (getattr(onnx.TensorProto, name) for name in ("INT4", "INT8", "UINT8"))
INTEGERS = [value("x", [4], INT8)]
RNG = np.random.default_rng(0)
PICTURE = [1, 4, 8, 8]


def weights(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def operands(op: str, shape: list[int], *others: tuple[str, Any], computed: str = "", **attributes: Any) -> Build:
    """Return one node of x and some other operands, constants all but one."""
    known = {name: np.asarray(array) for name, array in others if name != computed}
    types = {np.dtype("int64"): INT64, np.dtype("bool"): BOOL}
    asked = [(name, np.asarray(array)) for name, array in others if name == computed]
    inputs = [
        value("x", shape),
        *(value(name, list(array.shape), types.get(array.dtype, FLOAT)) for name, array in asked),
    ]
    return one(op, "x", *(name for name, _ in others), inputs=inputs, constants=known, **attributes)


def recurrent(op: str, gates: int, *, peepholes: bool = False, computed: str = "") -> Build:
    sizes = [("w", weights(1, gates * 4, 5)), ("r", weights(1, gates * 4, 4))]
    more = [("-", 0.0)] * 4 + [("p", weights(1, 12))] if peepholes else []
    known = dict([*sizes, *more])
    known.pop("-", None)
    inputs = [value("x", [3, 1, 5]), *(value(name, list(known.pop(name).shape)) for name in [computed] if name)]
    words = [name for name, _ in (*sizes, *more)]
    return one(op, "x", *words, inputs=inputs, constants=known, opset=14, hidden_size=4)


def dropout(*, training: bool | None = None) -> Build:
    known: dict[str, Any] = {"ratio": np.float32(0.5)}
    if training is not None:
        known["training"] = np.asarray(training)
    return one("Dropout", "x", *known, constants=known)


def bits(*, constant: bool) -> Build:
    other = {"constants": {"c": np.ones(2, np.int32)}} if constant else {}
    inputs = [value("x", [2], INT32), *([] if constant else [value("c", [2], INT32)])]
    return one("BitwiseAnd", "x", "c", inputs=inputs, outputs=[value("y", [2], INT32)], opset=18, **other)


def resized(mode: str, scales: list[float], shape: list[int]) -> Build:
    return one(
        "Resize", "x", "-", "s", constants={"s": np.asarray(scales, np.float32)}, inputs=[value("x", shape)], mode=mode
    )


def sequence() -> onnx.ModelProto:
    nodes = [node("SequenceConstruct", "x x", "s"), node("SequenceAt", "s i", "y")]
    return model(nodes, [value("x", [2]), value("i", [], INT64)], [value("y", [2])])


def multiplied(opset: int) -> Build:
    return built(model([node("Relu", "x", "t"), node("Mul", "x t", "y")], opset=opset))


TAKEN: dict[str, Build] = {
    "weights that are constants": with_weights(computed=False),
    "a recurrent network": recurrent("LSTM", 4),
    "a Dropout that does nothing": dropout(),
    "a Dropout that is not training": dropout(training=False),
    "bits of two values": bits(constant=False),
    "a resize of rows and columns": resized("linear", [1, 1, 2, 2], PICTURE),
    "a resize of one axis": resized("linear", [1, 1, 2], [1, 4, 8]),
    "a reshape to a constant": operands("Reshape", [2, 4], ("s", np.asarray([8]))),
    "computed ends of a slice, of a known size": built(
        lambda: model(
            [node("Slice", "x z e", "y")],
            [value("x", [4]), value("e", [1], INT64)],
            [value("y", [2])],
            {"z": np.asarray([0])},
        )
    ),
    "attention of the newest version that is known": windowed(),
    "a product since opset 7": multiplied(7),
    "a slope of fewer axes that is constant": operands("PRelu", [2, 3], ("s", weights(3))),
    "a computed slope of as many axes": operands("PRelu", [2, 3], ("s", weights(2, 3)), computed="s"),
    "a rest of fractions by fmod": operands("Mod", [3], ("d", weights(3)), computed="d", fmod=1),
}
REFUSED: dict[str, Build] = {
    "weights that are computed": with_weights(computed=True),
    "weights of a recurrent network that are computed": recurrent("LSTM", 4, computed="w"),
    "weights of a GRU that are computed": recurrent("GRU", 3, computed="r"),
    "peepholes": recurrent("LSTM", 4, peepholes=True),
    "a Dropout that is training": dropout(training=True),
    "a Dropout with a computed ratio": operands("Dropout", [2], ("r", np.float32(0.5)), computed="r"),
    "bits of a constant": bits(constant=True),
    "cubic pixels": resized("cubic", [1, 1, 2, 2], PICTURE),
    "a resize of channels": resized("nearest", [1, 2, 1, 1], PICTURE),
    "a reshape to a computed shape": operands("Reshape", [2, 4], ("s", np.asarray([8])), computed="s"),
    "pads that are computed": operands("Pad", [2, 2], ("p", np.asarray([0, 1, 0, 1])), computed="p"),
    "repeats that are computed": operands("Tile", [2, 2], ("r", np.asarray([2, 2])), computed="r"),
    "axes that are computed": operands("ReduceSum", [2, 2], ("a", np.asarray([1])), computed="a"),
    "an axis that is computed": operands("CumSum", [2, 2], ("a", np.asarray(0)), computed="a"),
    "a condition that is computed": operands("Compress", [2], ("c", np.asarray([True, False])), computed="c"),
    "a scale of a norm that is computed": operands(
        "InstanceNormalization", PICTURE, ("s", weights(4)), ("b", weights(4)), computed="s"
    ),
    "statistics that are computed": operands(
        "BatchNormalization", PICTURE, *((name, weights(4)) for name in "sbmv"), computed="m"
    ),
    "quantised while it runs": one(
        "DynamicQuantizeLinear", outputs=[value("y", [1, 4, 8, 8], UINT8)], inputs=[value("x", PICTURE)]
    ),
    "a sequence": built(sequence),
    "a cast to int4": one("Cast", to=INT4, outputs=[value("y", None, INT4)], opset=21),
    "a window of attention": windowed(left_window_size=2),
    "a product before opset 7": multiplied(6),
    "a scale and a zero point of other shapes": one(
        "DequantizeLinear", "x", "s", "z", constants={"s": np.float32(1), "z": np.zeros(1, np.int8)}, inputs=INTEGERS
    ),
    "the largest of one": one("Max"),
    "a computed slope of fewer axes": operands("PRelu", [2, 3], ("s", weights(3)), computed="s"),
    "a rest of fractions without fmod": operands("Mod", [3], ("d", weights(3)), computed="d"),
    "bounds of opset 11 that are computed": built(
        lambda: model([node("Clip", "x low", "y")], [value("x", [2]), value("low", [])], [value("y", [2])], opset=11)
    ),
    "a size": one("Size", outputs=[value("y", [], INT64)]),
}


def errors_in(path: Path) -> list[str]:
    found = check(path, Conditions(target="aipu"))
    errors = [f"{finding.rule} {finding.found}" for finding in found.findings if finding.severity == "error"]
    assert bool(errors) == (found.status is Status.FAILED)
    return errors


@pytest.mark.parametrize("name", TAKEN)
def test_what_the_parser_takes_passes(name: str, tmp_path: Path) -> None:
    assert errors_in(TAKEN[name](tmp_path)) == []


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_parser_refuses_or_reads_wrongly_fails(name: str, tmp_path: Path) -> None:
    assert errors_in(REFUSED[name](tmp_path))
