"""jax2tf's own output, for those who serve with XLA: one XlaCallModule operator that holds StableHLO.

This is the one module of the converters that uses jax, and it does so inside of functions: jax2tf is a part of jax.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, Final

from lwmport.converters.saved_model.functions import traced
from lwmport.converters.saved_model.variables import Variables
from lwmport.graphs.atoms import shape_of
from lwmport.graphs.callable import callable_of
from lwmport.graphs.program import Program
from lwmport.types import TensorSpec, Weights

PLATFORMS: Final = ("cpu", "cuda", "tpu")
"""Where the module may run; StableHLO for all of them is in the one file."""

PAST: Final = "past"
"""The size of a signature that may be 0: tokens in a cache."""

LOCATIONS: Final = "jax_traceback_in_locations_limit"
"""JAX's setting for how many frames of Python's stack describe an operation."""


def xla_function(tf: Any, program: Program, weights: Weights, store: Variables) -> Any:
    """Return the traced TensorFlow function that calls the program's StableHLO on variables and inputs."""
    variables = dict(zip(program.weight_names, program.jaxpr.invars, strict=False))

    def serve(*inputs: Any) -> list[Any]:
        values = [store.weight(*_described(variables[name], name, weights)) for name in program.weight_names]
        dtypes = [str(variable.aval.dtype) for variable in program.input_vars]
        given = [_behind_a_slot(tf, value, spec) for value, spec in zip(inputs, program.signature.inputs, strict=True)]
        narrow = [tf.cast(value, dtype) for value, dtype in zip(given, dtypes, strict=True)]
        pairs = zip(call(*values, *narrow), program.signature.outputs, strict=True)
        return [tf.cast(_without_slot(value, spec), spec.dtype) for value, spec in pairs]

    with _without_locations():
        call = _converted(program)
        return traced(tf, program.signature, serve)


def _behind_a_slot(tf: Any, value: Any, spec: TensorSpec) -> Any:
    """Return an input with one more slot in front of its cache, empty and masked; one without a cache as it is.

    StableHLO of JAX refuses a symbolic size of 0 when it is run, and a cache may be empty.
    """
    found = [_has_past(size) for size in spec.shape]
    return tf.pad(value, [[int(wanted), 0] for wanted in found]) if any(found) else value


def _without_slot(value: Any, spec: TensorSpec) -> Any:
    """Return an output without the slot that `_behind_a_slot` has put in front."""
    found = [_has_past(size) for size in spec.shape]
    return value[tuple(slice(int(wanted), None) for wanted in found)] if any(found) else value


def _has_past(size: Any) -> bool:
    return isinstance(size, str) and PAST in size.split()


@contextlib.contextmanager
def _without_locations() -> Iterator[None]:
    """Keep the Python files and lines that made an operation out of StableHLO: bytes would differ by folder."""
    import jax

    before = getattr(jax.config, LOCATIONS)
    jax.config.update(LOCATIONS, 0)
    try:
        yield
    finally:
        jax.config.update(LOCATIONS, before)


def _described(variable: Any, name: str, weights: Weights) -> tuple[str, tuple[int, ...], str, Any]:
    """Return what the store wants to know of a weight."""
    return name, variable.aval.shape, str(variable.aval.dtype), lambda: weights.read(name)


def _converted(program: Program) -> Any:
    """Return the program as a TensorFlow function of its weights and inputs.

    It is exported first, because its symbolic sizes belong to the scope in which it was traced.
    """
    import jax
    from jax.experimental import jax2tf

    specs = [jax.ShapeDtypeStruct(var.aval.shape, var.aval.dtype) for var in program.jaxpr.invars]
    exported = jax.export.export(jax.jit(callable_of(program)), platforms=PLATFORMS)(*specs)
    shapes = [f"({', '.join(map(str, shape_of(var)))})" for var in program.jaxpr.invars]
    return jax2tf.convert(
        exported.call, with_gradient=False, polymorphic_shapes=shapes, native_serialization_platforms=PLATFORMS
    )
