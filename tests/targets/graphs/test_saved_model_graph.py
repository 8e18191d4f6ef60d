"""The graph that a SavedModel serves, with its calls inlined: written by hand, so that TensorFlow is not needed."""

from pathlib import Path

import pytest

from lwmport.errors import ArtifactError
from lwmport.targets.graphs.saved_model_graph import read_saved_model_graph

FLOAT = 1


def field(number: int, content: bytes | str) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(data)) + data


def number(place: int, value: int) -> bytes:
    return varint(place << 3) + varint(value)


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def shape(*sizes: int) -> bytes:
    return b"".join(field(2, number(1, size)) for size in sizes)


def node(name: str, op: str, *inputs: str, **attributes: bytes) -> bytes:
    return (
        field(1, name)
        + field(2, op)
        + b"".join(field(3, one) for one in inputs)
        + b"".join(field(5, field(1, key) + field(2, value)) for key, value in attributes.items())
    )


def function(name: str, arguments: tuple[str, ...], nodes: list[bytes], returned: str) -> bytes:
    signature = field(1, name) + b"".join(field(2, field(1, one)) for one in arguments) + field(3, field(1, "out"))
    made = b"".join(field(3, one) for one in nodes)
    return field(1, signature) + made + field(4, field(1, "out") + field(2, returned))


def tensor_info(name: str, *sizes: int) -> bytes:
    return field(1, name) + number(2, FLOAT) + field(3, shape(*sizes))


def saved_model(folder: Path, functions: list[bytes]) -> Path:
    kernel = {"dtype": number(6, FLOAT), "shape": field(7, shape(3, 5)), "shared_name": field(2, "dense/kernel")}
    main = [
        node("dense/kernel", "VarHandleOp", **kernel),
        node("serving_x", "Placeholder"),
        node("call", "StatefulPartitionedCall", "serving_x", "dense/kernel", f=field(10, field(1, "outer"))),
        node("save", "SaveV2", "call"),
    ]
    graph = b"".join(field(1, one) for one in main) + field(2, b"".join(field(1, one) for one in functions))
    signature = field(1, field(1, "x") + field(2, tensor_info("serving_x:0", 2, 3)))
    signature += field(2, field(1, "y") + field(2, tensor_info("call:0", 2, 5)))
    entry = field(1, "serving_default") + field(2, signature)
    (folder / "saved_model.pb").write_bytes(field(2, field(2, graph) + field(5, entry)))
    return folder


def inner(called: str = "inner") -> list[bytes]:
    outputs = field(1, field(7, shape(2, 5)))
    body = [
        node("dense/Relu", "Relu", "dense/MatMul:product:0", _output_shapes=outputs),
        node("read", "ReadVariableOp", "w"),
        node("dense/MatMul", "MatMul", "x", "read:value:0", _output_shapes=outputs),
    ]
    calls = [node("again", "PartitionedCall", "a", "b", f=field(10, field(1, called)))]
    return [
        function("outer", ("a", "b"), calls, "again:output:0"),
        function("inner", ("x", "w"), body, "dense/Relu:activations:0"),
    ]


def test_calls_are_inlined_and_variables_are_constants(tmp_path: Path) -> None:
    graph = read_saved_model_graph(saved_model(tmp_path, inner()))
    assert [node.op for node in graph.nodes if node.op != "Placeholder"] == ["MatMul", "Relu"], "in an order that runs"
    product = next(node for node in graph.nodes if node.op == "MatMul")
    assert product.inputs[1] == "dense/kernel"
    assert graph.constants["dense/kernel"].shape == (3, 5)
    assert graph.constants["dense/kernel"].nbytes == 60
    assert graph.shape(product.outputs[0]) == (2, 5)
    assert graph.outputs[0].name == graph.nodes[-1].outputs[0]
    assert [graph.public[value.name] for value in (*graph.inputs, *graph.outputs)] == ["x", "y"]


def test_a_function_that_calls_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="calls deep"):
        read_saved_model_graph(saved_model(tmp_path, inner(called="outer")))


def test_every_cut_of_it_is_a_line_or_a_graph(tmp_path: Path) -> None:
    whole = (saved_model(tmp_path, inner()) / "saved_model.pb").read_bytes()
    refused = 0
    for end in range(0, len(whole), 7):
        (tmp_path / "saved_model.pb").write_bytes(whole[:end])
        try:
            read_saved_model_graph(tmp_path)
        except ArtifactError as error:
            refused += "\n" not in str(error)
            continue
    assert refused > 10
