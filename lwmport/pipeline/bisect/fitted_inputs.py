"""The inputs of a model that is not ours, out of those of our component: which is which, how they lie, how long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Final

import numpy as np

from lwmport.errors import UsageError
from lwmport.pipeline.bisect.views import View, same, views
from lwmport.types import Array, Component, Dim, TensorSpec, dtype_of, size_of
from lwmport.wording import few

KEY: Final = "key"
"""How the name of a state ends that holds rotated keys."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """One run of both models.

    Attributes:
        inputs: of the component.
        feeds: of the file, by its own names.
        outputs: output of the file -> output of the component.
        notes: what was decided, in words.
    """

    inputs: Mapping[str, Array]
    feeds: Mapping[str, Array]
    outputs: Mapping[str, str]
    notes: tuple[str, ...] = ()


def fitted(
    component: Component,
    cases: Sequence[Mapping[str, Array]],
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    heads: int = 0,
) -> Fitted:
    """Return a run of both models, in the first of the component's cases that the file can take.

    ``heads`` is the size of a head whose rotated halves lie apart in the file, 0 where pairs lie side by side.

    Raises:
        UsageError: the inputs or the outputs do not fit the component's.
    """
    pairs = _paired(component.signature.inputs, inputs)
    named = _outputs(component.signature.outputs, outputs)
    if not named:
        names = few(spec.name for spec in component.signature.outputs)
        raise UsageError(
            f"expected outputs like those of {component.name} ({names}), found {few(o.name for o in outputs)}"
        )
    left_out = [spec for spec in component.signature.inputs if spec.name not in pairs]
    for case in cases:
        given = _sized(component, case, pairs)
        if given is not None and all(_is_plain(spec.name, given) for spec in left_out):
            feeds = {theirs.name: _laid(given[ours], theirs, heads if ours.endswith(KEY) else 0)
                     for ours, theirs in pairs.items()}  # fmt: skip
            return Fitted(inputs=given, feeds=feeds, outputs=named, notes=tuple(_notes(component, named)))
    raise UsageError(
        f"expected inputs that {component.name} can be run on too, found no case of its own without "
        f"{few(spec.name for spec in left_out)}"
    )


def _notes(component: Component, named: Mapping[str, str]) -> list[str]:
    missing = [spec.name for spec in component.signature.outputs if spec.name not in named.values()]
    return [f"the file does not give {few(missing)}, which the reference has"] if missing else []


def _paired(ours: Sequence[TensorSpec], theirs: Sequence[TensorSpec]) -> dict[str, TensorSpec]:
    """Return our input -> the file's: by name, else the only one of the kind, else in order."""
    found = {spec.name: other for spec in ours for other in theirs if spec.name == other.name}
    taken = {other.name for other in found.values()}
    for other in theirs:
        if other.name not in taken:
            free = [spec for spec in ours if spec.name not in found and _fits(spec, other)]
            if not free:
                raise UsageError(
                    f"expected inputs among {few(spec.name for spec in ours)}, found {other.name} "
                    f"{other.dtype}{list(other.shape)}"
                )
            found[free[0].name] = other
    return found


def _outputs(ours: Sequence[TensorSpec], theirs: Sequence[TensorSpec]) -> dict[str, str]:
    """Return the file's output -> ours, by name, else the next one of the kind."""
    names = {spec.name for spec in ours}
    found = {other.name: other.name for other in theirs if other.name in names}
    for other in theirs:
        if other.name not in found:
            free = [spec for spec in ours if spec.name not in found.values() and _fits(spec, other)]
            if free:
                found[other.name] = free[0].name
    return found


def _fits(ours: TensorSpec, theirs: TensorSpec) -> bool:
    """Return whether two tensors may be the same: numbers of one kind, and an order of axes in which sizes agree."""
    if _kind(ours.dtype) != _kind(theirs.dtype) or len(ours.shape) != len(theirs.shape):
        return False
    orders = permutations(range(len(ours.shape)))
    return any(all(_agree(ours.shape[axis], size) for axis, size in zip(order, theirs.shape, strict=True))
               for order in orders)  # fmt: skip


def _kind(dtype: str) -> str:
    return "whole" if "int" in dtype or dtype == "bool" else "float"


def _agree(ours: Dim, theirs: Dim) -> bool:
    return isinstance(ours, str) or isinstance(theirs, str) or ours == theirs


def _all_agree(ours: Sequence[Dim], theirs: Sequence[Dim]) -> bool:
    return len(ours) == len(theirs) and all(_agree(*both) for both in zip(ours, theirs, strict=True))


def _sized(component: Component, case: Mapping[str, Array], pairs: Mapping[str, TensorSpec]) -> dict[str, Array] | None:
    """Return a case in the sizes that the file fixes; None where it has not what they need."""
    specs = {spec.name: spec for spec in component.signature.inputs}
    sizes = {dim: size for spec in specs.values() for dim, size in zip(spec.shape, case[spec.name].shape, strict=True)
             if isinstance(dim, str) and dim.isidentifier()}  # fmt: skip
    before = dict(sizes)
    if "batch" in sizes:
        sizes["batch"] = 1
    for name, theirs in pairs.items():
        fixed = _fixed(specs[name].shape, theirs.shape)
        sizes |= {dim: size for dim, size in fixed.items() if dim.isidentifier()}
    found = {}
    for name, spec in specs.items():
        value = case[name]
        shape = tuple(size_of(dim, sizes) for dim in spec.shape)
        if any(size and not had for size, had in zip(shape, value.shape, strict=True)):
            return None
        counts = _is_counting(value, before.get("past", 0))
        for axis, size in enumerate(shape):
            value = np.take(value, np.arange(size) % max(value.shape[axis], 1), axis)
        found[name] = value if not counts else _counted(value, sizes.get("past", 0))
    return found


def _fixed(ours: Sequence[Dim], theirs: Sequence[Dim]) -> dict[str, int]:
    """Return our dynamic sizes -> what the file fixes them to."""
    for order in permutations(range(len(ours))):
        if len(theirs) == len(ours) and all(_agree(ours[axis], size) for axis, size in zip(order, theirs, strict=True)):
            both = zip(order, theirs, strict=True)
            return {
                str(ours[axis]): size for axis, size in both if isinstance(ours[axis], str) and isinstance(size, int)
            }
    return {}


def _is_counting(value: Array, start: int) -> bool:
    """Return whether an input counts tokens from a number on."""
    whole = value.dtype.kind in "iu" and value.ndim > 0 and value.size > 0
    return whole and bool(np.array_equal(value, _counted(value, start)))


def _counted(value: Array, start: int) -> Array:
    row = np.arange(start, start + value.shape[-1], dtype=value.dtype)
    return np.broadcast_to(row, value.shape).copy()


def _is_plain(name: str, given: Mapping[str, Array]) -> bool:
    """Return whether an input that the file does not have says nothing: empty, all ones, or counting from 0."""
    value = given[name]
    return not value.size or bool((value == 1).all()) or _is_counting(value, 0)


def _laid(value: Array, theirs: TensorSpec, heads: int) -> Array:
    """Return an input as the file lays it out."""
    lengths = tuple(theirs.shape)
    view = same(value.shape)
    if not _all_agree(value.shape, lengths):
        orders = permutations(range(value.ndim))
        order = next(order for order in orders if _all_agree([value.shape[axis] for axis in order], lengths))
        view = View(split=value.shape, order=order, shape=tuple(value.shape[axis] for axis in order))
    if heads and value.shape[-1] % heads == 0:
        view = View(split=view.split, order=view.order, shape=view.shape, halves=heads)
    return np.ascontiguousarray(view.of(value)).astype(dtype_of(theirs.dtype))


def expected_output(value: Array, theirs: TensorSpec, heads: int) -> tuple[Array, View]:
    """Return an output of the component as the file lays it out, and how that is."""
    lengths = tuple(theirs.shape)
    for view in views(value.shape, _resolved(value.shape, lengths), (heads,) if heads else ()):
        if not heads or view.halves == heads:
            return view.of(value), view
    view = same(value.shape)
    return value, view


def _resolved(shape: tuple[int, ...], theirs: tuple[Dim, ...]) -> tuple[int, ...]:
    """Return the sizes of an output of the file, those that it leaves open out of ours."""
    for order in permutations(range(len(shape))):
        if len(theirs) == len(shape) and all(_agree(shape[a], size) for a, size in zip(order, theirs, strict=True)):
            return tuple(shape[axis] for axis in order)
    return shape
