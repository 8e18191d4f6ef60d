"""Faults of every kind, each planted where it makes sense; a fault gives back the wrong operator, or None."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from operators_of_tests import Random, drawn, tables

from lwmport.diagnosis.evidence import Side
from lwmport.diagnosis.reading import plain, with_input, with_inputs, with_setting, with_type

KERNELS = {"Conv", "MatMul", "Gemm", "CONV_2D", "FULLY_CONNECTED", "Conv2D"}


def kernel_of(side: Side) -> Any:
    is_kernel = side.type in KERNELS and len(side.inputs) > 1 and side.constant[1] and side.names[1] != "turn"
    return side.inputs[1] if is_kernel else None


def changed(side: Side, change: Callable[[Any], Any]) -> Iterator[Side]:
    kernel = kernel_of(side)
    if kernel is not None:
        new = change(kernel)
        if new is not None:
            yield with_input(1, new.astype(np.float32))(side)


def bias_places(side: Side) -> list[int]:
    return [at for at, name in enumerate(side.names) if "bias" in name and "ln_vision" not in name]


def biased(side: Side, factor: float) -> Iterator[Side]:
    for place in bias_places(side):
        yield with_input(place, side.inputs[place] * np.float32(factor))(side)


def transposed_kernel(side: Side, _: Random) -> Iterator[Side]:
    kernel = kernel_of(side)
    for one in range(0 if kernel is None else kernel.ndim):
        for other in range(one + 1, kernel.ndim):
            if kernel.shape[one] == kernel.shape[other]:
                yield with_input(1, kernel.swapaxes(one, other))(side)


def missing_bias(side: Side, _: Random) -> Iterator[Side]:
    yield from biased(side, 0)
    if side.type in {"Conv", "Gemm"}:
        yield with_input(2, None)(side)


def doubled_bias(side: Side, _: Random) -> Iterator[Side]:
    yield from biased(side, 2)


def scaled_weights(side: Side, _: Random) -> Iterator[Side]:
    yield from biased(side, 0.5)
    yield from biased(side, -1)
    for factor in (0.5, 0.9, 1.1, 2, -1):
        yield from changed(side, lambda old, by=factor: old * by)


def zeroed_weights(side: Side, random: Random) -> Iterator[Side]:
    yield from changed(side, np.zeros_like)
    hidden = random.random(64)
    yield from changed(side, lambda old: old * (np.resize(hidden, old.shape) < 0.7))


def wrong_epsilon(side: Side, _: Random) -> Iterator[Side]:
    if "epsilon" in side.attributes:
        for factor in (2, 10, 0.1, 37):
            yield with_setting("epsilon", side.attributes["epsilon"] * factor)(side)
    if "epsilon" in side.names:
        yield with_input(1, np.float32(2e-6))(side)


def swapped_rotary_halves(side: Side, _: Random) -> Iterator[Side]:
    if "RotaryEmbedding" in side.type:
        yield with_setting("interleaved", 0)(side)
        yield with_input(3, -side.inputs[3])(side)
    if "turn" in side.names:
        yield with_input(1, -side.inputs[1])(side)
        rows = np.arange(16).reshape(8, 2).T.ravel()
        yield with_input(1, side.inputs[1][rows][:, rows])(side)


def unpermuted_query_key(side: Side, _: Random) -> Iterator[Side]:
    if "attention/wq/kernel" in side.names:
        for size in (8, 16, 32):
            order = np.arange(32).reshape(-1, size // 2, 2).swapaxes(1, 2).ravel()
            yield with_input(1, side.inputs[1][:, order])(side)
            yield with_input(1, side.inputs[1][:, np.argsort(order)])(side)


def mask_overflow(side: Side, _: Random) -> Iterator[Side]:
    if "mask" in side.names:
        yield with_input(1, np.where(side.inputs[1] < 0, -np.inf, 0).astype(np.float32))(side)


def half_precision_positions(side: Side, _: Random) -> Iterator[Side]:
    if "table" in side.names:
        rounded = np.arange(4096).astype(np.float16).astype(np.int64).clip(max=4095)
        yield with_input(0, side.inputs[0][rounded])(side)
        steps = 10000.0 ** -(np.arange(16) / 16)
        angles = np.outer(np.arange(4096).astype(np.float16).astype(np.float64), steps)
        yield with_input(0, np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32))(side)
    if side.type == "Cast" and side.names == ("positions",):
        yield with_setting("to", 10)(side)
        yield with_setting("to", 16)(side)


def nearest_rounding(side: Side, _: Random) -> Iterator[Side]:
    if side.type == "Resize":
        yield with_setting("nearest_mode", "ceil")(side)
        yield with_setting("coordinate_transformation_mode", "asymmetric")(side)
    if side.type == "RESIZE_NEAREST_NEIGHBOR":
        yield with_setting("half_pixel_centers", value=False)(side)
        yield with_setting("half_pixel_centers", value=False)(with_setting("align_corners", value=True)(side))


def wrong_padding_side(side: Side, _: Random) -> Iterator[Side]:
    if "pads" in side.attributes:
        begins, ends = np.reshape(side.attributes["pads"], (2, -1))
        pads = [*ends, *begins] if (begins != ends).any() else [*(begins - 1), *(ends + 1)]
        yield with_setting("pads", [int(one) for one in pads])(side)
    if side.type == "Pad":
        yield with_input(1, np.roll(side.inputs[1], 4))(side)


def average_without_padding(side: Side, _: Random) -> Iterator[Side]:
    if side.type == "AveragePool":
        yield with_setting("count_include_pad", 1)(side)


def wrong_norm_axis(side: Side, _: Random) -> Iterator[Side]:
    if side.type == "LayerNormalization" and side.inputs[0].shape[-2] == side.inputs[0].shape[-1]:
        yield with_setting("onlyaxis", value=True)(with_setting("axis", 1)(side))
    if plain(side.type) in {"reducemean", "mean"}:
        for axis in (0, 1):
            yield with_input(1, np.array([axis]))(side)


def biased_variance(side: Side, _: Random) -> Iterator[Side]:
    if "count" in side.names:
        yield with_input(1, np.float32(64))(side)
        yield with_input(1, np.float32(62))(side)


def tanh_gelu(side: Side, _: Random) -> Iterator[Side]:
    if side.type == "Gelu":
        yield with_setting("approximate", "tanh")(side)
        yield with_type("FastGelu")(side)


def clipped_weights(side: Side, _: Random) -> Iterator[Side]:
    yield from changed(side, lambda old: np.clip(old, -old.std(), old.std()))
    yield from changed(side, lambda old: np.clip(old, None, np.quantile(old, 0.95)))
    yield from changed(side, lambda old: np.clip(old, 0, None))


def stale_weights(side: Side, random: Random) -> Iterator[Side]:
    yield from changed(side, lambda old: drawn(random, *old.shape) * old.std() + old.mean())
    for place in bias_places(side):
        yield with_input(place, drawn(random, *side.inputs[place].shape))(side)


def wrong_layout(side: Side, _: Random) -> Iterator[Side]:
    yield from changed(side, lambda old: old.transpose(0, 2, 3, 1).reshape(old.shape) if old.ndim == 4 else None)
    yield from changed(side, lambda old: old.transpose(3, 2, 0, 1).reshape(old.shape) if old.ndim == 4 else None)


def untrained_ln_vision(side: Side, _: Random) -> Iterator[Side]:
    if "ln_vision.weight" in side.names:
        _, gamma, beta = side.inputs
        yield with_input(1, np.ones_like(gamma))(with_input(2, np.zeros_like(beta))(side))
        yield with_input(1, np.ones_like(gamma))(side)
        yield with_input(2, np.zeros_like(beta))(side)


def swapped_inputs(side: Side, _: Random) -> Iterator[Side]:
    if side.type == "Sub" or side.names == ("q", "k"):
        yield with_inputs(side.inputs[::-1])(side)
    if "RotaryEmbedding" in side.type:
        yield with_inputs((*side.inputs[:2], side.inputs[3], side.inputs[2]))(side)


def wrong_operator(side: Side, _: Random) -> Iterator[Side]:
    others = {
        "Sub": ("Add", "Mul"),
        "Add": ("Sub", "Mul"),
        "Max": ("Min",),
        "Sigmoid": ("Tanh", "Relu"),
        "Gelu": ("Relu",),
    }
    more = {"ReduceMean": ("ReduceSum", "ReduceMax"), "ArgMin": ("ArgMax",), "MEAN": ("SUM",)}
    for other in {**others, **more}.get(side.type, ()):
        if "epsilon" not in side.names and "mask" not in side.names:
            yield with_type(other)(side)


def wrong_attribute(side: Side, _: Random) -> Iterator[Side]:
    if side.type == "Softmax":
        yield with_setting("axis", -2)(side)
    if side.type == "ArgMin":
        yield with_setting("axis", 0)(side)
    if side.type == "Transpose":
        yield with_setting("perm", [0, 3, 2, 1])(side)
        yield with_setting("perm", [0, 2, 3, 1])(side)
    if side.type == "Conv" and side.attributes["strides"] == [1, 1]:
        yield with_setting("dilations", [2, 2])(with_setting("pads", [2, 2, 2, 2])(side))
    if side.type == "Gemm":
        yield with_setting("alpha", 0.5)(side)


def wrong_wiring(side: Side, random: Random) -> Iterator[Side]:
    for place, value in enumerate(side.inputs):
        if value is not None and not side.constant[place] and value.dtype == np.float32:
            names = (*side.names[:place], "other", *side.names[place + 1 :])
            yield replace(with_input(place, drawn(random, *value.shape) * value.std())(side), names=names)


def wrong_order(side: Side, random: Random) -> Iterator[Side]:
    yield from changed(side, lambda old: old[::-1])
    yield from changed(side, lambda old: np.flip(old, -1))
    yield from changed(side, lambda old: np.concatenate([old[1:2], old[:1], old[2:]]))
    yield from changed(side, lambda old: old[random.permutation(len(old))])
    if "wte/embedding" in side.names:
        yield with_input(0, np.roll(side.inputs[0], 1, 0))(side)
    if side.type == "Concat":
        yield with_inputs(side.inputs[::-1])(side)


def wrong_dtype(side: Side, _: Random) -> Iterator[Side]:
    if side.type == "Cast" and side.names == ("x",):
        yield with_setting("to", 10)(side)
        yield with_setting("to", 16)(side)
    elif side.names[0] == "x" and side.inputs[0].dtype == np.float32:
        half = side.inputs[0].astype(np.float16).astype(np.float32)
        yield replace(with_input(0, half)(side), names=("x/narrow", *side.names[1:]))


def rounded_weights(side: Side, _: Random) -> Iterator[Side]:
    yield from changed(side, lambda old: old.astype(np.float16))
    for levels in (7, 127):
        yield from changed(
            side, lambda old, most=levels: np.round(old / np.abs(old).max() * most) * np.abs(old).max() / most
        )


FAULTS: Mapping[str, Callable[[Side, Random], Iterator[Side]]] = {
    one.__name__.replace("_", "-"): one
    for one in (
        *(transposed_kernel, missing_bias, doubled_bias, scaled_weights, zeroed_weights, wrong_epsilon),
        *(swapped_rotary_halves, unpermuted_query_key, mask_overflow, half_precision_positions, nearest_rounding),
        *(wrong_padding_side, average_without_padding, wrong_norm_axis, biased_variance, tanh_gelu, clipped_weights),
        *(stale_weights, wrong_layout, untrained_ln_vision, swapped_inputs, wrong_operator, wrong_attribute),
        *(wrong_wiring, wrong_order, wrong_dtype, rounded_weights),
    )
}
__all__ = ["FAULTS", "tables"]
