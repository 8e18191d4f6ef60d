"""The size of the graphs: two transposes, one node for each layer, and no more than 200 at full size."""

from collections import Counter
from typing import Any

import onnx_ir as ir
import pytest

from lwmport.converters.dialects import DIALECTS, dialect_for
from lwmport.converters.onnx.convert import PRIMITIVES, native_rules
from lwmport.converters.onnx.emitter import Emitter
from lwmport.graphs.atoms import composite_name
from lwmport.graphs.program import Program
from lwmport.graphs.trace import trace
from lwmport.models.families import resolve
from lwmport.types import Array, Dialect

ONNX = [dialect.name for dialect in DIALECTS.values() if dialect.format == "onnx" and dialect.name != "tf2onnx"]
"""The dialects that this converter writes; tf2onnx takes another route to the format."""

DECODER = {"Conv": 56, "GroupNorm": 35, "Mul": 35, "Sigmoid": 35, "Add": 17, "Concat": 4, "DepthToSpace": 4}


class Unread:
    """Weights that nobody may read: a graph must be known without them."""

    specs: dict[str, Any] = {}  # noqa: RUF012
    source: dict[str, Any] = {}  # noqa: RUF012

    def read(self, name: str) -> Array:
        raise AssertionError(name)


def emitted(program: Program, dialect: Dialect) -> tuple[Emitter, list[ir.Value], list[ir.Value]]:
    rules = native_rules(dialect)
    expanded = program.expand(lambda equation: composite_name(equation) in rules)
    emitter = Emitter(expanded, Unread(), dialect.opset, PRIMITIVES, rules)
    return emitter, *emitter.run()


@pytest.fixture(scope="module", params=["lwm", "debug"])
def programs(request: pytest.FixtureRequest) -> dict[str, Program]:
    return {component.name: trace(component) for component in resolve("vqgan", request.param).components}


@pytest.mark.parametrize("dialect", ONNX)
def test_transposes_are_at_the_two_edges(dialect: str, programs: dict[str, Program]) -> None:
    for program in programs.values():
        emitter, inputs, outputs = emitted(program, dialect_for("onnx", dialect))
        transposes = [node for node in emitter.graph.nodes if node.op_type == "Transpose"]
        assert len(transposes) == 2, program.component
        first, last = transposes
        if program.component == "vqgan-decoder":
            assert first.inputs[0].producer().op_type == "Gather"
            assert last.outputs[0] is outputs[0]
        else:
            assert first.inputs[0] is inputs[0]
            assert last.inputs[0].producer().name.startswith("quant_conv/Conv")


@pytest.fixture(scope="module")
def decoder() -> Program:
    return trace(resolve("vqgan-decoder", "lwm").components[0])


def test_the_full_decoder_has_at_most_200_nodes_apart_from_its_norms(decoder: Program) -> None:
    for dialect in ONNX:
        emitter, _, _ = emitted(decoder, dialect_for("onnx", dialect))
        assert len([node for node in emitter.graph.nodes if "/GroupNorm" not in node.name]) <= 200


def test_the_full_decoder_has_one_node_for_each_layer(decoder: Program) -> None:
    emitter, _, _ = emitted(decoder, dialect_for("onnx", "ort"))
    found = {"GroupNorm" if "GroupNorm" in name else name: n for name, n in emitter.graph.operators().items()}
    assert found == {**DECODER, "Transpose": 2, "Clip": 1, "Gather": 1}


def test_every_weight_is_an_initializer_once(programs: dict[str, Program]) -> None:
    for program in programs.values():
        emitter, _, _ = emitted(program, dialect_for("onnx", "onnx"))
        sources = Counter(item.source for item in emitter.graph.initializers.values() if item.source)
        assert set(sources) == set(program.weight_names)
        twice = {name for name, count in sources.items() if count > 1}
        assert twice <= {"quantize/embeddings"}


def test_every_node_has_a_unique_name_under_its_module(programs: dict[str, Program]) -> None:
    for program in programs.values():
        emitter, _, _ = emitted(program, dialect_for("onnx", "ort"))
        names = [node.name for node in emitter.graph.nodes]
        assert len(set(names)) == len(names)
        modules = {node.name.split("/")[0] for node in emitter.graph.nodes if node.op_type == "Conv"}
        assert modules == {name.split("/")[0] for name in program.weight_names if name.endswith("/kernel")}


def test_promised_shapes_are_those_of_the_graph(programs: dict[str, Program]) -> None:
    for program in programs.values():
        emitter, _, _ = emitted(program, dialect_for("onnx", "ort"))
        for item in emitter.graph.initializers.values():
            assert tuple(item.value.shape) == item.shape
            assert item.value.dtype == ir.DataType.from_numpy(item.dtype)
