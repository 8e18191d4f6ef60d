"""The forms that a composite can take in plain TensorFlow operators. A dialect names those that it prefers."""

from collections.abc import Mapping
from math import sqrt
from typing import Any, Final

from lwmport.converters.saved_model import cache
from lwmport.converters.saved_model.emitter import Emitter, Rule
from lwmport.graphs.atoms import composite_attributes


def channel_means(e: Emitter, equation: Any) -> None:
    """Emit group normalisation as means of each channel, means of those over a group, one factor and one offset.

    The large array is read in two sums and one multiplication and addition; it is never reshaped to five axes. All is
    float32: the sum of 65,536 squares overflows float16.
    """
    dtype = str(equation.outvars[0].aval.dtype)
    x, scale, bias = (e.cast(e.read(atom), "float32") for atom in equation.invars)
    given, channels = composite_attributes(equation), equation.invars[0].aval.shape[-1]
    groups = (given["groups"], channels // given["groups"])
    mean = _group_mean(e, x, groups)
    spread = e.ops.Sub(x=_group_mean(e, e.ops.Square(x=x), groups), y=e.ops.Square(x=mean))
    variance = e.ops.Maximum(x=spread, y=e.constant(0, x.dtype))
    root = e.ops.Rsqrt(x=e.ops.AddV2(x=variance, y=e.constant(given["epsilon"], x.dtype)))
    factor = e.ops.Mul(x=root, y=e.reshape(scale, groups))
    offset = e.ops.Sub(x=e.reshape(bias, groups), y=e.ops.Mul(x=mean, y=factor))
    factor, offset = (e.reshape(value, ["batch", 1, 1, channels]) for value in (factor, offset))
    e.bind_only(equation, e.cast(e.ops.AddV2(x=e.ops.Mul(x=x, y=factor), y=offset), dtype))


def _group_mean(e: Emitter, x: Any, groups: tuple[int, int]) -> Any:
    """Return the mean [b, groups, 1] of x [b, h, w, c] over height, width and the channels of a group."""
    of_channel = e.ops.Mean(input=x, axis=e.ints([1, 2]), keep_dims=False)
    grouped = e.reshape(of_channel, ["batch", *groups])
    return e.ops.Mean(input=grouped, axis=e.ints([2]), keep_dims=True)


def sigmoid_times(e: Emitter, equation: Any) -> None:
    """Emit Sigmoid and Mul."""
    x = e.read(equation.invars[0])
    e.bind_only(equation, e.ops.Mul(x=x, y=e.ops.Sigmoid(x=x)))


def softmax(e: Emitter, equation: Any) -> None:
    """Emit Softmax, whose axis is the last."""
    e.bind_only(equation, e.ops.Softmax(logits=e.read(equation.invars[0])))


def mean_of_squares(e: Emitter, equation: Any) -> None:
    """Emit x * Rsqrt(Mean(Square(x)) + epsilon) * scale, in float32 but for the last factor."""
    (x, scale), (out,) = (e.read(atom) for atom in equation.invars), equation.outvars
    dtype, epsilon = str(out.aval.dtype), composite_attributes(equation)["epsilon"]
    wide = e.cast(x, "float32")
    mean = e.ops.Mean(input=e.ops.Square(x=wide), axis=e.ints([-1]), keep_dims=True)
    root = e.ops.Rsqrt(x=e.ops.AddV2(x=mean, y=e.constant(epsilon, "float32")))
    normal = e.cast(e.ops.Mul(x=wide, y=root), str(equation.invars[0].aval.dtype))
    e.bind(out, e.ops.Mul(x=e.cast(normal, dtype), y=e.cast(scale, dtype)))


def squared_difference(e: Emitter, equation: Any) -> None:
    """Emit (x - Mean(x)) * Rsqrt(Mean(SquaredDifference(x, Mean(x))) + epsilon) * scale + bias, in float32."""
    dtype = str(equation.outvars[0].aval.dtype)
    x, scale, bias = (e.cast(e.read(atom), "float32") for atom in equation.invars)
    last, epsilon = e.ints([-1]), e.constant(composite_attributes(equation)["epsilon"], "float32")
    mean = e.ops.Mean(input=x, axis=last, keep_dims=True)
    variance = e.ops.Mean(input=e.ops.SquaredDifference(x=x, y=mean), axis=last, keep_dims=True)
    root = e.ops.Rsqrt(x=e.ops.AddV2(x=variance, y=epsilon))
    normal = e.ops.Mul(x=e.ops.Sub(x=x, y=mean), y=root)
    e.bind_only(equation, e.cast(e.ops.AddV2(x=e.ops.Mul(x=normal, y=scale), y=bias), dtype))


def erf_times(e: Emitter, equation: Any) -> None:
    """Emit x * 0.5 * (Erf(x / sqrt(2)) + 1), in the order of tf.nn.gelu."""
    x = e.read(equation.invars[0])
    raised = e.ops.AddV2(x=e.constant(1, x.dtype), y=e.ops.Erf(x=e.ops.RealDiv(x=x, y=e.constant(sqrt(2), x.dtype))))
    e.bind_only(equation, e.ops.Mul(x=e.ops.Mul(x=e.constant(0.5, x.dtype), y=x), y=raised))


def resize(e: Emitter, equation: Any) -> None:
    """Emit ResizeNearestNeighbor, which rounds down and so repeats every pixel."""
    (x,), factor = equation.invars, composite_attributes(equation)["factor"]
    size = e.ints([extent * factor for extent in x.aval.shape[1:3]])
    e.bind_only(equation, e.ops.ResizeNearestNeighbor(images=e.read(x), size=size))


def average_pool(e: Emitter, equation: Any) -> None:
    """Emit AvgPool."""
    size = composite_attributes(equation)["size"]
    window = [1, size, size, 1]
    value = e.read(equation.invars[0])
    e.bind_only(equation, e.ops.AvgPool(value=value, ksize=window, strides=window, padding="VALID"))


FORMS: Final[Mapping[str, Rule]] = {
    "AvgPool": average_pool,
    "ChannelMeans": channel_means,
    "ConcatV2": cache.concatenate,
    "Erf*Mul": erf_times,
    "Mean*Rsqrt": mean_of_squares,
    "ResizeNearestNeighbor": resize,
    "SelectV2": cache.select,
    "Sigmoid*Mul": sigmoid_times,
    "Softmax": softmax,
    "SquaredDifference": squared_difference,
}
