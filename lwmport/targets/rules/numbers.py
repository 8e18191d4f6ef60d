"""Looks at dtypes, and at the values of constants."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import numpy as np

from lwmport.targets.rules.rule import Hit, Look, Subject

HALF_MAX: Final = 65504.0
"""The largest finite float16."""

MASK: Final = -1e4
"""A mask that float16 holds and whose exponential is 0 in it."""

SMALL_MASK: Final = -50.0
"""A mask that leaves an int8 range to the scores: exp(-50) is 2e-22 (measured with Compass's optimizer)."""

ARITHMETIC: Final = [
    "Abs",
    "Add",
    "And",
    "Clip",
    "Div",
    "Equal",
    "Gemm",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "MatMul",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Pow",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "Relu",
    "Sign",
    "Sub",
    "Sum",
    "Where",
]

MASKING: Final = frozenset({"Add", "Concat", "Min", "Sub", "Where", "ADD", "MINIMUM", "SELECT_V2", "SUB"})
"""Operators that put a mask into scores."""

INDEX_MAKERS: Final = {"ArgMax": 0, "ArgMin": 0, "NonZero": 0, "TopK": 1}
"""Operator -> its output of int64 indices, which Ascend makes in int32."""


def beyond_half(subject: Subject) -> Iterator[Hit]:
    """Yield constants with infinities, or with values that float16 does not hold, where float16 is computed in."""
    if subject.precision != "float16":
        return
    for name, span in subject.spans.items():
        if span.infinite:
            yield Hit(where=name, found=f"{span.infinite} infinite values")
        elif span.largest > HALF_MAX:
            yield Hit(where=name, found=f"values up to {span.largest:.3g}, where float16 ends at 65504")
    for node in subject.graph.of("ConstantOfShape"):
        filled = node.attributes.get("value")
        if filled is not None and filled.dtype.kind == "f" and np.abs(filled).max(initial=0) > HALF_MAX:
            yield Hit.at(node, f"filled with {filled.reshape(-1)[0]:.3g}, where float16 ends at 65504")


def not_finite(subject: Subject) -> Iterator[Hit]:
    """Yield constants with NaN."""
    for name, span in subject.spans.items():
        if span.nan:
            yield Hit(where=name, found=f"{span.nan} values that are not a number")


def large_masks(subject: Subject) -> Iterator[Hit]:
    """Yield constants that look like additive masks and are so large that they take the range of an int8."""
    for name, span in subject.spans.items():
        readers = {node.op for node in subject.graph.readers.get(name, ())}
        added = (span.infinite or span.low < 4 * SMALL_MASK) and readers & MASKING
        one = not subject.graph.constants[name].shape
        if added or (one and span.largest > 1e3 and readers & {"Mul", "MUL"}):
            what = "-inf" if span.infinite else f"{-span.largest:.3g}"
            yield Hit(where=name, found=f"an additive mask of {what}")


def dtypes_of(*refused: str) -> Look:
    """Return a look for values and constants of some dtypes, one hit for each dtype."""

    def look(subject: Subject) -> Iterator[Hit]:
        found: dict[str, list[str]] = defaultdict(list)
        for value in (*subject.graph.values.values(), *subject.graph.inputs):
            if value.dtype.startswith(refused):
                found[value.dtype].append(value.name)
        for dtype, names in found.items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            yield Hit(where=names[0], found=f"{dtype}{more}")

    return look


def bfloat16_on_chip(subject: Subject) -> Iterator[Hit]:
    """Yield a hit for bfloat16 on a chip that has none."""
    if subject.chip.name and not subject.chip.bfloat16:
        yield from dtypes_of("bfloat16")(subject)


def index_readers(subject: Subject) -> Iterator[Hit]:
    """Yield makers of int64 indices that something else than a Cast reads, or that the graph returns."""
    returned = {value.name for value in subject.graph.outputs}
    for node in subject.graph.of(*INDEX_MAKERS):
        place = INDEX_MAKERS[node.op]
        name = node.outputs[place] if place < len(node.outputs) else ""
        others = sorted({reader.op for reader in subject.graph.readers.get(name, ()) if reader.op != "Cast"})
        if name and (others or name in returned):
            yield Hit.at(node, f"int64 indices read by {', '.join(others) or 'the caller'}")


def int64_arithmetic(subject: Subject) -> Iterator[Hit]:
    """Yield nodes that compute in int64 at run time."""
    for node in subject.graph.of(*ARITHMETIC):
        runtime = [name for name in node.inputs if name and name not in subject.graph.known]
        if any(subject.graph.dtype(name) == "int64" for name in runtime):
            yield Hit.at(node, "int64 at run time")


def int64_ends(subject: Subject) -> Iterator[Hit]:
    """Yield inputs and outputs of int64."""
    for value in (*subject.graph.inputs, *subject.graph.outputs):
        if value.dtype == "int64":
            yield Hit(where=value.name, found="int64")


def float32_everywhere(subject: Subject) -> Iterator[Hit]:
    """Yield a hit if the model computes in float32 and its compiler does not by itself."""
    ends = (*subject.graph.inputs, *subject.graph.outputs)
    if subject.precision == "float16" and any(value.dtype == "float32" for value in ends):
        yield Hit(found="a model in float32")


def bfloat16_as_floats(subject: Subject) -> Iterator[Hit]:
    """Yield bfloat16 constants that are not kept as raw bytes."""
    for item in subject.graph.constants.values():
        if item.dtype == "bfloat16" and not item.raw and not item.location:
            yield Hit(where=item.name, found="bfloat16 outside raw_data")


def quantized_ends(subject: Subject) -> Iterator[Hit]:
    """Yield inputs of a TFLite file that are quantized integers."""
    for value in subject.graph.inputs:
        if value.dtype in {"int8", "uint8", "int16"}:
            yield Hit(where=value.name, found=f"an input of {value.dtype}")
