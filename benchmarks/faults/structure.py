"""Faults of what the graph says: settings, wiring, order, types of operators and of values."""

import itertools
from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from faults.draft import Draft, NoPlaceError, Operator, Value
from faults.place import Place, doing
from faults.places import give

REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax")
OTHERS: Mapping[str, str] = MappingProxyType(
    {
        "Add": "Sub",
        "Sub": "Add",
        "Mul": "Add",
        "Div": "Mul",
        "Max": "Min",
        "Min": "Max",
        "Sigmoid": "Tanh",
        "Tanh": "Sigmoid",
        "ReduceMean": "ReduceSum",
        "Sqrt": "Exp",
        "ReduceMax": "ReduceMin",
        "ArgMin": "ArgMax",
    }
)
"""What an operator is mistaken for."""
FAR = 60
"""Operators between two whose outputs are exchanged."""


def resize_rounded(draft: Draft) -> Iterator[Place]:
    """Return resizes by the nearest value, which becomes the next one."""
    for operator in _of(draft, "Resize"):
        yield Place(operators=(operator,), change=doing(_round_up, draft, operator))


def padding_moved(draft: Draft) -> Iterator[Place]:
    """Return paddings, which move to the other side."""
    for operator in _of(draft, "Conv"):
        pads = draft.attribute(operator, "pads")
        if isinstance(pads, list | tuple) and any(pads):
            moved = _moved(np.array(pads).reshape(2, -1))
            yield Place(
                operators=(operator,),
                change=doing(draft.set_attribute, operator, "pads", moved.ravel().tolist()),
            )
    for operator in _of(draft, "Pad"):
        if draft.constant_shape(operator, 1) is not None:
            yield Place(operators=(operator,), change=doing(_move, draft, operator))


def dilated(draft: Draft) -> Iterator[Place]:
    """Return convolutions with kernels of 3, which reach two steps far."""
    for operator in _of(draft, "Conv"):
        shape = draft.constant_shape(operator, 1)
        if shape is not None and shape.count(3) >= 2:
            yield Place(operators=(operator,), change=doing(_dilate, draft, operator))


def axis_changed(draft: Draft) -> Iterator[Place]:
    """Return reductions, norms and softmaxes, along another axis."""
    for operator in _of(draft, *REDUCTIONS):
        shape = _shape(draft, operator)
        if shape and draft.constant_shape(operator, 1) == (1,):
            yield Place(operators=(operator,), change=partial(_other_axis, draft, operator))
    for operator in _of(draft, "Softmax", "LayerNormalization"):
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
    for operator in _of(draft, "InstanceNormalization"):
        reshape = by_output.get(draft.inputs(operator)[0])
        if reshape is not None and reshape.type == "Reshape" and draft.constant_shape(reshape, 1) is not None:
            yield Place(operators=(reshape, operator), change=doing(_regroup, draft, reshape, operator))
    for operator in _of(draft, "Gemm"):
        shape = draft.constant_shape(operator, 1)
        if shape is not None and shape[0] == shape[1] <= 1024:
            yield Place(operators=(operator,), change=doing(_average_pairs, draft, operator))


def rotary_halves(draft: Draft) -> Iterator[Place]:
    """Return rotary embeddings of the other convention, and pairs of slices that take each other's part."""
    for operator in _of(draft, "RotaryEmbedding"):
        value = 1 - (draft.attribute(operator, "interleaved") or 0)
        yield Place(
            operators=(operator,),
            change=doing(draft.set_attribute, operator, "interleaved", value),
            causes=("swapped-rotary-halves", "wrong-attribute"),
        )
    for first, second in itertools.pairwise(_of(draft, "Slice")):
        same = draft.inputs(first)[0] == draft.inputs(second)[0] and first.scope is second.scope
        if same and _exchangeable(draft, first, second):
            yield Place(operators=(first, second), change=doing(draft.exchange_outputs, first, second))


def operands_swapped(draft: Draft) -> Iterator[Place]:
    """Return differences, quotients and square products, with their operands exchanged."""
    for operator in _of(draft, "Sub", "Div", "MatMul"):
        shapes = [draft.shape(value) for value in draft.inputs(operator)[:2] if value is not None]
        square = operator.type != "MatMul" or (shapes[0] is not None and shapes[0] == shapes[1])
        if square and _floating(draft, operator):
            yield Place(operators=(operator,), change=doing(_swap, draft, operator))


def operator_replaced(draft: Draft) -> Iterator[Place]:
    """Return operators that can be mistaken for another."""
    for operator in _of(draft, *OTHERS):
        if _floating(draft, operator) or operator.type == "ArgMin":
            yield Place(operators=(operator,), change=doing(draft.retype, operator, OTHERS[operator.type]))


def input_rewired(draft: Draft) -> Iterator[Place]:
    """Return inputs in whose place an operator can read another tensor of the same shape."""
    for operator in draft.operators:
        for slot, value in enumerate(draft.inputs(operator)):
            if value is None or draft.constant_shape(operator, slot) is not None or not draft.is_float(value):
                continue
            if any(True for _ in _like(draft, operator, value)):
                yield Place(
                    operators=(operator,),
                    change=partial(_rewire, draft, operator, slot, value),
                )


def outputs_exchanged(draft: Draft) -> Iterator[Place]:
    """Return two operators whose outputs have one shape, neither of which is read before both are there."""
    for place, first in enumerate(draft.operators):
        for second in draft.operators[place + 1 : place + FAR]:
            if first.scope is second.scope and _exchangeable(draft, first, second):
                yield Place(operators=(first, second), change=doing(draft.exchange_outputs, first, second))


def input_rounded(draft: Draft) -> Iterator[Place]:
    """Return inputs that pass through float16."""
    for operator in draft.operators:
        for slot, value in enumerate(draft.inputs(operator)):
            if value is not None and draft.is_float(value) and draft.constant_shape(operator, slot) is None:
                yield Place(operators=(operator,), change=doing(draft.round_input, operator, slot))


def perm_changed(draft: Draft) -> Iterator[Place]:
    """Return transposes with another order of axes that gives the same shape."""
    for operator in _of(draft, "Transpose"):
        shape, perm = _shape(draft, operator), _perm(draft, operator)
        if shape is None or perm is None:
            continue
        for other in itertools.permutations(range(len(shape))):
            if list(other) != perm and [shape[axis] for axis in other] == [shape[axis] for axis in perm]:
                yield Place(operators=(operator,), change=doing(_permute, draft, operator, other))


def concat_reversed(draft: Draft) -> Iterator[Place]:
    """Return what joins tensors of floats, in the other order."""
    for operator in _of(draft, "Concat"):
        values = draft.inputs(operator)
        if len(set(values)) > 1 and all(value is not None and draft.is_float(value) for value in values):
            yield Place(operators=(operator,), change=doing(_reverse, draft, operator))


def slice_moved(draft: Draft) -> Iterator[Place]:
    """Return slices that begin elsewhere."""
    for operator in _of(draft, "Slice"):
        if draft.constant_shape(operator, 1) is not None and draft.constant_shape(operator, 2) is not None:
            yield Place(operators=(operator,), change=doing(_slide, draft, operator))


def _of(draft: Draft, *types: str) -> list[Operator]:
    return [operator for operator in draft.operators if operator.type in types]


def _shape(draft: Draft, operator: Operator) -> tuple[Any, ...] | None:
    value = draft.inputs(operator)[0]
    return None if value is None else draft.shape(value)


def _floating(draft: Draft, operator: Operator) -> bool:
    """Return whether an operator gives floats, or lies in a function, whose types a file does not say."""
    value = draft.outputs(operator)[0]
    return draft.is_float(value) or draft.shape(value) is None


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


def _exchangeable(draft: Draft, first: Operator, second: Operator) -> bool:
    one, other = draft.outputs(first)[0], draft.outputs(second)[0]
    shape = draft.shape(one)
    if shape is None or shape != draft.shape(other) or not (draft.is_float(one) and draft.is_float(other)):
        return False
    return all(one not in draft.inputs(between) for between in draft.operators[first.index + 1 : second.index + 1])


def _swap(draft: Draft, operator: Operator) -> None:
    one, other = draft.inputs(operator)[:2]
    if one == other:
        raise NoPlaceError
    draft.connect(operator, 0, other)
    draft.connect(operator, 1, one)


def _like(draft: Draft, operator: Operator, value: Value) -> Iterator[Value]:
    """Yield other tensors of the same shape that are there before an operator, in the graph that it lies in."""
    shape, read = draft.shape(value), draft.inputs(operator)
    before = reversed(draft.operators[: operator.index]) if shape else ()
    given = (output for other in before if other.scope is operator.scope for output in draft.outputs(other))
    return (item for item in given if draft.shape(item) == shape and draft.is_float(item) and item not in read)


def _rewire(draft: Draft, operator: Operator, slot: int, value: Value, random: np.random.Generator) -> None:
    values = list(_like(draft, operator, value))
    draft.connect(operator, slot, values[random.integers(len(values))])


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


def _reverse(draft: Draft, operator: Operator) -> None:
    for slot, value in enumerate(reversed(draft.inputs(operator))):
        draft.connect(operator, slot, value)


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
