"""Looks at single operators: attributes and operands that a vendor's plugin refuses or reads otherwise."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.rules.resize import same_for_any_rounding
from lwmport.targets.rules.rule import Hit, Subject
from lwmport.types import Severity

RESIZE_IGNORED: Final = {"antialias": 0, "axes": None, "keep_aspect_ratio_policy": "stretch"}
"""Attributes that CANN's plugin reads and ignores -> what they mean when they are left out."""


def resize_for_ascend(subject: Subject) -> Iterator[Hit]:
    """Yield Resize nodes that ATC refuses, or whose result it may change."""
    for node in subject.graph.of("Resize"):
        yield from (_hit(node, found) for found in _resize_faults(subject.graph, node))


def _resize_faults(graph: Graph, node: Node) -> Iterator[str]:
    mode = node.attributes.get("mode", "nearest")
    shape = graph.shape(node.input(0))
    for name, usual in RESIZE_IGNORED.items():
        if node.attributes.get(name, usual) != usual:
            yield f"the attribute {name}, which is ignored"
    if len(node.inputs) < 3:
        yield f"{len(node.inputs)} operands, where 3 are needed"
    if mode == "cubic":
        yield "cubic interpolation"
    if shape is not None and len(shape) != 4:
        yield f"an operand of {len(shape)} axes"
    factors = scales_of(graph, node)
    if factors is None:
        yield "scales or sizes that are not constant"
    elif mode == "nearest" and not _same_pixels(graph, node, factors):
        yield f"nearest pixels that depend on how ties are broken ({' and '.join(modes_of(node))})"


def modes_of(node: Node) -> tuple[str, str]:
    """Return coordinate_transformation_mode and nearest_mode of a Resize."""
    return (
        node.attributes.get("coordinate_transformation_mode", "half_pixel"),
        node.attributes.get("nearest_mode", "round_prefer_floor"),
    )


def scales_of(graph: Graph, node: Node) -> Sequence[float] | None:
    """Return the scale of every axis of a Resize, None where they are not constant or not known."""
    scales = graph.constant(node.input(2)) if node.input(2) else None
    if scales is not None and scales.size:
        return [float(scale) for scale in scales]
    sizes = graph.constant(node.input(3)) if node.input(3) else None
    shape = graph.shape(node.input(0))
    if sizes is None or shape is None or sizes.size != len(shape):
        return None
    pairs = list(zip(sizes, shape, strict=True))
    return [float(new) / old for new, old in pairs if isinstance(old, int) and old] if pairs else None


def _same_pixels(graph: Graph, node: Node, factors: Sequence[float]) -> bool:
    old = graph.shape(node.input(0))
    if old is None or len(old) != len(factors):
        return False
    # A dynamic batch is not resized: only sizes that change matter.
    changed = [(scale, size) for scale, size in zip(factors, old, strict=True) if scale != 1.0]
    if not all(isinstance(size, int) for _, size in changed):
        return False
    sizes = [(int(size), int(int(size) * scale)) for scale, size in changed]
    return same_for_any_rounding(modes_of(node), [scale for scale, _ in changed], sizes)


def resize_for_migraphx(subject: Subject) -> Iterator[Hit]:
    """Yield Resize nodes that MIGraphX does not read."""
    for node in subject.graph.of("Resize"):
        coordinates, _ = modes_of(node)
        if node.attributes.get("mode") == "cubic":
            yield _hit(node, "cubic interpolation")
        if coordinates in {"half_pixel_symmetric", "tf_crop_and_resize"}:
            yield _hit(node, coordinates)
        ignored = any(node.attributes.get(name, usual) != usual for name, usual in RESIZE_IGNORED.items())
        if node.attributes.get("exclude_outside") or ignored:
            yield _hit(node, "exclude_outside, antialias, axes or keep_aspect_ratio_policy")


def wide_convolutions(subject: Subject) -> Iterator[Hit]:
    """Yield convolutions beyond what Ascend's cube unit takes: 4 or 5 axes, kernel 255, stride 63, dilation 255."""
    for node in subject.graph.of("Conv", "ConvTranspose"):
        shape = subject.graph.shape(node.input(0)) or subject.graph.shape(node.input(1))
        if shape is not None and len(shape) not in (4, 5):
            yield _hit(node, f"an operand of {len(shape)} axes")
        kernel = node.attributes.get("kernel_shape") or (subject.graph.shape(node.input(1)) or ())[2:]
        limits = (("kernel", kernel, 255), ("stride", node.attributes.get("strides", ()), 63))
        for name, sizes, limit in (*limits, ("dilation", node.attributes.get("dilations", ()), 255)):
            if any(isinstance(size, int) and size > limit for size in sizes):
                yield _hit(node, f"{name} {list(sizes)}, where {limit} is the limit")


ASCEND_REFUSED: Final[dict[tuple[str, str], tuple[Any, ...]]] = {
    ("ArgMax", "select_last_index"): (1,),
    ("ArgMin", "select_last_index"): (1,),
    ("ScatterND", "reduction"): ("mul",),
}
"""(operator, attribute) -> values at which CANN's plugin fails."""

MIGRAPHX_REFUSED: Final[dict[tuple[str, str], tuple[Any, ...]]] = {
    ("ArgMax", "select_last_index"): (1,),
    ("ArgMin", "select_last_index"): (1,),
    ("MaxPool", "storage_order"): (1,),
    ("Pad", "mode"): ("edge", "wrap"),
    ("ConvTranspose", "auto_pad"): ("SAME_UPPER", "SAME_LOWER", "VALID"),
    ("Reshape", "allowzero"): (1,),
    ("TopK", "sorted"): (0,),
}
"""(operator, attribute) -> values that MIGraphX's documents exclude."""


COMPASS_REFUSED: Final[dict[tuple[str, str], tuple[Any, ...]]] = {("Reshape", "allowzero"): (1,)}
"""(operator, attribute) -> values at which Compass's parser fails, as run."""


def refused_for_aipu(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with attributes at which Compass's parser fails."""
    return _refused(subject, COMPASS_REFUSED)


def rows_by_gather_nd(subject: Subject) -> Iterator[Hit]:
    """Yield GatherND nodes whose indices name one axis alone."""
    for node in rows_of(subject.graph):
        indices = subject.graph.shape(node.input(1)) or ()
        yield _hit(node, f"indices of the shape [{', '.join(map(str, indices))}]")


def rows_of(graph: Graph) -> Iterator[Node]:
    """Yield GatherND nodes whose indices name one axis alone: rows of a table, which Gather takes too."""
    for node in graph.of("GatherND"):
        indices = graph.shape(node.input(1)) or ("?",)
        if indices[-1] == 1 and not node.attributes.get("batch_dims"):
            yield node


def refused_for_ascend(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with attributes at which CANN's plugin fails, and Clip nodes without any bound."""
    yield from _refused(subject, ASCEND_REFUSED)
    for node in subject.graph.of("Clip"):
        if not node.input(1) and not node.input(2) and not {"min", "max"} & set(node.attributes):
            yield _hit(node, "neither min nor max")


def refused_for_migraphx(subject: Subject) -> Iterator[Hit]:
    """Yield nodes with attributes that MIGraphX's documents exclude."""
    yield from _refused(subject, MIGRAPHX_REFUSED)
    for node in subject.graph.of("MaxPool"):
        if len(node.outputs) > 1:
            yield _hit(node, "indices as a second output")


def _refused(subject: Subject, table: dict[tuple[str, str], tuple[Any, ...]]) -> Iterator[Hit]:
    for (operator, attribute), values in table.items():
        for node in subject.graph.of(operator):
            if node.attributes.get(attribute) in values:
                yield _hit(node, f"{attribute}={node.attributes[attribute]}")


def computed_trilu(subject: Subject) -> Iterator[Hit]:
    """Yield Trilu nodes on values that are computed."""
    for node in subject.graph.of("Trilu"):
        if node.input(0) not in subject.graph.known:
            yield _hit(node, "Trilu of a value that is computed")


def wide_remainders(subject: Subject) -> Iterator[Hit]:
    """Yield remainders of integers that are wider than 16 bits."""
    for node in subject.graph.of("Mod"):
        dtype = subject.graph.dtype(node.input(0))
        if dtype in {"int32", "int64", "uint32", "uint64"}:
            yield _hit(node, f"a remainder of {dtype}")


def blockwise_scales(subject: Subject) -> Iterator[Hit]:
    """Yield DequantizeLinear and QuantizeLinear nodes with a block size."""
    for node in subject.graph.of("DequantizeLinear", "QuantizeLinear"):
        if node.attributes.get("block_size"):
            yield _hit(node, f"block_size {node.attributes['block_size']}")


def loops_of_unknown_length(subject: Subject) -> Iterator[Hit]:
    """Yield Loop nodes; those with a constant trip count and no condition are only noted, for they are unrolled."""
    for node in subject.graph.of("Loop"):
        counted = node.input(0) in subject.graph.known and node.input(1) in {"", *subject.graph.known}
        severity = Severity.NOTE if counted else None
        words = "a constant trip count, which is unrolled" if counted else "a trip count or condition that is computed"
        yield Hit(where=node.name, operator="Loop", found=words, severity=severity)


def own_meaning_in_migraphx(subject: Subject) -> Iterator[Hit]:
    """Yield operators that MIGraphX takes for others of the same name."""
    for node in subject.graph.of("Attention", "RotaryEmbedding"):
        yield _hit(node, f"ONNX's {node.op}, which is read as com.microsoft's")


def scale_of_each_group(subject: Subject) -> Iterator[Hit]:
    """Yield GroupNormalization nodes of opset 18 to 20, whose scale has an element for each group."""
    if subject.graph.opset < 21:
        yield from (_hit(node, "a scale of each group") for node in subject.graph.of("GroupNormalization"))


def instance_norms_of_other_rank(subject: Subject) -> Iterator[Hit]:
    """Yield InstanceNormalization nodes of other than 4 or 5 axes on 310P, unless they are part of a group norm."""
    if subject.chip.family != "310P":
        return
    for node in subject.graph.of("InstanceNormalization"):
        shape = subject.graph.shape(node.input(0))
        maker = subject.graph.makers.get(node.input(0))
        readers = subject.graph.readers.get(next(iter(node.outputs), ""), [])
        grouped = maker is not None and maker.op == "Reshape" and [reader.op for reader in readers] == ["Reshape"]
        if shape is not None and len(shape) not in (4, 5) and not grouped:
            yield _hit(node, f"an operand of {len(shape)} axes")


def tokens_by_bodies(subject: Subject) -> Iterator[Hit]:
    """Yield nodes that carry bodies."""
    return (_hit(node, f"{node.op} with a body") for node in subject.graph.of("If", "Loop", "Scan"))


def _hit(node: Node, found: str) -> Hit:
    return Hit(where=node.name or next(iter(node.outputs), ""), operator=node.op, found=found)
