"""Numbers that count: positions along an axis, sizes as values, and bits, as plain operators that vendors know."""

from typing import Any, Final

from lwmport.converters.saved_model.elementwise import logical
from lwmport.converters.saved_model.emitter import Emitter, Rule
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import shape_of


def iota(e: Emitter, equation: Any) -> None:
    """Emit Range along one axis, and spread it over the others."""
    (out,) = equation.outvars
    shape, axis = shape_of(out), equation.params["dimension"]
    start, step = e.constant(0, "int32"), e.constant(1, "int32")
    numbers = e.ops.Range(start=start, limit=e.tf.convert_to_tensor(e.sizes.scalar(shape[axis])), delta=step)
    numbers = e.cast(numbers, str(out.aval.dtype))
    if len(shape) > 1:
        numbers = e.reshape(numbers, [size if at == axis else 1 for at, size in enumerate(shape)])
        numbers = e.ops.BroadcastTo(input=numbers, shape=e.sizes.vector(shape))
    e.bind(out, numbers)


def size(e: Emitter, equation: Any) -> None:
    """Emit a dynamic size as a number."""
    (out,) = equation.outvars
    dim = equation.params["dim"]
    value = e.tf.convert_to_tensor(e.sizes.scalar(dim if isinstance(dim, int) else str(dim)))
    e.bind(out, e.cast(value, str(out.aval.dtype)))


def shift_right(e: Emitter, equation: Any) -> None:
    """Emit FloorDiv by a power of two, which an arithmetic shift is.

    Raises:
        LoweringError: the shift is no constant.
    """
    value, by = equation.invars
    bits = e.scalar(by)
    if bits is None:
        raise LoweringError("expected a shift by a constant, found one by a value (shift_right_arithmetic)")
    e.bind_only(equation, e.ops.FloorDiv(x=e.read(value), y=e.constant(2 ** int(bits), str(value.aval.dtype))))


def conjunction(e: Emitter, equation: Any) -> None:
    """Emit LogicalAnd for truth values, and FloorMod for the low bits of a whole number."""
    (first, second), (out,) = equation.invars, equation.outvars
    dtype = str(out.aval.dtype)
    for value, mask in ((first, second), (second, first)):
        ones = None if dtype == "bool" else e.scalar(mask)
        if ones is not None and ones > 0 and not (int(ones) + 1) & int(ones):
            e.bind(out, e.ops.FloorMod(x=e.read(value), y=e.constant(int(ones) + 1, dtype)))
            return
    logical(e, equation)


RULES: Final[dict[str, Rule]] = {
    "and": conjunction,
    "dim_as_value": size,
    "iota": iota,
    "shift_right_arithmetic": shift_right,
}
