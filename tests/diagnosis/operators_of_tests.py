"""Right operators of every format with drawn inputs, for faults to be planted in."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.table import compute

Random = np.random.Generator


def side(kind: str, attributes: Mapping[str, Any], *inputs: tuple[str, Any]) -> Side:
    """Return an operator; an input whose name begins with ``=`` is a constant."""
    return Side(
        type=kind,
        attributes=attributes,
        inputs=tuple(value for _, value in inputs),
        names=tuple(name.removeprefix("=") for name, _ in inputs),
        constant=tuple(name.startswith("=") for name, _ in inputs),
    )


def drawn(random: Random, *shape: int) -> Any:
    return random.standard_normal(shape).astype(np.float32)


def conv(random: Random) -> Side:
    settings = {"strides": [1, 1], "pads": [1, 1, 1, 1], "dilations": [1, 1], "group": 1, "kernel_shape": [3, 3]}
    return side(
        "Conv",
        settings,
        ("x", drawn(random, 1, 16, 10, 12)),
        ("=a/kernel", drawn(random, 16, 16, 3, 3)),
        ("=a/bias", drawn(random, 16)),
    )


def downsample(random: Random) -> Side:
    settings = {"strides": [2, 2], "pads": [0, 0, 1, 1], "dilations": [1, 1], "group": 1, "kernel_shape": [3, 3]}
    return side(
        "Conv",
        settings,
        ("x", drawn(random, 1, 8, 12, 12)),
        ("=a/kernel", drawn(random, 16, 8, 3, 3)),
        ("=a/bias", drawn(random, 16)),
    )


def matmul(random: Random) -> Side:
    return side("MatMul", {}, ("x", drawn(random, 1, 20, 32)), ("=wo/kernel", drawn(random, 32, 32)))


def projection(random: Random) -> Side:
    return side("MatMul", {}, ("x", drawn(random, 1, 20, 32)), ("=attention/wq/kernel", drawn(random, 32, 32)))


def long_matmul(random: Random) -> Side:
    """Return a product with so many rows that its kernel can be solved for."""
    return side("MatMul", {}, ("x", drawn(random, 1, 90, 32)), ("=wv/kernel", drawn(random, 32, 32)))


def scores(random: Random) -> Side:
    return side("MatMul", {}, ("q", drawn(random, 1, 2, 16, 16)), ("k", drawn(random, 1, 2, 16, 16)))


def gemm(random: Random) -> Side:
    return side(
        "Gemm",
        {"transB": 1},
        ("x", drawn(random, 20, 32)),
        ("=fc.weight", drawn(random, 32, 32)),
        ("=fc.bias", drawn(random, 32)),
    )


def layer_norm(random: Random) -> Side:
    settings = {"axis": -1, "epsilon": 1e-5}
    return side(
        "LayerNormalization",
        settings,
        ("x", drawn(random, 2, 24, 24) * 0.05),
        ("=n/scale", 1 + 0.3 * drawn(random, 24)),
        ("=n/bias", drawn(random, 24)),
    )


def vision_norm(random: Random) -> Side:
    settings = {"axis": -1, "epsilon": 1e-5}
    return side(
        "LayerNormalization",
        settings,
        ("x", drawn(random, 2, 24, 32)),
        ("=ln_vision.weight", 1 + 0.3 * drawn(random, 32)),
        ("=ln_vision.bias", drawn(random, 32)),
    )


def rms_norm(random: Random) -> Side:
    x = drawn(random, 2, 16, 24) * np.exp(drawn(random, 2, 16, 1) - 5).astype(np.float32)
    return side(
        "SimplifiedLayerNormalization",
        {"axis": -1, "epsilon": 1e-6},
        ("x", x),
        ("=n/kernel", 1 + 0.3 * drawn(random, 24)),
    )


def skip_rms_norm(random: Random) -> Side:
    x, skip = (drawn(random, 2, 16, 24) * np.exp(drawn(random, 2, 16, 1) - 5).astype(np.float32) for _ in range(2))
    return side(
        "com.microsoft::SkipSimplifiedLayerNormalization",
        {"epsilon": 1e-6},
        ("x", x),
        ("skip", skip),
        ("=n/kernel", 1 + 0.3 * drawn(random, 24)),
    )


def group_norm(random: Random) -> Side:
    gamma, beta = 1 + 0.3 * drawn(random, 64, 1, 1), drawn(random, 64, 1, 1)
    x = drawn(random, 1, 64, 6, 6) * np.exp(drawn(random, 1, 64, 1, 1) - 4).astype(np.float32)
    return side("lwmport::GroupNorm32", {"epsilon": 1e-6}, ("x", x), ("=g/scale", gamma), ("=g/bias", beta))


def rotary(random: Random) -> Side:
    cos, sin = tables(64, 16)
    places = np.arange(20, dtype=np.int64)[None]
    settings = {"interleaved": 1}
    return side(
        "com.microsoft::RotaryEmbedding",
        settings,
        ("x", drawn(random, 1, 20, 64)),
        ("positions", places),
        ("=cos", cos),
        ("=sin", sin),
    )


def tables(count: int, half: int) -> tuple[Any, Any]:
    angles = np.outer(np.arange(count), 10000.0 ** -(np.arange(half) / half))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def table(random: Random) -> Side:
    rows = np.concatenate(tables(4096, 16), axis=1)
    places = np.sort(random.integers(2049, 4096, (1, 30))) | 1
    return side("Gather", {"axis": 0}, ("=table", rows), ("positions", places))


def embedding(random: Random) -> Side:
    return side(
        "Gather", {"axis": 0}, ("=wte/embedding", drawn(random, 40, 16)), ("ids", random.integers(0, 40, (2, 60)))
    )


def softmax(random: Random) -> Side:
    return side("Softmax", {"axis": -1}, ("x", drawn(random, 1, 2, 12, 12)))


def gelu(random: Random) -> Side:
    return side("Gelu", {"approximate": "none"}, ("x", drawn(random, 4, 40)))


def sigmoid(random: Random) -> Side:
    return side("Sigmoid", {}, ("x", drawn(random, 4, 40)))


def subtraction(random: Random) -> Side:
    return side("Sub", {}, ("a", drawn(random, 4, 40)), ("b", drawn(random, 4, 40)))


def addition(random: Random) -> Side:
    return side("Add", {}, ("a", drawn(random, 4, 40)), ("b", drawn(random, 4, 40)))


def maximum(random: Random) -> Side:
    return side("Max", {}, ("a", drawn(random, 4, 40)), ("b", drawn(random, 4, 40)))


def bias_add(random: Random) -> Side:
    return side("Add", {}, ("x", drawn(random, 4, 40)), ("=fc/bias", drawn(random, 40)))


def mean(random: Random) -> Side:
    return side("ReduceMean", {"keepdims": 1}, ("x", drawn(random, 6, 6, 6)), ("=axes", np.array([-1])))


def epsilon_add(random: Random) -> Side:
    return side("Add", {}, ("x", np.abs(drawn(random, 6, 6)) * 1e-5), ("=epsilon", np.float32(1e-6)))


def division(random: Random) -> Side:
    return side("Div", {}, ("x", np.abs(drawn(random, 6, 6))), ("=count", np.float32(63)))


def mask_add(random: Random) -> Side:
    mask = np.where(np.tri(12), 0, -3e38).astype(np.float32)
    return side("Add", {}, ("x", drawn(random, 1, 2, 12, 12)), ("=mask", mask[None, None]))


def resize(random: Random) -> Side:
    settings = {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"}
    return side(
        "Resize",
        settings,
        ("x", drawn(random, 1, 4, 9, 9)),
        ("", None),
        ("=scales", np.array([1, 1, 1.5, 1.5], np.float32)),
    )


def argmin(random: Random) -> Side:
    return side("ArgMin", {"axis": 1, "keepdims": 0}, ("distances", drawn(random, 30, 30)))


def average_pool(random: Random) -> Side:
    settings = {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1], "count_include_pad": 0}
    return side("AveragePool", settings, ("x", drawn(random, 1, 4, 8, 8)))


def pad(random: Random) -> Side:
    return side(
        "Pad", {"mode": "constant"}, ("x", drawn(random, 1, 4, 8, 8)), ("=pads", np.array([0, 0, 0, 0, 0, 0, 1, 1]))
    )


def transpose(random: Random) -> Side:
    return side("Transpose", {"perm": [0, 2, 1, 3]}, ("x", drawn(random, 1, 8, 8, 8)))


def concat(random: Random) -> Side:
    return side("Concat", {"axis": -1}, ("a", drawn(random, 2, 8)), ("b", drawn(random, 2, 8)))


def cast(random: Random) -> Side:
    return side("Cast", {"to": 1}, ("x", drawn(random, 4, 40)))


def cast_positions(random: Random) -> Side:
    return side("Cast", {"to": 1}, ("positions", np.sort(random.integers(2048, 9000, (1, 64)))))


def tflite_conv(random: Random) -> Side:
    settings = {"padding": "SAME", "stride_h": 1, "stride_w": 1, "dilation_h_factor": 1, "dilation_w_factor": 1}
    return side(
        "CONV_2D",
        settings,
        ("x", drawn(random, 1, 10, 12, 16)),
        ("=a/kernel", drawn(random, 16, 3, 3, 16)),
        ("=a/bias", drawn(random, 16)),
    )


def tflite_dense(random: Random) -> Side:
    settings = {"fused_activation_function": "NONE"}
    return side(
        "FULLY_CONNECTED",
        settings,
        ("x", drawn(random, 1, 20, 32)),
        ("=w1/kernel", drawn(random, 32, 32)),
        ("=w1/bias", drawn(random, 32)),
    )


def tflite_turn(random: Random) -> Side:
    """Return the matrix that turns pairs by a quarter."""
    turn = np.zeros((16, 16), np.float32)
    turn[np.arange(0, 16, 2), np.arange(1, 16, 2)], turn[np.arange(1, 16, 2), np.arange(0, 16, 2)] = -1, 1
    return side("FULLY_CONNECTED", {}, ("x", drawn(random, 1, 20, 16)), ("=turn", turn))


def tflite_resize(random: Random) -> Side:
    settings = {"align_corners": False, "half_pixel_centers": True}
    return side("RESIZE_NEAREST_NEIGHBOR", settings, ("x", drawn(random, 1, 9, 9, 4)), ("=size", np.array([14, 14])))


def tflite_mean(random: Random) -> Side:
    return side("MEAN", {"keep_dims": True}, ("x", drawn(random, 6, 6, 6)), ("=axes", np.array([2])))


def tensorflow_conv(random: Random) -> Side:
    settings = {"padding": b"SAME", "strides": [1, 1, 1, 1], "dilations": [1, 1, 1, 1], "data_format": b"NHWC"}
    return side("Conv2D", settings, ("x", drawn(random, 1, 10, 12, 16)), ("=a/kernel", drawn(random, 3, 3, 16, 16)))


OPERATORS: Mapping[str, Callable[[Random], Side]] = {
    one.__name__: one
    for one in (
        *(
            conv,
            downsample,
            matmul,
            long_matmul,
            projection,
            scores,
            gemm,
            layer_norm,
            vision_norm,
            rms_norm,
            skip_rms_norm,
        ),
        *(group_norm, rotary, table, embedding, softmax, gelu, sigmoid, subtraction, addition, maximum, bias_add),
        *(mean, epsilon_add, division, mask_add, resize, argmin, average_pool, pad, transpose, concat, cast),
        *(cast_positions, tflite_conv, tflite_dense, tflite_turn, tflite_resize, tflite_mean, tensorflow_conv),
    )
}
AROUND: Mapping[str, tuple[str, ...]] = {
    "mean": ("Pow", "ReduceMean", "Add"),
    "tflite_mean": ("MUL", "MEAN", "ADD", "RSQRT"),
    "epsilon_add": ("ReduceMean", "Add", "Sqrt"),
}
"""Operators whose part in a norm is seen by those around them."""


def evidence(name: str, right: Side, wrong: Side, *, seen: bool = True, **more: Any) -> Evidence:
    """Return what is known where one operator stands in for another, both computed in float32."""
    with np.errstate(all="ignore"):
        reference, observed = (compute(one) for one in (right, wrong))
    assert reference is not None, right.type
    assert observed is not None, wrong.type
    formats = {"tflite": "tflite", "tensorflow": "saved_model"}
    return Evidence(
        format=formats.get(name.partition("_")[0], "onnx"),
        expected=right,
        found=wrong if seen else None,
        reference=stored(reference),
        observed=stored(observed),
        rounding=float(np.finfo(np.float32).eps) * 4,
        expected_around=AROUND.get(name, ()),
        **more,
    )


def stored(values: Any) -> Any:
    with np.errstate(over="ignore"):
        return values.astype(np.float32) if values.dtype.kind == "f" else values
