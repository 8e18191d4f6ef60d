"""Doubling the size and convolving 3x3, on the small picture: 9 products in place of 36 for four results.

Of four elements that a minimal algorithm reads of a doubled axis, the middle two are the same one, so of its four
differences one is zero (`winograd.DOUBLED`). TRANSPOSE_CONV says the same in one operator, but XNNPACK takes 2 to 10
times as long for it, and it cannot leave the batch open.
"""

from typing import Any

from lwmport.converters.tflite import winograd
from lwmport.converters.tflite.emitter import Emitter
from lwmport.graphs.atoms import composite_attributes


def can_leave(e: Emitter, equation: Any) -> bool:
    """Return whether an upsampling doubles, and one plain 3x3 convolution alone reads the result."""
    reader = e.sole_reader(equation.outvars[0])
    return (
        composite_attributes(equation)["factor"] == 2
        and reader is not None
        and winograd.is_plain_3x3(e, reader)
        and tuple(map(tuple, reader.params["padding"])) == ((1, 1), (1, 1))
    )


def leave_to_convolution(e: Emitter, equation: Any) -> None:
    """Emit nothing: the convolution that reads the result doubles by itself."""
    e.notes["doubled", equation.outvars[0]] = equation.invars[0]


def noted(e: Emitter, variable: Any) -> Any:
    """Return what a convolution's input was before doubling, if the doubling was left to the convolution."""
    return e.notes.get(("doubled", variable))
