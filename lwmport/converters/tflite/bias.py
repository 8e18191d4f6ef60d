"""Biases that an operator adds by itself."""

from typing import Any

from lwmport.converters.tflite.emitter import Emitter
from lwmport.converters.tflite.graph import Tensor


def take_bias(e: Emitter, out: Any, axis: int) -> tuple[Any, Tensor | None]:
    """Return the variable to bind and the bias: what alone reads a result and adds to each channel of it, or None."""
    channels = out.aval.shape[axis]
    reader = e.sole_reader(out)
    if reader is None or reader.primitive.name != "add":
        return out, None
    other = reader.invars[1] if reader.invars[0] is out else reader.invars[0]
    per_channel = tuple(channels if place == axis else 1 for place in range(len(out.aval.shape)))
    if not e.is_known(other) or e.thin(other).shape != per_channel:
        return out, None
    e.absorb(reader)
    return reader.outvars[0], e.vector(other, channels)
