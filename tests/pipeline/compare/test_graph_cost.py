"""What nodes of files cost, counted by hand, in each format's own order of axes."""

from pathlib import Path
from typing import Any

import pytest

from lwmport.pipeline.compare.graph_cost import Costs
from lwmport.targets.graphs.record import Graph, Node, Value


def cost(
    vocabulary: str, op: str, shapes: dict[str, tuple[Any, ...] | None], outs: str = "y", **attributes: Any
) -> Any:
    values = {name: Value(name=name, shape=shape, dtype="float32") for name, shape in shapes.items()}
    inputs = tuple(name for name in shapes if name not in outs.split())
    node = Node(name="n", op=op, domain="", inputs=inputs, outputs=tuple(outs.split()), attributes=attributes)
    graph = Graph(
        path=Path("x"), form="onnx", nodes=(node,), inputs=(), outputs=(), values=values, constants={}, file_bytes=0
    )
    return Costs(graph, vocabulary, {"tokens": 6}).of(node)


HEADS: Any = {"q": (1, 2, 3, 8), "k": (1, 2, 5, 8), "v": (1, 2, 5, 8), "y": (1, 2, 3, 8)}


@pytest.mark.parametrize(
    ("vocabulary", "op", "shapes", "flop"),
    [
        ("ONNX", "MatMul", {"a": (2, 3, 5), "b": (5, 7), "y": (2, 3, 7)}, 2 * 2 * 3 * 5 * 7),
        ("ONNX", "Conv", {"x": (1, 4, 8, 8), "w": (6, 4, 3, 3), "y": (1, 6, 8, 8)}, 2 * 6 * 8 * 8 * 4 * 9),
        ("ONNX", "ConvTranspose", {"x": (1, 4, 8, 8), "w": (4, 6, 2, 2), "y": (1, 6, 16, 16)}, 2 * 4 * 64 * 6 * 4),
        ("ONNX", "Attention", HEADS, 4 * 2 * 3 * 5 * 8),
        ("ONNX", "MultiHeadAttention", {"q": (1, 3, 16), "k": (1, 5, 16), "v": (1, 5, 16), "y": (1, 3, 16)}, 960),
        ("TFLite", "CONV_2D", {"x": (1, 8, 8, 4), "w": (6, 3, 3, 4), "y": (1, 8, 8, 6)}, 2 * 6 * 8 * 8 * 4 * 9),
        ("TFLite", "DEPTHWISE_CONV_2D", {"x": (1, 8, 8, 4), "w": (1, 3, 3, 4), "y": (1, 8, 8, 4)}, 2 * 256 * 9),
        ("TFLite", "FULLY_CONNECTED", {"x": (2, 5), "w": (7, 5), "y": (2, 7)}, 2 * 2 * 5 * 7),
        ("TensorFlow", "Conv2D", {"x": (1, 8, 8, 4), "w": (3, 3, 4, 6), "y": (1, 8, 8, 6)}, 2 * 6 * 8 * 8 * 4 * 9),
    ],
)  # fmt: skip
def test_products_and_convolutions(vocabulary: str, op: str, shapes: dict[str, Any], flop: int) -> None:
    found = cost(vocabulary, op, shapes)
    assert found.flop == found.main == flop


def test_attributes_turn_a_product_around() -> None:
    shapes = {"a": (5, 3), "b": (5, 7), "y": (3, 7)}
    assert cost("TensorFlow", "MatMul", shapes, transpose_a=1).flop == 2 * 3 * 5 * 7
    assert cost("ONNX", "Gemm", shapes, transA=1).flop == 2 * 3 * 5 * 7


def test_einsum_of_two_operands() -> None:
    shapes = {"a": (2, 3, 5), "b": (5, 7), "y": (2, 3, 7)}
    assert cost("ONNX", "Einsum", shapes, equation="bij, jk -> bik").flop == 2 * 2 * 3 * 5 * 7
    assert cost("ONNX", "Einsum", shapes, equation="...j,jk").flop is None


def test_attention_is_two_products_of_its_kind() -> None:
    assert cost("ONNX", "Attention", HEADS).kinds == {"attention": 1, "contraction": 2}


def test_a_named_size_counts_as_what_was_asked_and_an_unknown_one_is_told() -> None:
    assert cost("ONNX", "Relu", {"x": ("tokens", 4), "y": ("tokens", 4)}).flop == 24
    assert cost("ONNX", "Relu", {"x": (4,), "y": ("whatever", 4)}).flop is None
    assert cost("ONNX", "MatMul", {"a": None, "b": (5, 7), "y": (2, 7)}).flop is None


def test_moving_is_free_and_a_table_is_read_as_far_as_it_is_picked_from() -> None:
    found = cost("ONNX", "Gather", {"table": (1000, 8), "ids": (2,), "y": (2, 8)})
    assert found.flop == 0
    assert found.bytes == 4 * (2 * 8 + 2 + 2 * 8)


def test_a_convolution_of_an_odd_rank_is_not_counted() -> None:
    assert cost("ONNX", "GroupQueryAttention", {"q": (1, 2, 3), "y": (1, 2, 3)}).flop is None
