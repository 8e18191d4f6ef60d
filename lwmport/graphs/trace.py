"""Tracing: a component becomes a program, with abstract weights, so that the size of the model costs nothing."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

import jax
import numpy as np

from lwmport.errors import LoweringError, UsageError
from lwmport.graphs.inline import inline
from lwmport.graphs.program import Program
from lwmport.graphs.simplify import simplify
from lwmport.graphs.symbols import names_of, sizes_of
from lwmport.graphs.taps import find_taps, tapped
from lwmport.models.jax_cpu import cpu
from lwmport.registry import check_known
from lwmport.types import TAPS, Component, Kind, Signature, TensorSpec
from lwmport.wording import few

DYNAMIC = "dynamic"
BATCH = "batch"
INSIDE: Final = {"int64": "int32", "uint64": "uint32"}
"""Dtypes of a signature that JAX does not have here -> what the program computes in; a converter casts at the edge."""


def trace(component: Component, batch: int | str = 1, taps: str = "") -> Program:
    """Return the program of a component for a fixed batch, or for any when ``batch`` is ``"dynamic"``.

    Every other size that the signature gives as a name (``sequence``) is dynamic. With ``taps``, one of
    `lwmport.types.TAPS`, the program is called ``NAME.taps`` and has its taps behind its other outputs
    (`lwmport.graphs.taps`).

    Raises:
        UsageError: the batch is neither a number of at least 1 nor ``"dynamic"``, or there is nothing to tap.
        LoweringError: the component returns other outputs than its signature says, or does not work for any size.
    """
    if batch != DYNAMIC and (type(batch) is not int or batch < 1):
        raise UsageError(f"expected a batch of at least 1 or {DYNAMIC!r}, found {batch!r}")
    cpu()
    sizes = sizes_of(component.signature, {BATCH: int(batch)} if batch != DYNAMIC else {})
    names = tuple(sorted(component.weights))
    inputs = [_abstract(spec, sizes) for spec in component.signature.inputs]
    weights = [jax.ShapeDtypeStruct(component.weights[name].shape, component.weights[name].dtype) for name in names]

    def flat(*args: Any) -> list[Any]:
        given = dict(zip((spec.name for spec in component.signature.inputs), args[len(names) :], strict=True))
        found = component.apply(dict(zip(names, args, strict=False)), given)
        _check_names(component, found)
        return [found[spec.name] for spec in component.signature.outputs]

    try:
        traced = jax.make_jaxpr(flat)(*weights, *inputs)
        traced, found = _tapped(component, traced, taps) if taps else (traced, ())
        closed = simplify(traced)
    except jax.errors.InconclusiveDimensionOperation as error:
        reason = str(error).partition("\n")[0]
        raise LoweringError(
            f"expected {component.name} to work for any {', '.join(sizes)}, found: {reason} Fix the {BATCH}"
        ) from error
    _check_outputs(component, sizes, closed)
    signature, printed = _resolve(component.signature, sizes), names_of(sizes)
    more = zip(found, closed.out_avals[len(signature.outputs) :], strict=True)
    outputs = (*signature.outputs, *(_spec(name, aval, printed) for name, aval in more))
    return Program(
        component=f"{component.name}.taps" if taps else component.name,
        signature=replace(signature, outputs=outputs),
        closed=closed,
        weight_names=names,
        sizes=printed,
        located=component.located,
    )


def inputs_of(component: Component) -> dict[str, jax.ShapeDtypeStruct]:
    """Return the inputs of a component by name, each size that the signature gives as a name being dynamic."""
    sizes = sizes_of(component.signature, {})
    return {spec.name: _abstract(spec, sizes) for spec in component.signature.inputs}


def _tapped(component: Component, traced: Any, kind: str) -> tuple[Any, Collection[str]]:
    """Return a traced program that returns its taps too, and their names."""
    flat = inline(traced)
    weights = dict(zip(flat.jaxpr.invars, sorted(component.weights), strict=False))
    found = taps_of(component, flat, weights, kind)
    return tapped(flat, found.values()), found


def taps_of(component: Component, flat: Any, weights: Mapping[Any, str], kind: str) -> dict[str, Any]:
    """Return the taps of a component's jaxpr, by name, in the order of computation.

    Args:
        component: what was traced.
        flat: its jaxpr, without calls.
        weights: those of its inputs that are weights -> their names.
        kind: one of `lwmport.types.TAPS`.

    Raises:
        UsageError: no such kind, or there is nothing to tap.
    """
    check_known("kind of taps", kind, TAPS)
    signature = component.signature
    taken = {*weights.values(), *(spec.name for spec in (*signature.inputs, *signature.outputs))}
    found = find_taps(flat, weights, kind, taken)
    if not found:
        raise UsageError(f"expected {kind} to tap in {component.name}, found none; leave the taps out")
    return found


def _spec(name: str, aval: Any, printed: Mapping[str, str]) -> TensorSpec:
    """Return the output of a tap; a dynamic size is written as the signature writes it."""
    shape = tuple(dim if isinstance(dim, int) else printed.get(str(dim), str(dim)) for dim in aval.shape)
    kind = Kind.INDICES if np.issubdtype(aval.dtype, np.integer) else Kind.VALUES
    return TensorSpec(name=name, shape=shape, dtype=str(aval.dtype), kind=kind)


def _abstract(spec: TensorSpec, sizes: Mapping[str, Any]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(_shape(spec, sizes), INSIDE.get(spec.dtype, spec.dtype))


def _shape(spec: TensorSpec, sizes: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(sizes[dim] if isinstance(dim, str) else dim for dim in spec.shape)


def _resolve(signature: Signature, sizes: Mapping[str, Any]) -> Signature:
    """Return the signature with the fixed sizes filled in; dynamic ones keep their names."""

    def fill(spec: TensorSpec) -> TensorSpec:
        pairs = zip(_shape(spec, sizes), spec.shape, strict=True)
        shape = tuple(size if isinstance(size, int) else dim for size, dim in pairs)
        return replace(spec, shape=shape)

    return replace(signature, inputs=tuple(map(fill, signature.inputs)), outputs=tuple(map(fill, signature.outputs)))


def _check_names(component: Component, found: dict[str, Any]) -> None:
    names = [spec.name for spec in component.signature.outputs]
    if sorted(found) != sorted(names):
        raise LoweringError(
            f"expected {component.name} to return {few(names)}, found {few(found) or 'nothing'}; "
            "the model and its signature disagree"
        )


def _check_outputs(component: Component, sizes: Mapping[str, Any], closed: Any) -> None:
    for spec, aval in zip(component.signature.outputs, closed.out_avals, strict=False):  # taps come behind them
        dtype = INSIDE.get(spec.dtype, spec.dtype)
        if tuple(aval.shape) != _shape(spec, sizes) or str(aval.dtype) != dtype:
            wanted, found = (", ".join(map(str, shape)) for shape in (_shape(spec, sizes), aval.shape))
            raise LoweringError(
                f"expected {component.name} to return {spec.name} {dtype}[{wanted}], "
                f"found {aval.dtype}[{found}]; the model and its signature disagree"
            )
