"""Faults of wiring and order: what reads what, which operator it is, and what a value passes through."""

import itertools
from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np

from faults.draft import Draft, NoPlaceError, Operator, Value
from faults.place import Place, doing
from faults.places import of

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
CONDITIONS: Mapping[str, str] = MappingProxyType(
    {
        "GreaterOrEqual": "Greater",
        "Greater": "GreaterOrEqual",
        "LessOrEqual": "Less",
        "Less": "LessOrEqual",
        "And": "Or",
        "Or": "And",
    }
)


def rotary_halves(draft: Draft) -> Iterator[Place]:
    """Return rotary embeddings of the other convention, and pairs of slices that take each other's part."""
    for operator in of(draft, "RotaryEmbedding"):
        value = 1 - (draft.attribute(operator, "interleaved") or 0)
        yield Place(
            operators=(operator,),
            change=doing(draft.set_attribute, operator, "interleaved", value),
            causes=("swapped-rotary-halves", "wrong-attribute"),
        )
    for first, second in itertools.pairwise(of(draft, "Slice")):
        same = draft.inputs(first)[0] == draft.inputs(second)[0] and first.scope is second.scope
        if same and _exchangeable(draft, first, second):
            yield Place(operators=(first, second), change=doing(draft.exchange_outputs, first, second))


def operands_swapped(draft: Draft) -> Iterator[Place]:
    """Return differences, quotients, choices and square products, with two operands exchanged."""
    for operator in of(draft, "Sub", "Div", "MatMul", "Where"):
        first = 1 if operator.type == "Where" else 0
        shapes = [draft.shape(value) for value in draft.inputs(operator)[first : first + 2] if value is not None]
        square = operator.type != "MatMul" or (shapes[0] is not None and shapes[0] == shapes[1])
        if square and _floating(draft, operator):
            yield Place(operators=(operator,), change=doing(_swap, draft, operator, first))


def operand_repeated(draft: Draft) -> Iterator[Place]:
    """Return operators of two operands of one shape, which read one of them twice: a residual that is lost."""
    for operator in of(draft, "Add", "Sub", "Mul", "Div", "Max", "Min"):
        one, other = draft.inputs(operator)[:2]
        if one is None or other is None or one == other or draft.shape(one) != draft.shape(other):
            continue
        for slot, value in ((0, other), (1, one)) if draft.is_float(one) and draft.is_float(other) else ():
            yield Place(operators=(operator,), change=doing(draft.connect, operator, slot, value))


def operator_replaced(draft: Draft) -> Iterator[Place]:
    """Return operators that can be mistaken for another."""
    for operator in of(draft, *OTHERS):
        if _floating(draft, operator) or operator.type == "ArgMin":
            yield Place(operators=(operator,), change=doing(draft.retype, operator, OTHERS[operator.type]))


def operator_skipped(draft: Draft) -> Iterator[Place]:
    """Return operators that give what they read its shape: those behind read that instead."""
    readers = _readers(draft)
    for operator in draft.operators:
        given = draft.outputs(operator)[0]
        behind = readers.get(given, [])
        for value in draft.inputs(operator):
            if value is None or not behind or not draft.is_float(value) or value in draft.outputs(operator):
                continue
            if draft.shape(value) == draft.shape(given) is not None and draft.is_float(given):
                yield Place(operators=(operator, *behind), change=doing(_skip, draft, given, value, behind))
                break


def comparison_changed(draft: Draft) -> Iterator[Place]:
    """Return comparisons that draw the line one step off, and joined conditions of which one is enough."""
    for operator in of(draft, *CONDITIONS):
        yield Place(operators=(operator,), change=doing(draft.retype, operator, CONDITIONS[operator.type]))


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
    readers = _readers(draft)
    for place, first in enumerate(draft.operators):
        for second in draft.operators[place + 1 : place + FAR]:
            if first.scope is second.scope and _exchangeable(draft, first, second):
                change = doing(draft.exchange_outputs, first, second)
                given = draft.outputs(first)[0], draft.outputs(second)[0]
                if (reader := _only_reader(readers, *given)) is None:
                    yield Place(operators=(first, second), change=change)
                else:  # the same model as one whose reader has its operands swapped
                    causes = ("swapped-inputs", "wrong-wiring", "wrong-order")
                    yield Place(operators=(first, second, reader), change=change, causes=causes)


def input_rounded(draft: Draft) -> Iterator[Place]:
    """Return inputs that pass through float16."""
    for operator in draft.operators:
        for slot, value in enumerate(draft.inputs(operator)):
            if value is not None and draft.is_float(value) and draft.constant_shape(operator, slot) is None:
                yield Place(operators=(operator,), change=doing(draft.round_input, operator, slot))


def computed_in_half(draft: Draft) -> Iterator[Place]:
    """Return products and sums, computed in float16 between casts."""
    for operator in of(draft, "Conv", "MatMul", "ReduceSum", "ReduceMean") if draft.has_half else ():
        if draft.is_float(draft.outputs(operator)[0]) and not operator.nested:
            yield Place(operators=(operator,), change=doing(draft.narrow, operator))


def concat_reversed(draft: Draft) -> Iterator[Place]:
    """Return what joins tensors of floats, in the other order."""
    for operator in of(draft, "Concat"):
        values = draft.inputs(operator)
        if len(set(values)) > 1 and all(value is not None and draft.is_float(value) for value in values):
            yield Place(operators=(operator,), change=doing(_reverse, draft, operator))


def _floating(draft: Draft, operator: Operator) -> bool:
    """Return whether an operator gives floats, or lies in a function, whose types a file does not say."""
    value = draft.outputs(operator)[0]
    return draft.is_float(value) or draft.shape(value) is None


def _readers(draft: Draft) -> dict[Value, list[Operator]]:
    readers: dict[Value, list[Operator]] = {}
    for operator in draft.operators:
        for value in dict.fromkeys(draft.inputs(operator)):
            readers.setdefault(value, []).append(operator)
    return readers


def _only_reader(readers: Mapping[Value, list[Operator]], first: Value, second: Value) -> Operator | None:
    """Return the operator that alone reads two values, None where others read them."""
    one, other = readers.get(first, []), readers.get(second, [])
    return one[0] if len(one) == 1 and one == other else None


def _exchangeable(draft: Draft, first: Operator, second: Operator) -> bool:
    one, other = draft.outputs(first)[0], draft.outputs(second)[0]
    shape = draft.shape(one)
    if shape is None or shape != draft.shape(other) or not (draft.is_float(one) and draft.is_float(other)):
        return False
    return all(one not in draft.inputs(between) for between in draft.operators[first.index + 1 : second.index + 1])


def _swap(draft: Draft, operator: Operator, slot: int) -> None:
    one, other = draft.inputs(operator)[slot : slot + 2]
    if one == other:
        raise NoPlaceError
    draft.connect(operator, slot, other)
    draft.connect(operator, slot + 1, one)


def _skip(draft: Draft, given: Value, value: Value, behind: list[Operator]) -> None:
    for operator in behind:
        for slot, read in enumerate(draft.inputs(operator)):
            if read == given:
                draft.connect(operator, slot, value)


def _like(draft: Draft, operator: Operator, value: Value) -> Iterator[Value]:
    """Yield other tensors of the same shape that are there before an operator, in the graph that it lies in."""
    shape, read = draft.shape(value), draft.inputs(operator)
    before = reversed(draft.operators[: operator.index]) if shape else ()
    given = (output for other in before if other.scope is operator.scope for output in draft.outputs(other))
    return (item for item in given if draft.shape(item) == shape and draft.is_float(item) and item not in read)


def _rewire(draft: Draft, operator: Operator, slot: int, value: Value, random: np.random.Generator) -> None:
    values = list(_like(draft, operator, value))
    draft.connect(operator, slot, values[random.integers(len(values))])


def _reverse(draft: Draft, operator: Operator) -> None:
    for slot, value in enumerate(reversed(draft.inputs(operator))):
        draft.connect(operator, slot, value)
