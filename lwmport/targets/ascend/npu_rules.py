"""Looks at CANN's own fused operators (domain ``npu``): where their kernels are, and what their plugins ignore.

Sources: the README tables and plugins of hicann/ops-nn (norm/rms_norm, norm/add_rms_norm, norm/group_norm_silu) and
hicann/ops-math (common/src/framework/npu_rotary_mul_onnx_plugin.cpp), torch_npu's page on npu_rotary_mul, and the
prototype of RotaryMul in CANN's nn_other.h.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.targets.graphs.record import Graph, Node
from lwmport.targets.rules.rule import Hit, Subject
from lwmport.types import Severity

DOMAIN: Final = "npu"
VERSION: Final = 1
"""Version of the domain that the plugins register: the key of a parser is ``npu::1::OPERATOR``."""

EPSILON: Final = 1e-6
"""What the plugins of the two RMS norms set; the attribute is not read."""

MULTIPLE: Final = 64
"""Sizes of heads that RotaryMul takes are multiples of it,"""

BELOW: Final = 896
"""and below it;"""

MOST: Final = 1000
"""and batches below this."""


@dataclass(frozen=True, kw_only=True)
class Fused:
    """One operator: how many operands it may have, and what the documents say of families of chips.

    ``doubtful`` are those that a table denies and a build configuration names.
    """

    operands: tuple[int, int]
    runs_on: tuple[str, ...]
    absent_on: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()


FUSED: Final = {
    "NPUAddRmsNorm": Fused(operands=(3, 3), runs_on=("310P", "910B", "A3"), absent_on=("310B", "910")),
    "NPUGroupNormSilu": Fused(operands=(1, 3), runs_on=("310P", "910B", "A3"), absent_on=("310B", "910")),
    "NPURmsNorm": Fused(operands=(2, 2), runs_on=("310P", "910B", "A3"), absent_on=("310B",), doubtful=("910",)),
    "NPURotaryMul": Fused(operands=(3, 3), runs_on=("310P", "910", "910B", "A3")),
}


def fused_on_chip(subject: Subject) -> Iterator[Hit]:
    """Yield operators that have no kernel on the chip, or that no table lists for it, once each."""
    chip = subject.chip
    seen = set()
    for node in _nodes(subject.graph):
        fused = FUSED[node.op]
        if node.op in seen or not chip.family or chip.family in fused.runs_on:
            continue
        seen.add(node.op)
        if chip.family in fused.absent_on:
            yield Hit.at(node, f"{node.op}, which is documented as not supported on {chip.name}")
        elif chip.family in fused.doubtful:
            words = f"{node.op}, which one document denies {chip.name} and another lists for it"
            yield Hit.at(node, words, Severity.WARNING)
        else:
            yield Hit.at(node, f"{node.op}, which no document lists for {chip.name}", Severity.WARNING)


def beyond_plugin(subject: Subject) -> Iterator[Hit]:
    """Yield nodes that mean something else than what the plugin makes of them."""
    version = subject.graph.opsets.get(DOMAIN, VERSION)
    if version != VERSION and any(node.domain == DOMAIN for node in subject.graph.nodes):
        words = f"version {version} of the domain npu, where parsers are registered for {VERSION}"
        yield Hit(where=DOMAIN, found=words)
    for node in _nodes(subject.graph):
        least, most = FUSED[node.op].operands
        count = len(node.inputs)
        if not least <= count <= most:
            yield Hit.at(node, f"{count} operands of {node.op}, which has {most}")
            continue
        yield from (Hit.at(node, found) for found in _ignored(node))
        if node.op == "NPURotaryMul":
            yield from (Hit.at(node, found, Severity.WARNING) for found in _sizes(subject.graph, node))


def _ignored(node: Node) -> Iterator[str]:
    """Yield what a node says and its plugin does not read."""
    given = node.attributes
    if node.op in {"NPUAddRmsNorm", "NPURmsNorm"} and not _is(given.get("epsilon", EPSILON), EPSILON):
        yield f"epsilon {given['epsilon']}, which is not read: {EPSILON:g} is used"
    if node.op == "NPURotaryMul" and given.get("rotary_mode", "half") != "half":
        yield f"rotary_mode {given['rotary_mode']}, which is not read: halves are turned"
    if node.op == "NPUGroupNormSilu":
        if not isinstance(given.get("group", given.get("num_groups")), int):
            yield "no number as attribute group"
        if "epsilon" in given:
            yield "epsilon, which is not read: the attribute is eps"
        if _is(given.get("activate_silu"), 0):
            yield "activate_silu 0, which is not read: silu is applied"


def _is(value: object, number: float) -> bool:
    return isinstance(value, int | float) and bool(np.float32(value) == np.float32(number))


def _sizes(graph: Graph, node: Node) -> Iterator[str]:
    """Yield sizes of a rotation's operand beyond those documented."""
    shape = graph.shape(node.input(0))
    if shape is None:
        return
    if len(shape) != 4:
        yield f"an operand of {len(shape)} axes, where 4 are documented"
    size = shape[-1] if shape else None
    if isinstance(size, int) and (size % MULTIPLE or size >= BELOW):
        yield f"heads of {size}, where a multiple of {MULTIPLE} below {BELOW} is documented"
    if isinstance(shape[0], int) and shape[0] >= MOST:
        yield f"a batch of {shape[0]}, where less than {MOST} is documented"


def _nodes(graph: Graph) -> Iterator[Node]:
    return (node for node in graph.nodes if node.domain == DOMAIN and node.op in FUSED)
