"""Reading any ONNX file for checking: its graph with inferred shapes, its weights left where they are."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]

from lwmport.errors import ArtifactError, UsageError
from lwmport.onnx_dtypes import BITS, DTYPES
from lwmport.targets.graphs import external
from lwmport.targets.graphs.calls import check_calls
from lwmport.targets.graphs.exporters import module_of
from lwmport.targets.graphs.inference import constant_of, settle
from lwmport.targets.graphs.misfits import is_misfit, misfits
from lwmport.targets.graphs.record import (
    MISFIT,
    SMALL,
    UNNAMED,
    Constant,
    Graph,
    Node,
    Problem,
    Shapes,
    Value,
    bytes_of,
    numbered,
)
from lwmport.targets.graphs.refusals import refusals
from lwmport.targets.graphs.skeleton import ITSELF, skeleton
from lwmport.types import Array, Dim
from lwmport.wire import mapped
from lwmport.wording import few

DOMAINS: Final = 1000
"""Opsets of a model, one for each domain."""


def read(path: Path, shapes: Shapes | None = None) -> Graph:
    """Return the graph of an ONNX file, with the sizes of its inputs set as given.

    Raises:
        ArtifactError: it is no ONNX model.
        UsageError: a shape is given for what is no input, or of another rank.
    """
    model = settle(with_shapes(load(path), shapes or {}))[0]
    graph = graph_of(model, path)
    misfit = {problem.where for problem in graph.problems}
    return replace(graph, problems=(*graph.problems, *(one for one in refusals(model) if one.where not in misfit)))


def load(path: Path) -> onnx.ModelProto:
    """Return the skeleton of a model: see `lwmport.targets.graphs.skeleton`.

    Raises:
        ArtifactError: the file is no ONNX model.
    """
    data = mapped(path)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(skeleton(data))
    except DecodeError as error:
        raise ArtifactError(f"expected an ONNX model at {path}, found: {error}") from error
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    if len(model.opset_import) > DOMAINS:
        raise ArtifactError(f"expected at most {DOMAINS} opsets at {path}, found {len(model.opset_import):,}")
    if not model.HasField("graph") or not (model.opset_import or model.graph.node):
        raise ArtifactError(f"expected an ONNX model at {path}, found a protocol buffer without a graph")
    _check_texts(model, path)
    check_calls(model, path)
    return model


def _check_texts(model: onnx.ModelProto, path: Path) -> None:
    """Return if every text is one: protocol buffers of this kind hold any bytes.

    Raises:
        ArtifactError: one is no UTF-8.
    """
    waiting: list[Any] = [model]
    while waiting:
        message = waiting.pop()
        for field, value in message.ListFields():
            single = isinstance(value, str | bytes) or hasattr(value, "ListFields")
            items = [value] if single or field.type not in {field.TYPE_MESSAGE, field.TYPE_STRING} else value
            if field.type == field.TYPE_MESSAGE:
                waiting.extend(items)
            elif field.type == field.TYPE_STRING and any(isinstance(item, bytes) for item in items):
                raise ArtifactError(f"expected names in UTF-8 in {path}, found a {field.name} of other bytes")


def with_shapes(model: onnx.ModelProto, shapes: Shapes) -> onnx.ModelProto:
    """Return the model with the sizes of some inputs set; those of other values are forgotten, to be inferred anew.

    Raises:
        UsageError: a shape is given for what is no input, or of another rank or size.
    """
    inputs = {value.name: value for value in runtime_inputs(model)}
    for name, shape in shapes.items():
        if name not in inputs:
            raise UsageError(f"expected one of the inputs {few(inputs)} in --input-shape, found {name!r}")
        known = _shape(inputs[name].type)
        fits = known is None or (
            len(known) == len(shape)
            and all(isinstance(old, str) or old in {0, new} for old, new in zip(known, shape, strict=True))
        )
        if not fits:
            raise UsageError(f"expected a shape that fits {name}{list(known or ())}, found {list(shape)}")
        target = inputs[name].type.tensor_type.shape
        del target.dim[:]
        for size in shape:
            target.dim.add().dim_value = size
    if shapes:
        del model.graph.value_info[:]
        for output in model.graph.output:
            for dim in output.type.tensor_type.shape.dim:
                if not dim.HasField("dim_value") or dim.dim_value <= 0:
                    dim.Clear()
    return model


def runtime_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """Return the inputs that a caller gives: those without an initializer."""
    given = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in given]


def graph_of(model: onnx.ModelProto, path: Path) -> Graph:
    """Return the record of a skeleton that was read from ``path``."""
    problems: list[Problem] = []
    constants: dict[str, Constant] = {}
    values: dict[str, Value] = {}
    opsets = {_domain(item.domain): item.version for item in model.opset_import}
    nodes = list(_nodes(model.graph, "", _Found(path, constants, values, problems, opsets.get("", 0))))
    for function in model.functions:
        scope = f"{function.domain}.{function.name}"
        own = {_domain(item.domain): item.version for item in function.opset_import}
        nodes += [_node(node, scope, own.get("", opsets.get("", 0)), problems) for node in function.node]
    return Graph(
        path=path,
        form="onnx",
        nodes=tuple(nodes),
        inputs=numbered(map(_value, runtime_inputs(model))),
        outputs=tuple(values.get(output.name, _value(output)) for output in model.graph.output),
        values=values,
        constants=constants,
        file_bytes=path.stat().st_size if path.exists() else 0,
        opsets=opsets,
        ir=model.ir_version,
        functions=tuple((function.domain, function.name) for function in model.functions),
        problems=tuple(problems),
    )


class _Found(NamedTuple):
    path: Path
    constants: dict[str, Constant]
    values: dict[str, Value]
    problems: list[Problem]
    opset: int


def _nodes(graph: onnx.GraphProto, scope: str, found: _Found) -> Iterator[Node]:
    """Yield the nodes of a graph and of the bodies within, and note its values and constants."""
    path, constants, values, problems, opset = found
    for value in (*graph.input, *graph.output, *graph.value_info):
        values[value.name] = _value(value)
    tensors = [(tensor.name, tensor) for tensor in graph.initializer]
    tensors += [(sparse.values.name, sparse.values) for sparse in graph.sparse_initializer]
    names = {sparse.values.name for sparse in graph.sparse_initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.output:
            tensor = constant_of(node)
            tensors += [] if tensor is None else [(node.output[0], tensor)]
            names |= {node.output[0] for item in node.attribute if item.name == "sparse_value"}
    for name, tensor in tensors:
        constants[name], problem = _constant(path, name, tensor, sparse=name in names)
        values.setdefault(name, Value(name=name, shape=constants[name].shape, dtype=constants[name].dtype))
        problems += [problem] if problem else []
    for node in graph.node:
        yield _node(node, scope, opset, problems)
        for item in node.attribute:
            for body in (*item.graphs, *([item.g] if item.HasField("g") else [])):
                yield from _nodes(body, f"{scope}/{node.name or node.op_type}", found)


def _node(node: onnx.NodeProto, scope: str, opset: int, problems: list[Problem]) -> Node:
    """Return the record of a node, without attributes that its operator does not have so; they are noted."""
    where = node.name or next(iter(node.output), "")
    wrong = [Problem(kind=MISFIT, where=where, operator=node.op_type, found=found) for found in misfits(node, opset)]
    problems += wrong
    items = [item for item in node.attribute if not (wrong and is_misfit(node, item, opset))]
    return Node(
        name=node.name,
        op=node.op_type,
        domain=_domain(node.domain),
        inputs=tuple(node.input),
        outputs=tuple(node.output),
        attributes={item.name: _attribute(item) for item in items},
        scope=scope,
        module=module_of(node),
    )


def _attribute(item: onnx.AttributeProto) -> Any:
    """Return a plain value: texts decoded, a small tensor as an array, a body as its number of nodes."""
    kind = item.type
    if kind == onnx.AttributeProto.TENSOR:
        return array_of(item.t)
    if kind == onnx.AttributeProto.GRAPH:
        return len(item.g.node)
    if kind == onnx.AttributeProto.STRING:
        return item.s.decode("utf-8", "replace")
    if kind == onnx.AttributeProto.STRINGS:
        return tuple(text.decode("utf-8", "replace") for text in item.strings)
    plain = {onnx.AttributeProto.FLOAT: "f", onnx.AttributeProto.INT: "i"}
    lists = {onnx.AttributeProto.FLOATS: "floats", onnx.AttributeProto.INTS: "ints"}
    if kind in plain:
        return getattr(item, plain[kind])
    return tuple(getattr(item, lists[kind])) if kind in lists else None


def array_of(tensor: onnx.TensorProto) -> Array | None:
    """Return a tensor whose elements lie in the skeleton, None if they do not or are damaged."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        return None
    try:
        return onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, OverflowError, MemoryError):
        return None


def _constant(path: Path, name: str, tensor: onnx.TensorProto, *, sparse: bool) -> tuple[Constant, Problem | None]:
    dtype = DTYPES.get(tensor.data_type, "")
    shape = tuple(tensor.dims)
    nbytes = bytes_of(shape, dtype)
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        inline = array_of(tensor) if nbytes <= 64 * SMALL else None
        blocks = (lambda: iter([inline.reshape(-1)])) if inline is not None and not sparse else (lambda: iter([]))
        raw = tensor.HasField("raw_data") or not nbytes
        return Constant(name=name, shape=shape, dtype=dtype, nbytes=nbytes, raw=raw, sparse=sparse, blocks=blocks), None
    location, offset = entries.get("location", ""), _number(entries.get("offset", "0"))
    length = _number(entries["length"]) if "length" in entries else nbytes
    source, problem = external.place(path, location, offset, length)
    readable = source is not None and dtype in _READABLE and length == nbytes
    own = location.startswith(ITSELF)
    made = Constant(
        name=name,
        shape=shape,
        dtype=dtype,
        nbytes=nbytes,
        location="" if own else location,
        keys=() if own else tuple(entry.key for entry in tensor.external_data),
        sparse=sparse,
        blocks=external.reader(source, offset, length, dtype) if source and readable else (lambda: iter([])),
    )
    if problem:
        problem = Problem(kind=problem.kind, where=name, found=f"{problem.found} ({location})")
    return made, problem


def place_of(path: Path, tensor: onnx.TensorProto) -> tuple[Path | None, int, int]:
    """Return the file, offset and length of a tensor of a skeleton; no file if it may not be read or is too short."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    offset = _number(entries.get("offset", "0"))
    nbytes = bytes_of(tensor.dims, DTYPES.get(tensor.data_type, ""))
    length = _number(entries["length"]) if "length" in entries else nbytes
    source, _ = external.place(path, entries.get("location", ""), offset, length)
    return (source if length == nbytes else None), offset, length


_READABLE: Final = {
    name
    for name in DTYPES.values()
    if name not in {"string", "complex64", "complex128", *BITS} and not name.startswith(("float8", "float6"))
}


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 20 else -1


def _value(value: onnx.ValueInfoProto) -> Value:
    return Value(name=value.name, shape=_shape(value.type), dtype=DTYPES.get(value.type.tensor_type.elem_type, ""))


def _shape(kind: onnx.TypeProto) -> tuple[Dim, ...] | None:
    if not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    return tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else (dim.dim_param or UNNAMED)
        for dim in kind.tensor_type.shape.dim
    )


def _domain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain
