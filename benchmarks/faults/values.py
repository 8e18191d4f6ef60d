"""Faults of values: weights, biases, gains and single numbers."""

import itertools
from collections.abc import Iterator

import numpy as np

from faults.draft import Array, Draft, NoPlaceError, Operator
from faults.place import Place, doing
from faults.places import DENSE, Change, Slot, biases, changing, gains, give, numbers, of, setting, weights

EPSILON = 1e-3
"""A number that is added and is smaller is an epsilon."""
MASKING = 1e4
"""A number that is larger hides what a mask hides."""
NOISE = 0.05
"""Of the values' deviation."""
LEVELS = (7, 31)
"""On each side of 0: of 4 bits and of 6."""
DAMAGE = 100
ROWS = 16
"""Fewest rows of a table that a run is sure to read more than the first of."""
QUERY, KEY = ("wq", "q_proj"), ("wk", "k_proj")


def kernel_transposed(draft: Draft) -> Iterator[Place]:
    """Return kernels with two axes of one size: rows and columns, or inputs and outputs."""
    for operator, slot in weights(draft):
        shape = draft.constant_shape(operator, slot) or ()
        pairs = draft.kernel_axes if len(shape) == 4 else ((len(shape) - 2, len(shape) - 1),)
        for one, other in pairs if operator.type in DENSE else ():
            if shape[one] == shape[other] > 1:
                yield from changing(draft, [(operator, slot)], _swapping(one, other))


def bias_missing(draft: Draft) -> Iterator[Place]:
    """Return biases, which become zero."""
    return changing(draft, biases(draft), lambda old, _: np.zeros_like(old))


def bias_doubled(draft: Draft) -> Iterator[Place]:
    """Return biases, which are added twice."""
    return changing(draft, biases(draft), lambda old, _: 2 * old)


def bias_halved(draft: Draft) -> Iterator[Place]:
    """Return biases, of which half is added."""
    return changing(draft, biases(draft), lambda old, _: old / 2)


def gain_left_at_one(draft: Draft) -> Iterator[Place]:
    """Return gains of norms, which become 1 as before training."""
    return changing(draft, gains(draft), lambda old, _: np.ones_like(old))


def weights_clipped(draft: Draft) -> Iterator[Place]:
    """Return weights, clipped at a deviation."""
    return changing(draft, weights(draft), lambda old, _: np.clip(old, -old.std(), old.std()))


def weights_of_another_seed(draft: Draft) -> Iterator[Place]:
    """Return weights, which become others of the same mean and deviation."""
    return changing(draft, weights(draft), lambda old, random: random.normal(old.mean(), old.std(), old.shape))


def weights_noisy(draft: Draft) -> Iterator[Place]:
    """Return weights, which get noise of a twentieth of their deviation."""
    return changing(draft, weights(draft), lambda old, random: old + random.normal(0, NOISE * old.std(), old.shape))


def weights_scaled(draft: Draft) -> Iterator[Place]:
    """Return weights, multiplied by one number."""
    return changing(draft, weights(draft), lambda old, random: old * random.choice([0.5, 0.9, 1.1, 2]))


def weights_zeroed(draft: Draft) -> Iterator[Place]:
    """Return weights, all of which become 0."""
    return changing(draft, weights(draft), lambda old, _: np.zeros_like(old))


def weights_rounded(draft: Draft) -> Iterator[Place]:
    """Return weights, rounded to 4 or 6 bits with one scale."""
    return changing(draft, weights(draft), _rounded)


def table_rounded(draft: Draft) -> Iterator[Place]:
    """Return tables of sines and cosines, rounded to float16."""
    return changing(draft, (slot for slot in weights(draft) if slot[0].type == "Gather"), _half)


def table_shifted(draft: Draft) -> Iterator[Place]:
    """Return tables that are looked up, each row one further."""
    tables = (slot for slot in weights(draft) if slot[0].type == "Gather")
    return changing(draft, tables, lambda old, _: np.roll(old, 1, axis=0))


def weights_of_another_layer(draft: Draft) -> Iterator[Place]:
    """Return weights of which the model has others of the same shape: one gets the other's."""
    for first, second in _alike(draft):
        yield Place(operators=(first[0],), change=doing(_copy, draft, first, second))


def weights_exchanged(draft: Draft) -> Iterator[Place]:
    """Return weights of which the model has others of the same shape: both get the other's."""
    for first, second in _alike(draft):
        yield Place(operators=(first[0], second[0]), change=doing(_exchange, draft, first, second))


def query_key_permuted(draft: Draft) -> Iterator[Place]:
    """Return query and key weights of one layer, in the order of the other rotary convention."""
    heads = next((shape[1] for name, shape in draft.graph_inputs().items() if "key" in name and len(shape) == 4), 0)
    found = [slot for slot in weights(draft) if slot[0].type in DENSE and heads]
    queries, keys = ([slot for slot in found if _named(draft, slot, words)] for words in (QUERY, KEY))
    for query, key in zip(queries, keys, strict=False):
        yield Place(
            operators=(query[0], key[0]),
            change=doing(_permute, draft, (query, key), int(heads)),
        )


def epsilon_larger(draft: Draft) -> Iterator[Place]:
    """Return epsilons, which become ten times as large."""
    return _epsilons(draft, 10)


def epsilon_doubled(draft: Draft) -> Iterator[Place]:
    """Return epsilons, which become twice as large."""
    return _epsilons(draft, 2)


def mask_overflow(draft: Draft) -> Iterator[Place]:
    """Return the numbers that hide, which become infinite."""
    for operator, slot, value in numbers(draft, ("Where", "Add", "Mul", "Sub", "Pad")):
        if abs(value) >= MASKING and np.isfinite(value):
            yield setting(draft, operator, slot, np.copysign(np.inf, value))


def mask_too_small(draft: Draft) -> Iterator[Place]:
    """Return the numbers that hide, which become too small to."""
    for operator, slot, value in numbers(draft, ("Where", "Add", "Mul", "Sub", "Pad")):
        if abs(value) >= MASKING:
            yield setting(draft, operator, slot, np.copysign(2, value))
    for operator in draft.operators:
        if (draft.attribute(operator, "mask_filter_value") or 0) < -MASKING:
            yield Place(
                operators=(operator,),
                change=doing(draft.set_attribute, operator, "mask_filter_value", -2.0),
                causes=("wrong-attribute",),
            )


def scale_changed(draft: Draft) -> Iterator[Place]:
    """Return the numbers that scale, the attention's among them: larger by the root of 2."""
    for operator, slot, value in numbers(draft, ("Mul", "Div")):
        if EPSILON < abs(value) < MASKING:
            yield setting(draft, operator, slot, value * 2**0.5)
    for operator in draft.operators:
        scale = draft.attribute(operator, "scale")
        if isinstance(scale, float) and scale:
            yield Place(
                operators=(operator,),
                change=doing(draft.set_attribute, operator, "scale", scale * 2**0.5),
                causes=("wrong-attribute",),
            )


def divisor_less_one(draft: Draft) -> Iterator[Place]:
    """Return the counts that a sum is divided by, less one: the unbiased mean of squares."""
    for operator, slot, value in numbers(draft, ("Div",)):
        if value >= 2 and value.is_integer():
            yield setting(draft, operator, slot, value - 1)


def bounds_halved(draft: Draft) -> Iterator[Place]:
    """Return the bounds of what is clipped, which become half as large."""
    for operator, slot, value in numbers(draft, ("Clip", "Max", "Min")):
        if 0 < abs(value) < MASKING:
            yield setting(draft, operator, slot, value / 2)


def integer_off_by_one(draft: Draft) -> Iterator[Place]:
    """Return whole numbers that positions and lengths are counted with, one more."""
    for operator in of(draft, "Add", "Sub", "Mul", "Range"):
        for slot in draft.slots(operator):
            if np.prod(draft.constant_shape(operator, slot) or ()) == 1:
                yield Place(operators=(operator,), change=doing(_count_on, draft, operator, slot))


def sign_flipped(draft: Draft) -> Iterator[Place]:
    """Return single numbers, with the other sign."""
    for operator, slot, value in numbers(draft, ("Mul", "Div", "Add", "Sub")):
        if value:
            yield setting(draft, operator, slot, -value)


def variance_unbiased(draft: Draft) -> Iterator[Place]:
    """Return gains of norms over the last axes, as of a variance that is divided by one less than the count."""
    for operator in of(draft, "InstanceNormalization"):
        shape = draft.shape(draft.inputs(operator)[0] or "") or ()
        count = int(np.prod([size for size in shape[2:] if isinstance(size, int)]))
        if draft.constant_shape(operator, 1) is not None and count > 1:
            yield from changing(draft, [(operator, 1)], _scaling((1 - 1 / count) ** 0.5))
    for operator in of(draft, "GroupNorm32"):
        count = (draft.constant_shape(operator, 3) or (0,))[0]
        if count > 1:
            yield from changing(draft, [(operator, 3)], _scaling((1 - 1 / count) ** 0.5))


def weight_damaged(draft: Draft) -> Iterator[Place]:
    """Return weights of which one value is a hundred deviations large."""
    return changing(draft, weights(draft), _damaged)


def _epsilons(draft: Draft, factor: float) -> Iterator[Place]:
    for operator, slot, value in numbers(draft, ("Add", "Max")):
        if 0 < value < EPSILON:
            yield setting(draft, operator, slot, value * factor)
    for operator in draft.operators:
        value = draft.attribute(operator, "epsilon")
        if isinstance(value, float):
            yield Place(
                operators=(operator,),
                change=doing(draft.set_attribute, operator, "epsilon", value * factor),
            )


def _alike(draft: Draft) -> Iterator[tuple[Slot, Slot]]:
    found = list(weights(draft))
    for first, second in itertools.permutations(found, 2):
        same = first[0].type == second[0].type and draft.constant_shape(*first) == draft.constant_shape(*second)
        if same and draft.constant_name(*first) != draft.constant_name(*second):
            yield first, second


def _copy(draft: Draft, first: Slot, second: Slot) -> None:
    give(draft, *first, draft.constant(*second))


def _exchange(draft: Draft, first: Slot, second: Slot) -> None:
    one, other = draft.constant(*first), draft.constant(*second)
    give(draft, *first, other)
    give(draft, *second, one)


def _named(draft: Draft, slot: Slot, words: tuple[str, ...]) -> bool:
    parts = draft.constant_name(*slot).replace(".", "/").split("/")
    return any(word in parts for word in words)


def _permute(draft: Draft, pair: tuple[Slot, ...], heads: int) -> None:
    """Put the even columns of each head in front of the odd ones, as Hugging Face does for its rotary convention."""
    for operator, slot in pair:
        kernel = draft.constant(operator, slot)
        outputs_first = operator.type == "Gemm" and draft.attribute(operator, "transB") != 0
        columns = kernel if outputs_first else kernel.T
        moved = columns.reshape(heads, -1, 2, columns.shape[1]).swapaxes(1, 2).reshape(columns.shape)
        give(draft, operator, slot, moved if outputs_first else moved.T)


def _swapping(one: int, other: int) -> Change:
    return lambda old, _: np.swapaxes(old, one, other)


def _scaling(factor: float) -> Change:
    return lambda old, _: old * factor


def _count_on(draft: Draft, operator: Operator, slot: int) -> None:
    old = draft.constant(operator, slot)
    if not np.issubdtype(old.dtype, np.integer):
        raise NoPlaceError
    give(draft, operator, slot, old + 1)


def _damaged(old: Array, random: np.random.Generator) -> Array:
    new = old.copy()
    new.flat[random.integers(new.size)] = DAMAGE * old.std()
    return new


def _rounded(old: Array, random: np.random.Generator) -> Array:
    step = np.abs(old).max() / random.choice(LEVELS)
    if not step:
        raise NoPlaceError
    return np.asarray(np.round(old / step) * step)


def _half(old: Array, _: np.random.Generator) -> Array:
    if len(old) < ROWS or np.abs(old).max() > 1 or not np.isin(np.abs(old[0]), (0, 1)).all():
        raise NoPlaceError
    return old.astype(np.float16)
