"""Faults of settings: axes, paddings, bounds, orders of axes, modes."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from faults.draft import Draft, NoPlaceError, Operator
from faults.place import Place, doing
from faults.places import give, of

REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax")


def resize_rounded(draft: Draft) -> Iterator[Place]:
    """Return resizes by the nearest value, which becomes the next one."""
    for operator in of(draft, "Resize"):
        yield Place(operators=(operator,), change=doing(_round_up, draft, operator))


def padding_moved(draft: Draft) -> Iterator[Place]:
    """Return paddings, which move to the other side."""
    for operator in of(draft, "Conv"):
        pads = draft.attribute(operator, "pads")
        if isinstance(pads, list | tuple) and any(pads):
            moved = _moved(np.array(pads).reshape(2, -1))
            yield Place(
                operators=(operator,),
                change=doing(draft.set_attribute, operator, "pads", moved.ravel().tolist()),
            )
    for operator in of(draft, "Pad"):
        if draft.constant_shape(operator, 1) is not None:
            yield Place(operators=(operator,), change=doing(_move, draft, operator))


def dilated(draft: Draft) -> Iterator[Place]:
    """Return convolutions with kernels of 3, which reach two steps far."""
    for operator in of(draft, "Conv"):
        shape = draft.constant_shape(operator, 1)
        if shape is not None and shape.count(3) >= 2:
            yield Place(operators=(operator,), change=doing(_dilate, draft, operator))


def axis_changed(draft: Draft) -> Iterator[Place]:
    """Return reductions, norms and softmaxes, along another axis."""
    for operator in of(draft, *REDUCTIONS):
        shape = _shape(draft, operator)
        if shape and draft.constant_shape(operator, 1) == (1,):
            yield Place(operators=(operator,), change=partial(_other_axis, draft, operator))
    for operator in of(draft, "Softmax", "LayerNormalization"):
        shape, axis = _shape(draft, operator), draft.attribute(operator, "axis")
        if shape is None or axis is None:
            continue
        for other in range(len(shape)):
            if other != axis % len(shape):
                yield Place(
                    operators=(operator,),
                    change=doing(draft.set_attribute, operator, "axis", other),
                )


def groups_changed(draft: Draft) -> Iterator[Place]:
    """Return norms of groups, of which there are half as many."""
    by_output = {output: operator for operator in draft.operators for output in draft.outputs(operator)}
    for operator in of(draft, "InstanceNormalization"):
        reshape = by_output.get(draft.inputs(operator)[0])
        if reshape is not None and reshape.type == "Reshape" and draft.constant_shape(reshape, 1) is not None:
            yield Place(operators=(reshape, operator), change=doing(_regroup, draft, reshape, operator))
    for operator in of(draft, "Gemm"):
        shape = draft.constant_shape(operator, 1)
        if shape is not None and shape[0] == shape[1] <= 1024:
            yield Place(operators=(operator,), change=doing(_average_pairs, draft, operator))


def perm_changed(draft: Draft) -> Iterator[Place]:
    """Return transposes with another order of axes that gives the same shape."""
    for operator in of(draft, "Transpose"):
        shape, perm = _shape(draft, operator), _perm(draft, operator)
        if shape is None or perm is None:
            continue
        for other in itertools.permutations(range(len(shape))):
            if list(other) != perm and [shape[axis] for axis in other] == [shape[axis] for axis in perm]:
                yield Place(operators=(operator,), change=doing(_permute, draft, operator, other))


def slice_moved(draft: Draft) -> Iterator[Place]:
    """Return slices that begin elsewhere."""
    for operator in of(draft, "Slice"):
        if draft.constant_shape(operator, 1) is not None and draft.constant_shape(operator, 2) is not None:
            yield Place(operators=(operator,), change=doing(_slide, draft, operator))


def attention_changed(draft: Draft) -> Iterator[Place]:
    """Return attention as one operator: causal or not, with a window or none, of another sharpness."""
    for operator in draft.operators:
        if operator.type == "GroupQueryAttention":
            yield _set(draft, operator, "local_window_size", 2)
        if operator.type == "MultiHeadAttention":
            yield _set(draft, operator, "unidirectional", 1 - (draft.attribute(operator, "unidirectional") or 0))
        if operator.written == "SOFTMAX":
            yield _set(draft, operator, "beta", 0.5)


def gelu_by_tanh(draft: Draft) -> Iterator[Place]:
    """Return exact GELUs, which become the tanh approximation."""
    for operator in of(draft, "Gelu"):
        yield _set(draft, operator, "approximate", "tanh" if draft.attribute(operator, "approximate") is None else True)


def activation_fused(draft: Draft) -> Iterator[Place]:
    """Return operators of TFLite that clip what they give at 0."""
    for operator in draft.operators:
        if draft.attribute(operator, "fusedActivationFunction") == 0 and draft.is_float(draft.outputs(operator)[0]):
            yield _set(draft, operator, "fusedActivationFunction", 1)


def depth_order_changed(draft: Draft) -> Iterator[Place]:
    """Return what makes space of channels, which counts them in the other order."""
    for operator in of(draft, "DepthToSpace"):
        mode = draft.attribute(operator, "mode")
        if draft.attribute(operator, "blocksize") is not None:
            yield _set(draft, operator, "mode", "DCR" if mode == b"CRD" else "CRD")


def _set(draft: Draft, operator: Operator, name: str, value: Any) -> Place:
    return Place(operators=(operator,), change=doing(draft.set_attribute, operator, name, value))


def _shape(draft: Draft, operator: Operator) -> tuple[Any, ...] | None:
    value = draft.inputs(operator)[0]
    return None if value is None else draft.shape(value)


def _round_up(draft: Draft, operator: Operator) -> None:
    if draft.attribute(operator, "alignCorners") is None:
        draft.set_attribute(operator, "coordinate_transformation_mode", "asymmetric")
        draft.set_attribute(operator, "nearest_mode", "ceil")
    else:
        draft.set_attribute(operator, "halfPixelCenters", value=False)
        draft.set_attribute(operator, "alignCorners", value=True)


def _moved(sides: Any) -> Any:
    """Return paddings [begin or end, axis] on the other side; even ones are moved by one step."""
    uneven = (sides[0] != sides[1]).any()
    return sides[::-1] if uneven else np.stack([sides[0] - (sides[0] > 0), sides[1] + (sides[1] > 0)])


def _move(draft: Draft, operator: Operator) -> None:
    old = draft.constant(operator, 1)
    new = _moved(old.reshape(2, -1)).reshape(old.shape) if old.ndim == 1 else _moved(old.T).T
    give(draft, operator, 1, new)


def _dilate(draft: Draft, operator: Operator) -> None:
    if draft.attribute(operator, "dilationHFactor") is not None:
        if draft.attribute(operator, "padding") != 0:  # only SAME keeps the shape
            raise NoPlaceError
        draft.set_attribute(operator, "dilationHFactor", 2)
        draft.set_attribute(operator, "dilationWFactor", 2)
        return
    draft.set_attribute(operator, "dilations", [2, 2])
    draft.set_attribute(operator, "pads", [side + 1 for side in draft.attribute(operator, "pads") or [0] * 4])


def _other_axis(draft: Draft, operator: Operator, random: np.random.Generator) -> None:
    """Reduce along another axis, of the same size where the reduced one is left out, for all behind counts on it."""
    old, shape = draft.constant(operator, 1), _shape(draft, operator) or ()
    axis, kept = int(old[0]) % len(shape), _keeps(draft, operator)
    others = [other for other, size in enumerate(shape) if other != axis and (kept or size == shape[axis])]
    if not others:
        raise NoPlaceError
    give(draft, operator, 1, np.array([others[random.integers(len(others))]]))


def _keeps(draft: Draft, operator: Operator) -> bool:
    """Return whether a reduction leaves an axis of one behind; ONNX's does if it does not say."""
    said = [draft.attribute(operator, name) for name in ("keepdims", "keepDims")]
    return all(value is None or bool(value) for value in said)


def _regroup(draft: Draft, reshape: Operator, norm: Operator) -> None:
    target = draft.constant(reshape, 1).copy()
    groups = (draft.constant_shape(norm, 1) or (0,))[0]
    if target.size < 3 or target[1] != groups or groups % 2:
        raise NoPlaceError
    target[1] //= 2
    target[2] *= 2 if target[2] > 0 else 1
    draft.set_constant(reshape, 1, target)
    for slot in (1, 2):
        draft.set_constant(norm, slot, draft.constant(norm, slot)[: groups // 2])


def _average_pairs(draft: Draft, operator: Operator) -> None:
    """Let a matrix that averages over groups of channels average over groups twice as large."""
    old = draft.constant(operator, 1)
    size = int((old[0] != 0).sum())
    blocks = np.kron(np.eye(len(old) // max(size, 1)), np.ones((size, size)))
    if not size or blocks.shape != old.shape or not np.array_equal(old != 0, blocks != 0) or len(old) % (2 * size):
        raise NoPlaceError
    give(draft, operator, 1, np.kron(np.eye(len(old) // (2 * size)), np.ones((2 * size, 2 * size))) * old[0, 0] / 2)


def _perm(draft: Draft, operator: Operator) -> list[int] | None:
    if draft.constant_shape(operator, 1) is not None:
        return [int(axis) for axis in draft.constant(operator, 1)]
    perm = draft.attribute(operator, "perm")
    return None if perm is None else [int(axis) for axis in perm]


def _permute(draft: Draft, operator: Operator, perm: tuple[int, ...]) -> None:
    if draft.constant_shape(operator, 1) is not None:
        give(draft, operator, 1, np.array(perm))
    else:
        draft.set_attribute(operator, "perm", list(perm))


def _slide(draft: Draft, operator: Operator) -> None:
    """Let a slice begin as far behind as it is long, or as far in front, or one step aside."""
    starts, second = draft.constant(operator, 1), draft.constant(operator, 2)
    shape = _shape(draft, operator) or ()
    axes = draft.constant(operator, 3) if draft.constant_shape(operator, 3) is not None else np.arange(len(starts))
    sized = operator.written == "SLICE"  # TFLite says how long a slice is, ONNX where it ends
    for place, axis in enumerate(axes):
        whole, start = shape[int(axis)], int(starts[place])
        length = int(second[place]) - (0 if sized else start)
        for moved in (start + length, start - length, start + 1, start - 1) if isinstance(whole, int) else ():
            if 0 <= moved != start and moved + length <= whole and length > 0:
                new = starts.copy()
                new[place] = moved
                give(draft, operator, 1, new)
                if not sized:
                    ends = second.copy()
                    ends[place] = moved + length
                    give(draft, operator, 2, ends)
                return
    raise NoPlaceError
