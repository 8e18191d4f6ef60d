"""Convolutions of integers: int8 tensors with one scale and one zero point, QUANTIZE in front, DEQUANTIZE behind.

What only moves values in front of a convolution moves codes, a quarter of the bytes: the numbers stay the same.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from lwmport.converters.tflite import upsampling
from lwmport.converters.tflite.emitter import Emitter
from lwmport.converters.tflite.graph import Channels, Tensor
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import composite_attributes, composite_name
from lwmport.types import Array, Levels

ROUNDED: Final = "lwmport.rounded"
UPSAMPLED: Final = "lwmport.upsample_nearest"


def round_to_levels(e: Emitter, equation: Any) -> None:
    """Emit QUANTIZE, once for all who round a value alike, and DEQUANTIZE for who reads numbers."""
    bind(e, equation.outvars[0], _codes(e, equation.invars[0], _levels(equation)))


def bind(e: Emitter, variable: Any, codes: Tensor) -> None:
    """Record codes as a variable; their numbers are made where somebody reads them."""
    e.notes["codes", variable] = codes
    e.bind(variable, e.graph.operation("DEQUANTIZE", [codes], codes.shape, np.float32))


def codes_of(e: Emitter, variable: Any) -> Tensor | None:
    """Return the codes that a variable was recorded as, None for one of numbers."""
    found: Tensor | None = e.notes.get(("codes", variable))
    return found


def take_levels(e: Emitter, out: Any) -> tuple[Any, Levels]:
    """Return the variable to bind and the numbers that a convolution rounds to.

    Raises:
        LoweringError: it does not: CONV_2D makes no sums of codes.
    """
    reader = e.sole_reader(out)
    if reader is None or composite_name(reader) != ROUNDED:
        raise LoweringError(f"expected what a convolution of codes gives to be rounded, found sums at {e.graph.scope}")
    e.absorb(reader)
    return reader.outvars[0], _levels(reader)


def bias(e: Emitter, codes: Tensor, kernel: Tensor, numbers: Tensor) -> Tensor:
    """Return the bias of a convolution of codes: int32, in steps of the input's scale times that of the channel."""
    name, shape = numbers.source, numbers.shape
    if name is not None:
        return _steps(e, name, shape, lambda: e.packed.read(name), lambda: e.packed.read(f"{name}/scales"))

    def scales() -> Array:
        assert isinstance(codes.scales, Levels)  # noqa: S101 - of codes that were computed
        assert isinstance(kernel.scales, Channels)  # noqa: S101 - of a kernel
        return np.float32(codes.scales.scale) * kernel.scales.produce().reshape(-1)

    return _steps(e, f"{kernel.name}/no_bias", shape, lambda: np.zeros(int(shape[0]), np.int32), scales)


def _steps(
    e: Emitter, name: str, shape: tuple[Any, ...], codes: Callable[[], Array], scales: Callable[[], Array]
) -> Tensor:
    channels = Channels(count=int(shape[0]), produce=scales)
    return e.graph.once(("steps", name), lambda: e.graph.tensor(name, shape, np.int32, codes, name, channels))


def _levels(equation: Any) -> Levels:
    given = composite_attributes(equation)
    return Levels(scale=float(given["scale"]), zero=int(given["zero"]))


def _codes(e: Emitter, variable: Any, levels: Levels) -> Tensor:
    """Return the codes of a variable; those of a picture that was enlarged are made of the small one."""
    maker = e.producer(variable)
    if maker is not None and composite_name(maker) == UPSAMPLED:
        small = _codes(e, maker.invars[0], levels)
        return upsampling.enlarged(e, small, composite_attributes(maker)["factor"])
    value = e.read(variable)
    make = lambda: e.graph.operation("QUANTIZE", [value], value.shape, np.int8, levels=levels)  # noqa: E731 - once
    return e.graph.once(("codes", value, levels), make)
