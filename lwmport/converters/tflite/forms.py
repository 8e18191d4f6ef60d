"""The forms that a composite can take in TFLite; a dialect names those it prefers, best first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lwmport.converters.tflite import (
    cache,
    convolution,
    doubling,
    erf,
    group_norm,
    layer_norm,
    nearest_code,
    pooling,
    rms_norm,
    rotary,
    rounded,
    upsampling,
)
from lwmport.converters.tflite.elementwise import combine, elementwise
from lwmport.converters.tflite.emitter import Emitter, Rule


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way to write a composite, and where it can be used."""

    rule: Rule
    fits: Callable[[Emitter, Any], bool] = lambda _e, _equation: True


def logistic_times(e: Emitter, equation: Any) -> None:
    """Emit LOGISTIC and MUL; TFLite's HARD_SWISH is another function."""
    value = e.thin(equation.invars[0])
    elementwise(e, "MUL", [value, combine(e, "LOGISTIC", [value])], equation.outvars[0])


def softmax(e: Emitter, equation: Any) -> None:
    """Emit SOFTMAX over the last axis."""
    (x,), (out,) = equation.invars, equation.outvars
    e.bind(out, e.emit("SOFTMAX", [e.read(x)], out, {"beta": 1.0}))


FORMS: Final[Mapping[str, Form]] = {
    "ARG_MIN": Form(rule=nearest_code.argmin_of_distances),
    "AVERAGE_POOL_2D": Form(rule=pooling.average_pool),
    "CHANNEL_MEANS": Form(rule=group_norm.channel_means),
    "CONCATENATION": Form(rule=upsampling.concatenate),
    "CONV_2D": Form(rule=convolution.convolve),
    "DOUBLED_WINOGRAD": Form(rule=doubling.leave_to_convolution, fits=doubling.can_leave),
    "DYNAMIC_UPDATE_SLICE": Form(rule=cache.update_slice),
    "GELU": Form(rule=erf.gelu),
    "GROUP_MOMENTS": Form(rule=group_norm.group_moments),
    "LOGISTIC*MUL": Form(rule=logistic_times),
    "MEAN*RSQRT": Form(rule=rms_norm.mean_of_squares),
    "QUANTIZE": Form(rule=rounded.round_to_levels),
    "RESIZE_NEAREST_NEIGHBOR": Form(rule=upsampling.resize),
    "SELECT_V2": Form(rule=cache.select),
    "SOFTMAX": Form(rule=softmax),
    "SUB*RSQRT": Form(rule=layer_norm.centred_first),
    "SWAPPED_PAIRS": Form(rule=rotary.swapped_pairs),
    "WINOGRAD": Form(rule=convolution.convolve_by_tiles, fits=convolution.fits_tiles),
}
