"""For every rule a minimal model that it objects to, and one as near to that as can be which it does not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper

FLOAT, DOUBLE, HALF, BFLOAT = (getattr(onnx.TensorProto, name) for name in ("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"))
INT32, INT64, BOOL = onnx.TensorProto.INT32, onnx.TensorProto.INT64, onnx.TensorProto.BOOL
INT16, STRING = onnx.TensorProto.INT16, onnx.TensorProto.STRING

Build: TypeAlias = Callable[[Path], Path]


@dataclass(frozen=True)
class Case:
    """Two models, and for whom they are checked."""

    bad: Build
    good: Build
    conditions: dict[str, Any] = field(default_factory=dict)


def value(name: str, shape: Sequence[Any] | None, dtype: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def node(op: str, inputs: str, outputs: str, name: str | None = "", **attributes: Any) -> onnx.NodeProto:
    """Return a node; names of operands are separated by spaces, and ``-`` leaves one out."""
    operands = ["" if word == "-" else word for word in inputs.split()]
    made = helper.make_node(op, operands, outputs.split(), **attributes)
    made.name = (name or f"{op}_{outputs.split(maxsplit=1)[0]}") if name is not None else ""
    return made


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto] | None = None,
    outputs: Sequence[onnx.ValueInfoProto] | None = None,
    constants: dict[str, Any] | None = None,
    opset: int = 17,
    **imports: int,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "case",
        [value("x", [1, 4, 8, 8])] if inputs is None else inputs,
        [value("y", None)] if outputs is None else outputs,
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    opsets += [helper.make_opsetid(domain.replace("__", "."), version) for domain, version in imports.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def built(made: Callable[[], onnx.ModelProto] | onnx.ModelProto) -> Build:
    def build(folder: Path) -> Path:
        path = folder / "model.onnx"
        path.write_bytes((made() if callable(made) else made).SerializeToString())
        return path

    return build


def one(op: str, *inputs: str, **more: Any) -> Build:
    """Return a model of one node that reads x, and constants if any are given as ``constants``."""
    options = {name: more.pop(name) for name in ("inputs", "outputs", "constants", "opset") if name in more}
    return built(model([node(op, " ".join(inputs) or "x", "y", **more)], **options))


def resize(
    coordinates: str, nearest: str = "floor", scale: float = 2.0, *, sizes: Sequence[float] = (), **attributes: Any
) -> Build:
    constants = {"scales": np.asarray(sizes or [1, 1, scale, scale], np.float32)}
    modes = {"coordinate_transformation_mode": coordinates, "nearest_mode": nearest, "mode": "nearest", **attributes}
    return one("Resize", "x", "-", "scales", constants=constants, opset=19, **modes)


def with_body(op: str) -> Build:
    inside = helper.make_graph([node("Identity", "x", "inner")], "body", [], [value("inner", None)])
    if op == "If":
        made = node("If", "flag", "y", then_branch=inside, else_branch=inside)
        return built(model([made], [value("x", [2]), value("flag", [], BOOL)]))
    outer = node("Cast", "step", "text", to=FLOAT), node("Identity", "go", "on")
    loop = helper.make_graph(
        [*outer, node("Add", "carried text", "next")],
        "body",
        [value("step", [], INT64), value("go", [], BOOL), value("carried", [])],
        [value("on", [], BOOL), value("next", [])],
    )
    return built(model([node("Loop", "count - x", "y", body=loop)], [value("x", []), value("count", [], INT64)]))


def loop_of(*, constant: bool) -> Build:
    def build(folder: Path) -> Path:
        path = with_body("Loop")(folder)
        made = onnx.load(path)
        if constant:
            del made.graph.input[1]
            made.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(3, np.int64), "count"))
        path.write_bytes(made.SerializeToString())
        return path

    return build


def functional() -> onnx.ModelProto:
    body = [node("Relu", "a", "b")]
    made = model([node("Own", "x", "y", domain="own")], own=1)
    made.functions.append(helper.make_function("own", "Own", ["a"], ["b"], body, [helper.make_opsetid("", 17)]))
    return made


def cyclic() -> onnx.ModelProto:
    return model([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")])


def external(
    location: str, *, nbytes: int = 64, keys: Sequence[str] = ("location", "offset", "length"), dims: Any = (16,)
) -> Build:
    """Return a model whose constant lies in a file, which is made with 64 bytes if it is to lie in the folder."""

    def build(folder: Path) -> Path:
        made = model([node("Add", "x c", "y")], [value("x", [1])])
        tensor = made.graph.initializer.add(name="c", data_type=FLOAT, dims=dims)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        entries = {"location": location, "offset": "0", "length": str(nbytes)}
        tensor.external_data.extend(onnx.StringStringEntryProto(key=key, value=entries[key]) for key in keys)
        if ".." not in location and not location.startswith("/"):
            (folder / location).parent.mkdir(exist_ok=True)
            (folder / location).write_bytes(bytes(64))
        path = folder / "model.onnx"
        path.write_bytes(made.SerializeToString())
        return path

    return build


def of_2_gib(folder: Path) -> Path:
    """Return a model of 2 GiB, nearly all of it a hole in the file."""
    made = model([node("Add", "x c", "y")], [value("x", [1], onnx.TensorProto.UINT8)])
    tensor = onnx.TensorProto(name="c", data_type=onnx.TensorProto.UINT8, dims=[2**31])
    head = tensor.SerializeToString() + b"\x4a" + varint(2**31)
    graph = made.graph.SerializeToString()
    inner = graph + b"\x2a" + varint(len(head) + 2**31)
    rest = made
    rest.ClearField("graph")
    path = folder / "model.onnx"
    with path.open("wb") as file:
        file.write(rest.SerializeToString())
        file.write(b"\x3a" + varint(len(inner) + len(head) + 2**31) + inner + head)
        file.truncate(file.tell() + 2**31)
    return path


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def masked(low: float, op: str = "Add") -> Build:
    return one(op, "x", "mask", constants={"mask": np.asarray([0, low], np.float32)}, inputs=[value("x", [1, 2])])


def remainder(dtype: int) -> Build:
    divisor = np.asarray(1024, helper.tensor_dtype_to_np_dtype(dtype))
    nodes = [node("Mod", "x n", "y", fmod=int(dtype == FLOAT))]
    return built(model(nodes, [value("x", [1, 2], dtype)], constants={"n": divisor}))


def sparse() -> onnx.ModelProto:
    made = model([node("Add", "x c", "y")], [value("x", [1, 4])])
    values = onnx.numpy_helper.from_array(np.ones(1, np.float32), "c")
    indices = onnx.numpy_helper.from_array(np.zeros(1, np.int64), "i")
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))
    return made


def bfloat16_floats(*, raw: bool) -> Build:
    made = model([node("Cast", "c", "y", to=FLOAT)])
    tensor = made.graph.initializer.add(name="c", data_type=BFLOAT, dims=[2])
    if raw:
        tensor.raw_data = bytes(4)
    else:
        tensor.int32_data.extend([16256, 16256])
    return built(made)


def indices(*, cast: bool) -> Build:
    if not cast:
        return one("ArgMin", axis=1, outputs=[value("y", None, INT64)])
    return built(model([node("ArgMin", "x", "raw", axis=1), node("Cast", "raw", "y", to=INT32)]))


def many(op: str, count: int) -> Build:
    """Return a chain of nodes."""
    names = ["x", *(f"t{i}" for i in range(count - 1)), "y"]
    return built(lambda: model([node(op, names[i], names[i + 1]) for i in range(count)], opset=24))


def dtype_of_input(dtype: int, op: str = "Identity") -> Build:
    return one(op, inputs=[value("x", [2], dtype)], outputs=[value("y", [2], dtype)])


def names_of(first: str | None, second: str | None) -> Build:
    return built(lambda: model([node("Relu", "x", "t", first), node("Abs", "t", "y", second)]))


def npu(op: str, *operands: str, version: int = 1, **attributes: Any) -> Build:
    """Return a model of one of CANN's own operators, on heads of 64."""
    outputs = {"NPUAddRmsNorm": "y a b", "NPUGroupNormSilu": "y a b", "NPURmsNorm": "y a"}.get(op, "y")
    made = node(op, " ".join(operands), outputs, domain="npu", **attributes)
    constants = {"w": np.ones(64, np.float32), "r": np.ones((1, 4, 1, 64), np.float32)}
    return built(model([made], [value("x", [1, 4, 2, 64])], constants=constants, npu=version))


def rms_norm(**attributes: Any) -> Build:
    return npu("NPURmsNorm", "x", "w", **attributes)


def range_of(*, computed: bool) -> Build:
    constants = {"zero": np.asarray(0, np.int64), "one": np.asarray(1, np.int64)}
    if computed:
        ends = [value("x", [], INT64)]
        return one("Range", "zero", "x", "one", inputs=ends, outputs=[value("y", None, INT64)], constants=constants)
    return built(
        model(
            [node("Size", "x", "n"), node("Range", "zero n one", "y")],
            outputs=[value("y", None, INT64)],
            constants=constants,
        )
    )


def frozen(shape: Sequence[int] = (1, 4), dtype: int = 1, op: str = "Relu") -> Build:
    """Return a frozen graph of one placeholder and one operation, written by hand."""

    def message(number: int, content: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(content)) + content

    def attribute(name: str, content: bytes) -> bytes:
        return message(5, message(1, name.encode()) + message(2, content))

    dims = b"".join(message(2, b"\x08" + varint(size & (2**64 - 1))) for size in shape)
    kind = b"\x30" + varint(dtype)
    first = (
        message(1, b"x") + message(2, b"Placeholder") + attribute("dtype", kind) + attribute("shape", message(7, dims))
    )
    second = message(1, b"y") + message(2, op.encode()) + message(3, b"x") + attribute("T", kind)

    def build(folder: Path) -> Path:
        path = folder / "model.pb"
        path.write_bytes(message(1, first) + message(1, second))
        return path

    return build


def frozen_mask(low: float) -> Build:
    """Return a frozen graph that adds a scalar, as TensorFlow keeps one: in float_val."""

    def message(number: int, content: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(content)) + content

    scalar = message(8, b"\x08\x01" + message(2, b"") + message(5, np.float32(low).tobytes()))
    entries = {b"dtype": b"\x30\x01", b"value": scalar}
    attributes = b"".join(message(5, message(1, name) + message(2, entry)) for name, entry in entries.items())
    constant = message(1, b"mask") + message(2, b"Const") + attributes
    added = message(1, b"z") + message(2, b"Add") + message(3, b"y") + message(3, b"mask")

    def build(folder: Path) -> Path:
        path = frozen()(folder)
        path.write_bytes(path.read_bytes() + message(1, constant) + message(1, added))
        return path

    return build


BEHIND = 2048
"""Where the weights of a small TFLite file begin that has them behind its tables."""


def tflite(
    op: str = "RELU",
    *,
    dtype: str = "FLOAT32",
    version: int = 1,
    custom: str = "",
    dynamic: bool = False,
    behind: bool = False,
) -> Build:
    """Return a TFLite file of one operation; ``behind`` it lies the value of a constant that is read by none."""

    def build(folder: Path) -> Path:
        from lwmport.converters.tflite.schema import flatbuffers, schema

        code = schema.OperatorCodeT()
        number = getattr(schema.BuiltinOperator, "CUSTOM" if custom else op)
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
        code.customCode = custom.encode() or None
        tensors = []
        for name in ("x", "y"):
            tensor = schema.TensorT()
            tensor.name, tensor.shape, tensor.type = name.encode(), [1, 4], getattr(schema.TensorType, dtype)
            tensor.shapeSignature = [-1, 4] if dynamic else None
            tensors.append(tensor)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
        subgraph = schema.SubGraphT()
        subgraph.tensors, subgraph.inputs, subgraph.outputs, subgraph.operators = tensors, [0], [1], [operator]
        whole = schema.ModelT()
        whole.version, whole.operatorCodes, whole.subgraphs = 3, [code], [subgraph]
        whole.buffers = [schema.BufferT()]
        if behind:
            constant = schema.TensorT()
            constant.name, constant.shape, constant.type, constant.buffer = b"w", [16], schema.TensorType.FLOAT32, 1
            tensors.append(constant)
            held = schema.BufferT()
            held.offset, held.size = BEHIND, 64
            whole.buffers.append(held)
        builder = flatbuffers.Builder(1024)
        builder.Finish(whole.Pack(builder), b"TFL3")
        path = folder / "model.tflite"
        content = bytes(builder.Output())
        path.write_bytes(content.ljust(BEHIND, b"\0") + bytes(64) if behind else content)
        return path

    return build


def convolution(size: int, shape: Sequence[int] = (1, 4, 300, 300), kernel: Sequence[int] | None = None) -> Build:
    sizes = list(kernel or (size, size))
    weight = np.zeros((1, shape[1], *sizes), np.float32)
    return one("Conv", "x", "w", constants={"w": weight}, inputs=[value("x", shape)], kernel_shape=sizes)


def group_norm(opset: int) -> Build:
    scale = np.ones(2 if opset < 21 else 4, np.float32)
    constants = {"scale": scale, "bias": scale}
    return one("GroupNormalization", "x", "scale", "bias", constants=constants, opset=opset, num_groups=2)


def block_scales(block: int) -> Build:
    constants = {"w": np.ones((2, 4), np.int8), "scale": np.ones((2, 2) if block else (2,), np.float32)}
    more = {"block_size": block} if block else {}
    return one("DequantizeLinear", "w", "scale", constants=constants, opset=21, axis=1 if block else 0, **more)


def shaped(*, computed: bool) -> Build:
    if computed:
        return one("Reshape", "x", "s", inputs=[value("x", [1, 4]), value("s", [2], INT64)])
    return one("Reshape", "x", "s", constants={"s": np.asarray([2, 2], np.int64)}, inputs=[value("x", [1, 4])])


def allowing_zero(number: int) -> Build:
    constants = {"s": np.asarray([2, 2], np.int64)}
    return one("Reshape", "x", "s", constants=constants, inputs=[value("x", [1, 4])], allowzero=number)


def gather_nd(depth: int) -> Build:
    table = {"t": np.ones((8, 4), np.float32)}
    return one("GatherND", "t", "x", constants=table, inputs=[value("x", [3, depth], INT64)])


def padded(*operands: str) -> Build:
    """Return a Pad behind another node, of its last axis alone or of all."""
    constants = {"last": np.asarray([0, 2]), "axes": np.asarray([-1]), "all": np.asarray([0] * 7 + [2])}
    nodes = [node("Relu", "x", "t"), node("Pad", " ".join(["t", *operands]), "y")]
    return built(lambda: model(nodes, constants=constants, opset=18))


def ended(*, output: bool) -> Build:
    return built(lambda: model([node("Relu", "x", "y")], outputs=None if output else []))


DEFORMED = [value("x", [1, 1, 3, 3]), value("w", [1, 1, 2, 2]), value("o", [1, 8, 2, 2])]


def windowed(**attributes: Any) -> Build:
    return one("Attention", "x", "x", "x", inputs=[value("x", [1, 2, 4, 8])], opset=25, **attributes)


def with_weights(*, computed: bool) -> Build:
    weights, shape = np.ones((2, 4, 1, 1), np.float32), [value("x", [1, 4, 8, 8])]
    if computed:
        return one("Conv", "x", "w", inputs=[*shape, value("w", [2, 4, 1, 1])])
    return one("Conv", "x", "w", inputs=shape, constants={"w": weights})


def counted(start: Any) -> Build:
    limits = {"start": np.asarray(start, np.int64), "step": np.asarray(1, np.int64)}
    ends = [value("x", [], INT64)], [value("y", None, INT64)]
    return built(model([node("Range", "start x step", "y")], *ends, constants=limits))


def instance_norm(rank: int) -> Build:
    ones = np.ones(4, np.float32)
    shape = [1, 4, 8, 8, 8][:rank]
    return one("InstanceNormalization", "x", "s", "b", constants={"s": ones, "b": ones}, inputs=[value("x", shape)])


def trilu(*, computed: bool) -> Build:
    if computed:
        return one("Trilu", "x", inputs=[value("x", [4, 4])])
    return built(
        model(
            [node("Trilu", "c", "t"), node("Add", "x t", "y")],
            [value("x", [4, 4])],
            constants={"c": np.ones((4, 4), np.float32)},
        )
    )


def sliced(end: int) -> Build:
    constants = {name: np.asarray([number], np.int64) for name, number in (("s", 0), ("e", end), ("a", 1))}
    return one("Slice", "x", "s", "e", "a", constants=constants)


def weights_of_gib(gib: float) -> Build:
    return external("w.data", nbytes=int(gib * 2**30), dims=(int(gib * 2**28),))


def attention() -> Build:
    return one("Attention", "x", "x", "x", opset=23)


RELU = one("Relu")


def group_query(size: int) -> Build:
    """Return a model of two heads of a size, without a past."""
    made = node("GroupQueryAttention", "q q q - - last total", "y", num_heads=2, kv_num_heads=2, domain="com.microsoft")
    lengths = {"last": np.asarray([3], np.int32), "total": np.asarray([4], np.int32)}
    shape = [1, 4, 2 * size]
    return built(model([made], [value("q", shape)], [value("y", shape)], lengths, opset=21, com__microsoft=1))


LAST_INDEX = one("ArgMax", axis=1, select_last_index=1)
PASSES_BF16 = dtype_of_input(BFLOAT)
BIG_WEIGHTS = Case(weights_of_gib(60), weights_of_gib(4))


def pair(
    reader: str = "Conv", *, scales: int = 1, own: bool = False, dtype: type = np.float32, partner: str = "s z"
) -> Build:
    """Return a model whose reader has rounded values in front, and weights with ``scales`` scales."""
    nodes = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", f"q {partner}", "d")]
    nodes += [node("QuantizeLinear", "w ws wz", "wq", axis=0), node("DequantizeLinear", "wq ws wz", "wd", axis=0)]
    nodes += [node(reader, "d wd" if reader != "Relu" else "d", "y")]
    if own:
        nodes = [node("DequantizeLinear", "wq ws wz", "wd", axis=0), node(reader, "x wd", "y")]
    shape = (4, 4, 1, 1) if reader == "Conv" else (4, 4)
    sizes = () if scales == 1 else (scales,)
    of_weights = {"ws": np.ones(sizes, np.float32), "wz": np.zeros(sizes, np.int8)}
    given = {
        "s": np.ones((), np.float32),
        "z": np.zeros((), np.int8),
        "zs": np.zeros(1, np.int8),
        "two": np.full((), 2, np.float32),
    }
    weights = {"wq": np.ones(shape, np.int8)} if own else {"w": np.ones(shape, dtype)}
    return built(model(nodes, constants={**given, **of_weights, **weights}))


def nbits(operands: str = "x b s", *, bits: int = 4, zeros: tuple[int, ...] = (4,), block: int = 16) -> Build:
    """Return a product with packed weights [4, 2 * 16]; ``zeros`` is the shape of its zero points."""
    constants = {
        "b": np.zeros((4, 32 // block, block * bits // 8), np.uint8),
        "s": np.ones((4, 32 // block), np.float32),
        "z": np.zeros(zeros, np.uint8),
        "c": np.zeros(4, np.float32),
    }
    made = node("MatMulNBits", operands, "y", domain="com.microsoft", K=32, N=4, bits=bits, block_size=block)
    return built(model([made], [value("x", [2, 32])], constants=constants, com__microsoft=1))


def ascend_quant(**attributes: Any) -> Build:
    return one("AscendQuant", "x", **{"scale": 2.0, "offset": 0.0, **attributes})


CASES: dict[str, Case] = {
    "A01": Case(one("Relu", opset=19), one("Relu", opset=18)),
    "A02": Case(built(model([node("Gelu", "x", "y", domain="com.microsoft")], com__microsoft=1)), RELU),
    "A03": Case(one("Swish", opset=24), one("Sigmoid")),
    "A04": Case(built(functional), RELU),
    "A05": Case(with_body("Loop"), RELU),
    "A06": Case(names_of("same", "same"), names_of("one", "other")),
    "A07": Case(of_2_gib, RELU),
    "A08": Case(external("../w.data"), external("w.data")),
    "A09": Case(ended(output=False), ended(output=True)),
    "A10": Case(one("Relu", inputs=[value("x", ["n", 4])]), one("Relu", inputs=[value("x", [1, 4])])),
    "A11": Case(masked(-np.inf), masked(-1e4)),
    "A12": Case(resize("asymmetric"), resize("half_pixel", "round_prefer_floor")),
    "A13": Case(convolution(256), convolution(255)),
    "A14": Case(indices(cast=False), indices(cast=True)),
    "A15": Case(
        one("Add", "x", "x", inputs=[value("x", [2], INT64)]), one("Add", "x", "x", inputs=[value("x", [2], INT32)])
    ),
    "A16": Case(dtype_of_input(DOUBLE), dtype_of_input(HALF)),
    "A17": Case(PASSES_BF16, dtype_of_input(HALF)),
    "A18": Case(
        one("Einsum", "x", "x", inputs=[value("x", [4, 4])], equation="ij,jk->ik"),
        one("MatMul", "x", "x", inputs=[value("x", [4, 4])]),
    ),
    "A19": Case(sliced(0), sliced(2)),
    "A20": BIG_WEIGHTS,
    "A21": Case(one("Erf"), RELU),
    "A22": Case(
        built(model([node("Relu", "a:0", "y")], [value("a:0", [1])])),
        built(model([node("Relu", "a.0", "y")], [value("a.0", [1])])),
    ),
    "A23": Case(LAST_INDEX, one("ArgMax", axis=1)),
    "A24": Case(trilu(computed=True), trilu(computed=False)),
    "A25": Case(range_of(computed=True), range_of(computed=False)),
    "A26": Case(RELU, dtype_of_input(HALF)),
    "A27": Case(instance_norm(3), instance_norm(4)),
    "A28": Case(built(sparse), masked(-1)),
    "A29": Case(one("Relu", inputs=[value("x", [1] * 5)]), one("Relu", inputs=[value("x", [1] * 4)])),
    "A30": Case(frozen(), RELU),
    "A31": Case(tflite(), RELU),
    "A32": Case(masked(np.nan), masked(0.0)),
    "A33": Case(built(cyclic), RELU),
    "A36": Case(built(model([node("Relu", "x", "y")], ai__onnx__ml=2)), RELU),
    "A37": Case(pair(scales=4), RELU),
    "A38": Case(pair("MatMul", scales=4), pair("MatMul")),
    "A39": Case(ascend_quant(scale=2), ascend_quant()),
    "A40": Case(ascend_quant(offset=0.5), ascend_quant(offset=-128.0)),
    "A34": Case(rms_norm(), RELU, {"chip": "Ascend310B1"}),
    "A35": Case(rms_norm(epsilon=1e-5), rms_norm(epsilon=1e-6)),
    "Z01": Case(one("Relu", inputs=[value("x", ["n", 4])]), RELU),
    "Z02": Case(
        one("RandomNormalLike"),
        one("GroupNormalization", "x", "s", "s", opset=21, num_groups=2, constants={"s": np.ones(4, np.float32)}),
    ),
    "Z03": Case(loop_of(constant=False), one("Relu")),
    "Z04": Case(trilu(computed=True), trilu(computed=False)),
    "Z05": Case(block_scales(2), block_scales(0)),
    "Z06": Case(external("w.data", nbytes=4, dims=()), external("w.data")),
    "Z07": Case(external("w.data", keys=("offset", "length", "location")), external("w.data")),
    "Z08": Case(dtype_of_input(INT64), dtype_of_input(INT32)),
    "Z09": Case(masked(-1e9), masked(-50.0)),
    "Z10": Case(built(model([node("Relu", "x", "y")], other=40)), RELU),
    "Z11": Case(
        one("QuantizeLinear", "x", "s", opset=21, constants={"s": np.ones((), np.float32)}), one("Relu", opset=14)
    ),
    "Z12": Case(weights_of_gib(3), weights_of_gib(1)),
    "Z13": Case(names_of("a/b", "c"), names_of("a", "c")),
    "Z14": Case(tflite("DYNAMIC_UPDATE_SLICE"), tflite("RELU")),
    "Z15": Case(tflite("RELU", version=9), tflite("RELU", version=1)),
    "Z16": Case(tflite(dtype="INT8"), tflite()),
    "Z17": Case(tflite(custom="Own"), tflite()),
    "Z18": Case(ended(output=False), ended(output=True)),
    "Z19": Case(dtype_of_input(DOUBLE), dtype_of_input(HALF)),
    "Z20": Case(external("/etc/hostname"), external("w.data")),
    "Z21": Case(range_of(computed=True), range_of(computed=False)),
    "Z22": Case(of_2_gib, RELU),
    "Z23": Case(built(cyclic), RELU),
    "Z24": Case(tflite(behind=True), tflite()),
    "Z25": Case(remainder(INT32), remainder(FLOAT)),
    "Z26": Case(frozen(), RELU),
    "Z27": Case(built(functional), RELU),
    "Z28": Case(sliced(0), sliced(2)),
    "Z29": Case(allowing_zero(1), allowing_zero(0)),
    "Z30": Case(gather_nd(1), gather_nd(2)),
    "Z31": Case(with_weights(computed=True), with_weights(computed=False)),
    "Z32": Case(one("DeformConv", "x", "w", "o", inputs=DEFORMED, opset=19), RELU),
    "Z33": Case(resize("half_pixel", sizes=(2, 1, 2, 2)), resize("half_pixel")),
    "Z34": Case(windowed(left_window_size=2), windowed(left_window_size=-1)),
    "Z35": Case(pair(), pair(own=True)),
    "Z36": Case(padded("last", "-", "axes"), padded("all")),
    "M01": Case(one("Relu", opset=20), one("Relu", opset=19)),
    "M02": Case(one("Swish", opset=24), one("Sigmoid")),
    "M03": Case(many("Swish", 11), many("Swish", 10)),
    "M04": Case(attention(), RELU),
    "M05": Case(group_norm(18), group_norm(21)),
    "M06": Case(one("Relu", inputs=[value("x", ["n", 4])]), RELU),
    "M07": Case(shaped(computed=True), shaped(computed=False)),
    "M08": Case(resize("half_pixel_symmetric"), resize("asymmetric")),
    "M09": Case(bfloat16_floats(raw=False), bfloat16_floats(raw=True)),
    "M10": Case(LAST_INDEX, one("ArgMax", axis=1)),
    "M11": Case(
        one("Mul", "x", "x", inputs=[value("x", [2], INT32)]), one("Mul", "x", "x", inputs=[value("x", [2], INT64)])
    ),
    "M12": Case(built(functional), RELU),
    "M13": Case(with_body("If"), RELU),
    "M14": Case(
        built(
            model(
                [node("Conv", "x w", "t"), node("Reshape", "t s", "y")],
                constants={"w": np.ones((8, 4, 1, 1), np.float32), "s": np.asarray([1, 8, 64], np.int64)},
            )
        ),
        built(
            model(
                [node("Conv", "x w", "t"), node("Reshape", "t s", "y")],
                constants={"w": np.ones((4, 4, 1, 1), np.float32), "s": np.asarray([1, 4, 64], np.int64)},
            )
        ),
    ),
    "M15": Case(tflite(), RELU),
    "M16": Case(ended(output=False), ended(output=True)),
    "M17": Case(external("sub/../../w.data"), external("w.data")),
    "M18": Case(weights_of_gib(70), weights_of_gib(4), {"chip": "gfx936"}),
    "M19": Case(PASSES_BF16, dtype_of_input(HALF), {"chip": "gfx906"}),
    "M20": Case(of_2_gib, RELU),
    "M21": Case(built(cyclic), RELU),
    "M22": Case(frozen(), RELU),
    "M23": Case(nbits(bits=8), nbits()),
    "M24": Case(nbits("x b s z - c"), nbits("x b s z")),
    "M25": Case(pair(partner="s zs"), pair()),
    "P01": Case(one("Relu", opset=99), one("Relu", opset=21)),
    "P02": Case(one("Swish", opset=21), one("Swish", opset=24)),
    "P03": Case(built(model([node("Own", "x", "y", domain="own")], own=1)), built(functional)),
    "P04": Case(external("../w.data"), external("sub/w.data")),
    "P05": Case(of_2_gib, RELU),
    "P06": Case(one("Relu", inputs=[value("x", ["n", 4])]), RELU),
    "P07": Case(ended(output=False), ended(output=True)),
    "P12": Case(one("Max", "x", "x", inputs=[value("x", [2], INT16)]), one("Max", "x", "x")),
    "P13": Case(one("Relu", alpha=1.0), RELU),
    "P14": Case(counted([0]), counted(0)),
    "P15": Case(one("StringNormalizer", inputs=[value("x", [2], STRING)]), RELU),
    "P08": Case(masked(np.nan), masked(-np.inf)),
    "P09": Case(one("Add", "x", "c", constants={"c": np.ones(1, np.float16)}, inputs=[value("x", [1], HALF)]), RELU),
    "P10": Case(tflite(custom="FlexOwn"), tflite()),
    "P11": Case(built(cyclic), RELU),
    "P16": Case(group_query(100), group_query(96)),
}
"""Rule -> its case."""

FORM_CASES: dict[str, Case] = {
    "A10 frozen_graph": Case(frozen((-1, 4)), frozen()),
    "A11 frozen_graph": Case(frozen_mask(-1e9), frozen_mask(-1e4)),
    "M06 frozen_graph": Case(frozen((-1, 4)), frozen()),
    "A16 frozen_graph": Case(frozen(dtype=2), frozen()),
    "A29 frozen_graph": Case(frozen((1,) * 5), frozen()),
    "Z01 frozen_graph": Case(frozen((-1, 4)), frozen()),
    "Z01 tflite": Case(tflite(dynamic=True), tflite()),
    "Z19 tflite": Case(tflite(dtype="FLOAT64"), tflite()),
    "P06 tflite": Case(tflite(dynamic=True), tflite()),
}
"""Rules of several formats, in the others."""
