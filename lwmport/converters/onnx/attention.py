"""Forms of causal attention with a cache: one operator for what is not padded, and for a lone token; else a loop.

None of ONNX Runtime's operators takes padding on the left without a mask of all queries by all keys, but for a lone
query that mask is a row. So which one runs is decided when the model runs, by one test of the mask for all layers.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.emitter import Emitter, identity, permuted
from lwmport.converters.onnx.heads import BESIDE, bind_merged, merged, merged_shape
from lwmport.graphs.atoms import composite_attributes, shape_of
from lwmport.graphs.blockwise import attention_operands, in_blocks, is_narrow, scale_operands
from lwmport.graphs.simplify import simplify
from lwmport.types import ROOM

MICROSOFT: Final = "com.microsoft"
CODED: Final = {"k_quant_type": "PER_CHANNEL", "v_quant_type": "PER_CHANNEL", "kv_cache_bit_width": 8}
"""Attributes of GroupQueryAttention for a cache of int8."""

MASKED: Final = float(np.finfo(np.float32).min)
"""What the score of a padded key becomes, as in the decomposition."""

Fused: TypeAlias = Callable[[Emitter, Any, Sequence[ir.Value]], list[ir.Value]]
"""Emits one operator on queries, keys and values [b, s, h * d]; returns attention [b, s, h * d], keys and values."""


def group_query_attention(e: Emitter, equation: Any) -> None:
    """Emit Microsoft's GroupQueryAttention, which keeps no scores, or MultiHeadAttention for a lone token.

    The first takes several tokens behind others only one sequence at a time. It alone takes a cache of another dtype
    than what is computed, a lone token behind padding too: the row that hides the padding is added to its scores.
    """
    query, _, _, past, _, mask = attention_operands(equation)
    batch, _, length, _ = shape_of(query)
    e.graph.metadata.update([ROOM])

    def condition() -> ir.Value:
        return _and(e, _unpadded(e, mask), _one_at_a_time(e, (batch, shape_of(past)[2], length)))

    alone = _hiding_group_query if is_narrow(equation) else None if _shares(equation) else _multi_head
    _choose(e, equation, _group_query, alone, condition)


HEAD_SIZES: Final = 8
"""GroupQueryAttention takes head sizes that are a multiple of it (ONNX Runtime, group_query_attention_helper.h)."""


def fits_group_query(equation: Any) -> bool:
    """Return whether GroupQueryAttention takes heads of this size."""
    size = shape_of(attention_operands(equation)[0])[3]
    return isinstance(size, int) and size % HEAD_SIZES == 0


def is_as_wide(equation: Any) -> bool:
    """Return whether the cache has the dtype of what is computed."""
    return not is_narrow(equation)


def may_be_alone(equation: Any) -> bool:
    """Return whether there is one query, or any number of them, each with heads of keys of its own."""
    length = shape_of(attention_operands(equation)[0])[2]
    own = not _shares(equation) and not is_narrow(equation)
    return own and (length == 1 or not isinstance(length, int))


def _shares(equation: Any) -> bool:
    """Return whether heads of queries share heads of keys, which MultiHeadAttention does not compute."""
    query, key, *_ = attention_operands(equation)
    return bool(shape_of(query)[1] != shape_of(key)[1])


def multi_head_attention(e: Emitter, equation: Any) -> None:
    """Emit MultiHeadAttention for a lone token, and the loop for several: it has no limit on the size of heads."""
    out, *present = equation.outvars
    operands = attention_operands(equation)
    heads = [merged(e, atom) for atom in operands[:3]]
    for atom in operands[3:]:
        e.read(atom)
    length = shape_of(operands[0])[2]
    if length == 1:
        value, *caches = _multi_head(e, equation, heads)
    else:
        value, *caches = _alone_or_looped(e, equation, _multi_head, heads)
    bind_merged(e, out, value)
    for variable, cache in zip(present, caches, strict=True):
        e.bind(variable, cache, identity(4))


def attention(e: Emitter, equation: Any) -> None:
    """Emit Attention: causal and without a mask, or with the mask of a lone token."""
    _choose(e, equation, _causal, _masked, lambda: _unpadded(e, attention_operands(equation)[-1]))


def masked_attention(e: Emitter, equation: Any) -> None:
    """Emit Attention with one mask of all queries by all keys, which hides what is padding or lies ahead.

    There is no branch, so OpenVINO knows the operator as its own, and can keep the cache where it is.
    """
    query, key, value, *pasts, _ = attention_operands(equation)
    operands = [*map(e.read, (query, key, value)), _hidden(e, equation), *map(e.read, pasts)]
    results = [(shape_of(variable), variable.aval.dtype) for variable in equation.outvars]
    found = e.graph.nodes_of("Attention", operands, results, _scale(equation))
    for variable, result in zip(equation.outvars, found, strict=True):
        e.bind(variable, result, identity(4))


def _hidden(e: Emitter, equation: Any) -> ir.Value:
    """Return 0 for what a query sees and a low number for the rest, [b, 1, s, t]: one for all layers.

    The number is half of the lowest: a score that is added to it stays finite, in bfloat16 too.
    """
    query, *_, mask = attention_operands(equation)
    (batch, total), length, dtype = shape_of(mask), shape_of(query)[2], query.aval.dtype
    key = ("hidden", mask, str(length), str(dtype))
    if key not in e.notes:
        keys, queries = e.sizes.counted(total, np.int64), e.sizes.counted(length, np.int64)
        past = e.graph.node("Sub", [e.sizes.value(total), e.sizes.value(length)], (1,), np.int64)
        place = e.graph.node("Add", [queries, past], (length,), np.int64)
        column = e.reshaped(place, (length,), (length, 1), np.int64)
        behind = e.graph.node("LessOrEqual", [keys, column], (length, total), np.bool_)
        seen = e.cast(e.read(mask), (batch, total), mask.aval.dtype, np.bool_)
        seen = e.reshaped(seen, (batch, total), (batch, 1, 1, total), np.bool_)
        both = e.graph.node("And", [seen, behind], (batch, 1, length, total), np.bool_)
        low, zero = (e.graph.constant(np.asarray(number, dtype)) for number in (np.finfo(dtype).min / 2, 0))
        e.notes[key] = e.graph.node("Where", [both, zero, low], (batch, 1, length, total), dtype)
    found: ir.Value = e.notes[key]
    return found


def _group_query(e: Emitter, equation: Any, heads: Sequence[ir.Value], bias: ir.Value | None = None) -> list[ir.Value]:
    query, key, value, *pasts, mask = attention_operands(equation)
    batch, total = shape_of(mask)
    attributes: dict[str, Any] = {"kv_num_heads": shape_of(key)[1], "num_heads": shape_of(query)[1], **_scale(equation)}
    with e.graph.ahead():
        lengths = [_last_keys(e, batch, total), e.sizes.scalar(total, np.int32)]
    given = [heads[0], *(_as_kept(e, pasts[0], *pair) for pair in zip((key, value), heads[1:], strict=True))]
    operands: list[ir.Value | None] = [*given, *(e.read(past) for past in pasts), *lengths]
    scales = [e.read(scale) for scale in scale_operands(equation)]
    if bias is not None or scales:
        operands += [None, None, None, bias]
    if scales:
        operands += [None, *scales]
        attributes.update(CODED)
    return e.graph.nodes_of("GroupQueryAttention", operands, _results(equation), attributes, MICROSOFT)


def _hiding_group_query(e: Emitter, equation: Any, heads: Sequence[ir.Value]) -> list[ir.Value]:
    """Return what a lone token finds: what is padding has a low number added to its score."""
    mask = attention_operands(equation)[-1]
    return _group_query(e, equation, heads, _bias(e, mask))


def _bias(e: Emitter, mask: Any) -> ir.Value:
    """Return 0 for each token and the lowest number for padding, float32 [b, 1, 1, t]: one for all layers."""
    batch, total = shape_of(mask)
    key = ("bias", mask)
    if key not in e.notes:
        with e.graph.ahead():
            seen = e.cast(e.read(mask), (batch, total), mask.aval.dtype, np.bool_)
            low, zero = (e.graph.constant(np.asarray(number, np.float32)) for number in (MASKED, 0.0))
            row = e.graph.node("Where", [seen, zero, low], (batch, total), np.float32)
            e.notes[key] = e.reshaped(row, (batch, total), (batch, 1, 1, total), np.float32)
    found: ir.Value = e.notes[key]
    return found


def _as_kept(e: Emitter, past: Any, atom: Any, value: ir.Value) -> ir.Value:
    """Return new keys or values as the cache will have them: the operator attends to rounded codes, not to float16."""
    if past.aval.dtype != np.float16 or atom.aval.dtype == np.float16:
        return value
    shape, wide = merged_shape(atom), atom.aval.dtype
    return e.cast(e.cast(value, shape, wide, np.float16), shape, np.float16, wide)


def _multi_head(e: Emitter, equation: Any, heads: Sequence[ir.Value]) -> list[ir.Value]:
    query, _, _, *pasts, mask = attention_operands(equation)
    attributes = {"num_heads": shape_of(query)[1], "mask_filter_value": MASKED, **_scale(equation)}
    operands = [*heads, None, e.read(mask), None, *(e.read(past) for past in pasts)]
    return e.graph.nodes_of("MultiHeadAttention", operands, _results(equation), attributes, MICROSOFT)


def _causal(e: Emitter, equation: Any, heads: Sequence[ir.Value]) -> list[ir.Value]:
    return _attention(e, equation, [*heads, None], {"is_causal": 1})


def _masked(e: Emitter, equation: Any, heads: Sequence[ir.Value]) -> list[ir.Value]:
    mask = attention_operands(equation)[-1]
    batch, total = shape_of(mask)
    seen = e.cast(e.read(mask), (batch, total), mask.aval.dtype, np.bool_)
    return _attention(e, equation, [*heads, e.reshaped(seen, (batch, total), (batch, 1, 1, total), np.bool_)], {})


def _attention(
    e: Emitter, equation: Any, operands: Sequence[ir.Value | None], attributes: dict[str, int]
) -> list[ir.Value]:
    query, key, _, *pasts, _ = attention_operands(equation)
    heads = {"kv_num_heads": shape_of(key)[1], "q_num_heads": shape_of(query)[1]}
    given = [*operands, *(e.read(past) for past in pasts)]
    return e.graph.nodes_of("Attention", given, _results(equation), {**attributes, **heads, **_scale(equation)})


def _scale(equation: Any) -> dict[str, float]:
    return {"scale": composite_attributes(equation)["scale"]}


def _choose(e: Emitter, equation: Any, whole: Fused, alone: Fused | None, condition: Callable[[], ir.Value]) -> None:
    """Emit the operator for a lone token, or If between the one for what is not padded and the rest.

    ``alone`` is None where no operator takes a lone token with padding before it: the loop does.
    """
    out, *present = equation.outvars
    operands = attention_operands(equation)
    heads = [merged(e, atom) for atom in operands[:3]]
    for atom in operands[3:]:
        e.read(atom)
    if shape_of(operands[0])[2] == 1 and alone is not None:
        value, *caches = alone(e, equation, heads)
    else:
        branches = _operator(e, equation, whole, heads), _padded(e, equation, alone, heads)
        value, *caches = _either(e, equation, condition(), branches)
    bind_merged(e, out, value)
    for variable, cache in zip(present, caches, strict=True):
        e.bind(variable, cache, identity(4))


def _either(e: Emitter, equation: Any, condition: ir.Value, branches: tuple[ir.Graph, ir.Graph]) -> list[ir.Value]:
    attributes = {"then_branch": branches[0], "else_branch": branches[1]}
    return e.graph.nodes_of("If", [condition], _results(equation), attributes)


def _operator(e: Emitter, equation: Any, emit: Fused, heads: Sequence[ir.Value]) -> ir.Graph:
    """Return one operator as the body of a branch."""
    with e.graph.body() as nodes, e.inner_scope():
        return e.graph.subgraph([], emit(e, equation, heads), nodes)


def _padded(e: Emitter, equation: Any, alone: Fused | None, heads: Sequence[ir.Value]) -> ir.Graph:
    """Return what is done where tokens are padding: one operator for a lone token, and the loop for several."""
    length = shape_of(equation.outvars[0])[2]
    if isinstance(length, int) or alone is None:
        return _looped(e, equation)
    with e.graph.body() as nodes:
        return e.graph.subgraph([], _alone_or_looped(e, equation, alone, heads), nodes)


def _alone_or_looped(e: Emitter, equation: Any, alone: Fused, heads: Sequence[ir.Value]) -> list[ir.Value]:
    """Return what one operator gives for a lone token, and what the loop gives for several."""
    length = shape_of(equation.outvars[0])[2]
    with e.graph.ahead():
        is_alone = e.graph.node("Equal", [e.sizes.value(length), e.sizes.value(1)], (1,), np.bool_)
    return _either(e, equation, is_alone, (_operator(e, equation, alone, heads), _looped(e, equation)))


def _looped(e: Emitter, equation: Any) -> ir.Graph:
    """Return the loop over blocks as the body of a branch."""
    closed = _loop(e, equation)
    with e.graph.body() as nodes, e.inner_scope():
        values = [e.read(atom) for atom in equation.invars]
        with e.nested(closed, values):
            e.lower(closed.jaxpr.eqns)
            found, *caches = closed.jaxpr.outvars
            beside = permuted(shape_of(found), BESIDE)
            whole = e.reshaped(e.read(found, BESIDE), beside, merged_shape(found), found.aval.dtype)
            outputs = [whole, *(e.own(e.read(cache), shape_of(cache), cache.aval.dtype, [whole]) for cache in caches)]
    return e.graph.subgraph([], outputs, nodes)


def _loop(e: Emitter, equation: Any) -> Any:
    """Return the program of the loop, made once for all layers of one shape."""
    shapes = tuple((shape_of(atom), str(atom.aval.dtype)) for atom in equation.invars)
    key = ("loop", shapes, tuple(composite_attributes(equation).items()))
    if key not in e.notes:
        e.notes[key] = simplify(in_blocks(equation), lambda _: False)
    return e.notes[key]


def _results(equation: Any) -> list[tuple[Any, Any]]:
    out, *present = equation.outvars
    caches = [(shape_of(cache), cache.aval.dtype) for cache in present]
    return [(merged_shape(out), out.aval.dtype), *caches]


def _unpadded(e: Emitter, mask: Any) -> ir.Value:
    """Return whether no token is padding, bool []: one test for all layers."""
    least = e.graph.node("ReduceMin", [e.read(mask)], (), mask.aval.dtype, {"keepdims": 0})
    return e.cast(least, (), mask.aval.dtype, np.bool_)


def _one_at_a_time(e: Emitter, lengths: tuple[Any, Any, Any]) -> ir.Value | None:
    """Return whether there is one sequence, no past, or one new token; None if that is known to hold."""
    batch, past, length = lengths
    if 1 in {batch, length} or past == 0:
        return None
    parts = [e.sizes.value(size) for size in (past, _less_one(batch), _less_one(length))]
    product = e.graph.node("Mul", [e.graph.node("Mul", parts[:2], (1,), np.int64), parts[2]], (1,), np.int64)
    return e.graph.node("Equal", [product, e.sizes.value(0)], (1,), np.bool_)


def _and(e: Emitter, first: ir.Value, second: ir.Value | None) -> ir.Value:
    return first if second is None else e.graph.node("And", [first, second], (1,), np.bool_)


def _last_keys(e: Emitter, batch: Any, total: Any) -> ir.Value:
    """Return the number of the last key of each sequence, int32 [b]."""
    if isinstance(total, int):
        last = e.graph.constant(np.full(batch if isinstance(batch, int) else 1, total - 1, np.int32))
    else:
        last = e.cast(e.sizes.value(_less_one(total)), (1,), np.int64, np.int32)
    if isinstance(batch, int) and (batch == 1 or isinstance(total, int)):
        return last
    return e.graph.node("Expand", [last, e.sizes.vector((batch,))], (batch,), np.int32)


def _less_one(size: Any) -> Any:
    return size - 1 if isinstance(size, int) else f"{size} - 1"
