"""Forms of root mean square normalisation."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx import elementwise, npu_forms
from lwmport.converters.onnx.emitter import Emitter, Rule, identity
from lwmport.graphs.atoms import composite_attributes, composite_name, shape_of

NAME: Final = "lwmport.rms_norm"
MICROSOFT: Final = "com.microsoft"
AXES_AS_INPUT: Final = 18
"""First opset in which ReduceMean takes its axes as an input."""


def rms_normalization(e: Emitter, equation: Any) -> None:
    """Emit RMSNormalization, which computes in float32."""
    (x, scale), (out,) = equation.invars, equation.outvars
    attributes = {"axis": -1, "epsilon": composite_attributes(equation)["epsilon"]}
    rank = len(out.aval.shape)
    value = e.emit("RMSNormalization", [e.read(x), e.read(scale)], out, identity(rank), attributes)
    e.bind(out, value, identity(rank))


def skip_rms_norm(e: Emitter, equation: Any) -> None:
    """Emit SkipSimplifiedLayerNormalization for a sum and its norm, else the operators that ONNX Runtime fuses."""
    (x, scale), (out,) = equation.invars, equation.outvars
    terms = e.notes.get(("sum", x))
    if terms is None or not e.is_deferred(x):
        _spelled_out(e, equation)
        return
    shape, dtype = shape_of(out), out.aval.dtype
    nothing: tuple[tuple[int, ...], Any] = ((), np.float32)
    operands = [*(e.read(term) for term in terms), e.read(scale)]
    attributes = {"epsilon": composite_attributes(equation)["epsilon"]}
    results = [(shape, dtype), nothing, nothing, (shape, dtype)]
    found = e.graph.nodes_of("SkipSimplifiedLayerNormalization", operands, results, attributes, MICROSOFT)
    for unused in found[1:3]:
        unused.name = ""
    e.bind(out, found[0], identity(len(shape)))
    e.bind(x, found[3], identity(len(shape)))


def leave_to_norm(e: Emitter, equation: Any) -> None:
    """Leave a sum of two states to the norm that reads it, and emit Add for any other."""
    (out,) = equation.outvars
    shape = shape_of(out)
    normed = any(reader is not None and composite_name(reader) == NAME for reader in e.readers(out))
    if not normed or e.rule_of(NAME) not in (skip_rms_norm, npu_forms.rms_norm) or len(shape) != 3:
        elementwise.simple(e, equation)
        return
    if any(shape_of(atom) != shape for atom in equation.invars):
        elementwise.simple(e, equation)
        return
    e.notes["sum", out] = tuple(equation.invars)
    e.defer(out, lambda: (e.emit("Add", [e.read(atom) for atom in equation.invars], out), identity(len(shape))))


def _spelled_out(e: Emitter, equation: Any) -> None:
    """Emit x / sqrt(mean(x^2) + epsilon) * scale, in float32 up to the scale."""
    (x, scale), (out,) = equation.invars, equation.outvars
    shape, order = shape_of(out), identity(len(out.aval.shape))
    small = (*shape[:-1], 1)
    wide = e.cast(e.read(x), shape, x.aval.dtype, np.float32)
    squared = e.graph.node("Pow", [wide, number(e, 2.0)], shape, np.float32)
    root = e.graph.node("Sqrt", [shifted_mean(e, squared, small, equation)], small, np.float32)
    normal = e.graph.node("Div", [wide, root], shape, np.float32)
    normal = e.cast(normal, shape, np.float32, out.aval.dtype)
    e.bind(out, e.emit("Mul", [normal, e.read(scale)], out, order), order)


def shifted_mean(e: Emitter, squared: ir.Value, small: Any, equation: Any) -> ir.Value:
    """Return the mean of squares over the last axis, plus the epsilon of the norm, float32 of the shape ``small``."""
    mean = last_mean(e, squared, small)
    return e.graph.node("Add", [mean, number(e, composite_attributes(equation)["epsilon"])], small, np.float32)


def last_mean(e: Emitter, value: ir.Value, small: Any) -> ir.Value:
    """Return the mean over the last axis, float32 of the shape ``small``."""
    return mean_over(e, value, small, (-1,))


def mean_over(e: Emitter, value: ir.Value, small: Any, axes: Sequence[int], *, keep: bool = True) -> ir.Value:
    """Return the mean over axes, float32 of the shape ``small``. The axes are kept with the size 1, or dropped."""
    operands, attributes = [value], {"keepdims": int(keep)}
    if e.graph.opset >= AXES_AS_INPUT:
        operands.append(e.graph.constant(np.asarray(axes, np.int64)))
    else:
        attributes["axes"] = list(axes)  # type: ignore[assignment]
    return e.graph.node("ReduceMean", operands, small, np.float32, attributes)


def number(e: Emitter, value: float) -> ir.Value:
    """Return a float32 without axes."""
    return e.graph.constant(np.asarray(value, np.float32))


RULES: Final[dict[str, Rule]] = {"add": leave_to_norm}
