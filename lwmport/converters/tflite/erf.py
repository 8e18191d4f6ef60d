"""The error function, for which TFLite has no operator, and GELU, for which it has one."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from lwmport.converters.tflite.elementwise import combine
from lwmport.converters.tflite.emitter import Emitter, Rule
from lwmport.converters.tflite.graph import Tensor

BOUND: Final = 4.0
"""Beyond it erf is 1 in float32."""

NUMERATOR: Final = (
    *(-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05),
    *(-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02),
)
DENOMINATOR: Final = (
    *(-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03),
    *(-1.42647390514189e-02,),
)
"""Coefficients in x^2, the highest power first: erf(x) = x N(x^2) / D(x^2) up to 4, as XLA and Eigen have it in
float32 (openxla/xla, hlo/builder/lib/math.cc, ErfImpl32)."""


def gelu(e: Emitter, equation: Any) -> None:
    """Emit GELU, the exact one."""
    (x,), (out,) = equation.invars, equation.outvars
    e.bind(out, e.emit("GELU", [e.read(x)], out, {"approximate": False}))


def erf(e: Emitter, equation: Any) -> None:
    """Emit the quotient of two polynomials that is the error function to a few roundings of float32."""
    (x,), (out,) = equation.invars, equation.outvars
    bounds = [e.graph.constant(np.asarray(bound, np.float32)) for bound in (-BOUND, BOUND)]
    bounded = combine(e, "MINIMUM", [combine(e, "MAXIMUM", [e.thin(x), bounds[0]]), bounds[1]])
    square = combine(e, "MUL", [bounded, bounded])
    upper = combine(e, "MUL", [bounded, _polynomial(e, square, NUMERATOR)])
    e.bind(out, combine(e, "DIV", [upper, _polynomial(e, square, DENOMINATOR)]))


def _polynomial(e: Emitter, x: Tensor, coefficients: Sequence[float]) -> Tensor:
    """Emit a polynomial by Horner's rule."""
    first, *rest = (e.graph.constant(np.asarray(number, np.float32)) for number in coefficients)
    value = first
    for number in rest:
        value = combine(e, "ADD", [combine(e, "MUL", [x, value]), number])
    return value


RULES: Final[dict[str, Rule]] = {"erf": erf}
