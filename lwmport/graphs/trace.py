"""Tracing: a component becomes a program, with abstract weights, so that the size of the model costs nothing."""

from dataclasses import replace
from typing import Any

import jax

from lwmport.errors import LoweringError, UsageError
from lwmport.graphs.program import Program
from lwmport.graphs.simplify import simplify
from lwmport.types import Component, Signature, TensorSpec

DYNAMIC = "dynamic"
BATCH = "batch"


def trace(component: Component, batch: int | str = 1) -> Program:
    """Return the program of a component for a fixed batch, or for any when ``batch`` is ``"dynamic"``.

    Raises:
        UsageError: the batch is neither a number of at least 1 nor ``"dynamic"``.
        LoweringError: the component returns other outputs than its signature says, or does not work for any batch.
    """
    if batch != DYNAMIC and (type(batch) is not int or batch < 1):
        raise UsageError(f"expected a batch of at least 1 or {DYNAMIC!r}, found {batch!r}")
    sizes = dict(zip((BATCH,), jax.export.symbolic_shape(BATCH) if batch == DYNAMIC else (batch,), strict=True))
    names = tuple(sorted(component.weights))
    inputs = [_abstract(spec, sizes) for spec in component.signature.inputs]
    weights = [jax.ShapeDtypeStruct(component.weights[name].shape, component.weights[name].dtype) for name in names]

    def flat(*args: Any) -> list[Any]:
        given = dict(zip((spec.name for spec in component.signature.inputs), args[len(names) :], strict=True))
        found = component.apply(dict(zip(names, args, strict=False)), given)
        _check_names(component, found)
        return [found[spec.name] for spec in component.signature.outputs]

    try:
        closed = simplify(jax.make_jaxpr(flat)(*weights, *inputs))
    except jax.errors.InconclusiveDimensionOperation as error:
        reason = str(error).partition("\n")[0]
        raise LoweringError(
            f"expected {component.name} to work for any batch, found: {reason} Fix the batch"
        ) from error
    signature = _resolve(component.signature, sizes)
    _check_outputs(signature, closed, component.name)
    return Program(component=component.name, signature=signature, closed=closed, weight_names=names)


def _abstract(spec: TensorSpec, sizes: dict[str, Any]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(tuple(sizes.get(str(dim), dim) for dim in spec.shape), spec.dtype)


def _resolve(signature: Signature, sizes: dict[str, Any]) -> Signature:
    """Return the signature with the fixed sizes filled in; dynamic ones keep their names."""
    fixed = {name: size for name, size in sizes.items() if isinstance(size, int)}

    def fill(spec: TensorSpec) -> TensorSpec:
        return replace(spec, shape=tuple(fixed.get(str(dim), dim) for dim in spec.shape))

    return Signature(inputs=tuple(map(fill, signature.inputs)), outputs=tuple(map(fill, signature.outputs)))


def _check_names(component: Component, found: dict[str, Any]) -> None:
    names = [spec.name for spec in component.signature.outputs]
    if sorted(found) != sorted(names):
        raise LoweringError(
            f"expected {component.name} to return {', '.join(names)}, found {', '.join(found) or 'nothing'}; "
            "the model and its signature disagree"
        )


def _check_outputs(signature: Signature, closed: Any, name: str) -> None:
    for spec, aval in zip(signature.outputs, closed.out_avals, strict=True):
        found = tuple(dim if isinstance(dim, int) else str(dim) for dim in aval.shape)
        if found != spec.shape or str(aval.dtype) != spec.dtype:
            raise LoweringError(
                f"expected {name} to return {spec.name} {spec.dtype}{list(spec.shape)}, "
                f"found {aval.dtype}{list(found)}; the model and its signature disagree"
            )
