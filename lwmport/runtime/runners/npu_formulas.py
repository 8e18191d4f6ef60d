"""CANN's fused operators (domain ``npu``) as formulas of plain operators, for machines without the device.

ONNX Runtime has no such operators. A model that holds them is opened with functions that say what each is documented to
compute, added in memory: the file keeps its nodes, and nothing is written beside it. Whoever runs it so judges what was
asked of the device, not what the device makes of it.

Sources of the formulas: hicann/ops-nn, norm/{rms_norm,add_rms_norm,group_norm_silu}/op_graph/*_proto.h and README.md
(RMS norm's root is float32 whatever x is); torch_npu's page on npu_rotary_mul.
"""

from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any, Final

import onnx
import onnx.parser

from lwmport.errors import RunnerError

DOMAIN: Final = "npu"
NOTE: Final = "npu:: operators by their documented formulas"

INTERLEAVED: Final = "NPURotaryMul_interleave"
"""NPURotaryMul with ``rotary_mode = interleave``."""

AXES_AS_INPUT: Final = 18
"""First opset in which ReduceMean takes its axes as an input, and Split says how many outputs it has."""

CAST_LIKE: Final = 15
"""First opset that has CastLike."""

_ROOT: Final = """
    two = Constant <value = float[1] {2.0}> ()
    added = Constant <value = float[1] {$epsilon}> ()
    wide = Cast <to = 1> (x)
    squared = Pow (wide, two)
    axis = Constant <value = int64[1] {-1}> ()
    average = $last_mean (squared $last)
    shifted = Add (average, added)
    root = Sqrt (shifted)
    rstd = Reciprocal (root)
    normal = Mul (wide, rstd)
    factor = Cast <to = 1> (gamma)
    scaled = Mul (normal, factor)
    y = $back (scaled $like)
"""

_TURN: Final = """
    kept = Mul (x, r1)
    crossed = Mul (rotated, r2)
    y = Add (kept, crossed)
"""

FORMULAS: Final = {
    "NPURmsNorm": f"(x, gamma) => (y, rstd) {{{_ROOT}}}",
    "NPUAddRmsNorm": f"""(x1, x2, gamma) => (y, rstd, x) {{
    x = Add (x1, x2){_ROOT}}}""",
    "NPURotaryMul": f"""(x, r1, r2) => (y) {{
    first, second = $halves (x)
    negative = Neg (second)
    rotated = Concat <axis = -1> (negative, first){_TURN}}}""",
    INTERLEAVED: f"""(x, r1, r2) => (y) {{
    shape = Shape (x)
    pairs = Constant <value = int64[5] {{0, 0, 0, -1, 2}}> ()
    paired = Reshape (x, pairs)
    first, second = $halves (paired)
    negative = Neg (second)
    turned = Concat <axis = -1> (negative, first)
    rotated = Reshape (turned, shape){_TURN}}}""",
    "NPUGroupNormSilu": """(x, gamma, beta) => (y, mean, rstd) {
    one = Constant <value = int64[1] {1}> ()
    same = Constant <value = int64[1] {0}> ()
    rest = Constant <value = int64[1] {-1}> ()
    axes = Constant <value = int64[2] {2, 3}> ()
    groups = Constant <value = int64[1] {$group}> ()
    added = Constant <value = float[1] {$eps}> ()
    shape = Shape (x)
    by_group = Concat <axis = 0> (groups, rest, one)
    wide_gamma = Cast <to = 1> (gamma)
    scale = Reshape (wide_gamma, by_group)
    wide_beta = Cast <to = 1> (beta)
    bias = Reshape (wide_beta, by_group)
    scales = Shape (scale)
    channels = Gather (scales, one)
    target = Concat <axis = 0> (same, groups, channels, rest)
    wide = Cast <to = 1> (x)
    grouped = Reshape (wide, target)
    average = $inner_mean (grouped $inner)
    centred = Sub (grouped, average)
    squared = Mul (centred, centred)
    variance = $inner_mean (squared $inner)
    shifted = Add (variance, added)
    root = Sqrt (shifted)
    normal = Div (centred, root)
    scaled = Mul (normal, scale)
    moved = Add (scaled, bias)
    share = Sigmoid (moved)
    activated = Mul (moved, share)
    whole = Reshape (activated, shape)
    y = $back (whole $like)
    flat = Concat <axis = 0> (same, groups)
    flat_average = Reshape (average, flat)
    mean = $back (flat_average $like)
    inverse = Reciprocal (root)
    flat_inverse = Reshape (inverse, flat)
    rstd = $back (flat_inverse $like)
}""",
}
"""Operator -> its operands, outputs and body in ONNX's textual form; what begins with $ depends on node and opset."""


DEFAULTS: Final = {"epsilon": 1e-6, "eps": 1e-5}
"""Attribute -> what it is where a node leaves it out."""


def spelled_out(path: Path) -> bytes:
    """Return a model with the formulas as functions of its own; its weights stay where they are.

    Raises:
        RunnerError: it holds an operator of the domain whose formula is not known here.
    """
    model = onnx.load(str(path), load_external_data=False)
    opset = next((item.version for item in model.opset_import if item.domain in {"", "ai.onnx"}), 0)
    values = (*model.graph.value_info, *model.graph.output)
    dtypes = {value.name: value.type.tensor_type.elem_type for value in values}
    made: dict[str, str] = {}
    for node in _nodes(model):
        words = _words(opset, dtypes.get(node.output[0], 0))
        text = Template(_formula_of(node)).substitute(words, **_attributes(node))
        node.op_type = made.setdefault(text, f"{node.op_type}_{len(made)}")
        del node.attribute[:]
    head = f'<opset_import: ["": {opset}], domain: "{DOMAIN}">'
    model.functions.extend(onnx.parser.parse_function(f"{head} {name} {text}") for text, name in made.items())
    data: bytes = model.SerializeToString()
    return data


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of the domain, those in bodies and functions included."""
    waiting = [model.graph.node, *(function.node for function in model.functions)]
    while waiting:
        for node in waiting.pop():
            waiting.extend(item.g.node for item in node.attribute if item.HasField("g"))
            if node.domain == DOMAIN:
                yield node


def _formula_of(node: onnx.NodeProto) -> str:
    if node.op_type not in FORMULAS:
        known = ", ".join(name for name in FORMULAS if name != INTERLEAVED)
        raise RunnerError(
            f"expected npu operators whose formula is known here ({known}), found {node.op_type} at "
            f"{_place(node)}; run the model on the device, or convert it with --dialect ascend"
        )
    turned = any(item.name == "rotary_mode" and item.s == b"interleave" for item in node.attribute)
    return FORMULAS[INTERLEAVED if turned else node.op_type]


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes that formulas ask for."""
    given = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    found = DEFAULTS | {"group": given.get("group", given.get("num_groups"))}
    found |= {name: given[name] for name in DEFAULTS if name in given}
    if node.op_type == "NPUGroupNormSilu" and not isinstance(found["group"], int):
        raise RunnerError(f"expected a whole number as attribute group of {node.op_type}, found none at {_place(node)}")
    wrong = [name for name in DEFAULTS if not isinstance(found[name], float)]
    if wrong:
        raise RunnerError(
            f"expected a float as attribute {wrong[0]} of {node.op_type}, found another at {_place(node)}"
        )
    return found


def _place(node: onnx.NodeProto) -> str:
    return str(node.name or next(iter(node.output), ""))


def _words(opset: int, dtype: int) -> dict[str, str]:
    """Return how an opset writes what formulas need, for results of a dtype where it has no CastLike."""
    if opset >= AXES_AS_INPUT:
        words = {"last_mean": "ReduceMean", "last": ", axis", "inner_mean": "ReduceMean", "inner": ", axes"}
        words["halves"] = "Split <axis = -1, num_outputs = 2>"
    else:
        words = {"last_mean": "ReduceMean <axes = [-1]>", "last": "", "halves": "Split <axis = -1>"}
        words |= {"inner_mean": "ReduceMean <axes = [2, 3]>", "inner": ""}
    if opset >= CAST_LIKE:
        return {**words, "back": "CastLike", "like": ", x"}
    return {**words, "back": f"Cast <to = {dtype or int(onnx.TensorProto.FLOAT)}>", "like": ""}
