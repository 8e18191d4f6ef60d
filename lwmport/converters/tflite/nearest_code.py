"""The nearest code of every position, with the positions in whatever axes they have.

JAX flattens the positions to rows and shapes the indices back. On the unflattened array the same arithmetic needs
neither, and no integer RESHAPE, which XNNPACK does not run.
"""

from typing import Any

import numpy as np

from lwmport.converters.tflite.contraction import fully_connected
from lwmport.converters.tflite.elementwise import combine
from lwmport.converters.tflite.emitter import Emitter
from lwmport.converters.tflite.graph import Tensor
from lwmport.graphs.atoms import shape_of


def argmin_of_distances(e: Emitter, equation: Any) -> None:
    """Emit ARG_MIN of |z|^2 + |e|^2 - 2 z.e, rounded in this order as JAX does."""
    (z, codes), (out,) = equation.invars, equation.outvars
    source, target = _unflattened(e, z), out
    reader = e.sole_reader(out)
    if _is_reshape(reader) and shape_of(reader.outvars[0]) == source.shape[:-1]:
        e.absorb(reader)
        target = reader.outvars[0]
    elif source.shape != shape_of(z):
        source = e.read(z)
    last = e.graph.constant(np.asarray(len(source.shape) - 1, np.int32))
    e.bind(target, e.emit("ARG_MIN", [_distances(e, source, codes), last], target))


def _distances(e: Emitter, z: Tensor, codes: Any) -> Tensor:
    count, width = codes.aval.shape
    squares = combine(e, "MUL", [z, z])
    axis, shape = e.graph.integers([len(z.shape) - 1]), (*z.shape[:-1], 1)
    lengths = e.graph.operation("SUM", [squares, axis], shape, z.dtype, {"keepDims": True})
    norms = e.constant(
        codes, (count,), lambda array: np.sum(array * array, axis=1, dtype=np.float64).astype(array.dtype), "norms"
    )
    products = fully_connected(e, z, e.constant(codes, (count, width)))
    two = e.graph.constant(np.asarray(2, np.float32))
    return combine(e, "SUB", [combine(e, "ADD", [lengths, norms]), combine(e, "MUL", [products, two])])


def _unflattened(e: Emitter, z: Any) -> Tensor:
    """Return z before its leading axes were flattened, or z itself."""
    producer = e.producer(z)
    if _is_reshape(producer) and shape_of(producer.invars[0])[-1] == shape_of(z)[-1]:
        return e.read(producer.invars[0])
    return e.read(z)


def _is_reshape(equation: Any) -> bool:
    return equation is not None and equation.primitive.name == "reshape"
