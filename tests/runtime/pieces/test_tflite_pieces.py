"""Pieces of TFLite files that are written here, table by table: bodies, names, options, packed and hostile values."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from lwmport import extras
from lwmport.errors import ArtifactError, RunnerError
from lwmport.runtime.pieces.tflite import KEPT, TFLitePieces, open_tflite
from lwmport.types import Array

pytestmark = pytest.mark.skipif(not extras.installed("ai_edge_litert"), reason="pip install 'lwmport[tflite]'")
FLOAT, INT, BOOL = "FLOAT32", "INT32", "BOOL"


class File:
    """A TFLite file in the making: subgraphs of tensors and operators, whose constants have buffers."""

    def __init__(self) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema: Any = schema
        self.codes: list[str] = []
        self.buffers: list[Any] = [schema.BufferT()]
        self.subgraphs: list[Any] = []

    def tensor(self, name: str, dtype: str, shape: list[int], value: Array | None = None, **fields: Any) -> Any:
        buffer = 0
        if value is not None:
            buffer = len(self.buffers)
            self.buffers.append(self.schema.BufferT(data=np.frombuffer(value.tobytes(), np.uint8)))
        kind = getattr(self.schema.TensorType, dtype)
        return self.schema.TensorT(name=name, type=kind, shape=shape, buffer=buffer, hasRank=True, **fields)

    def operator(
        self, kind: str, inputs: list[int], outputs: list[int], options: Any = None, second: Any = None
    ) -> Any:
        if kind not in self.codes:
            self.codes.append(kind)
        found = self.schema.OperatorT(opcodeIndex=self.codes.index(kind), inputs=inputs, outputs=outputs)
        if options is not None:
            found.builtinOptions = options
            found.builtinOptionsType = getattr(self.schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        if second is not None:
            found.builtinOptions2 = second
            found.builtinOptions2Type = getattr(self.schema.BuiltinOptions2, type(second).__name__.removesuffix("T"))
        return found

    def subgraph(self, tensors: list[Any], inputs: list[int], outputs: list[int], operators: list[Any]) -> None:
        self.subgraphs.append(
            self.schema.SubGraphT(tensors=tensors, inputs=inputs, outputs=outputs, operators=operators, name="")
        )

    def write(self, path: Path) -> Path:
        import flatbuffers

        numbers = [getattr(self.schema.BuiltinOperator, code) for code in self.codes]
        codes = [
            self.schema.OperatorCodeT(builtinCode=number, deprecatedBuiltinCode=min(number, 127), version=1)
            for number in numbers
        ]
        model = self.schema.ModelT(version=3, operatorCodes=codes, subgraphs=self.subgraphs, buffers=self.buffers)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path


def _loop(path: Path) -> Path:
    """Write ``while step < 3: step, x = step + 1, x * 2``, behind and before an ADD of 1."""
    file, one = File(), np.ones(1, np.float32)
    schema = file.schema
    add = lambda: schema.AddOptionsT(fusedActivationFunction=schema.ActivationFunctionType.NONE)  # noqa: E731 - short
    file.subgraph(
        [
            file.tensor("x", FLOAT, [2]),
            file.tensor("", FLOAT, [1], one),
            file.tensor("same", FLOAT, [2]),
            file.tensor("step", INT, [], np.zeros((), np.int32)),
            file.tensor("same", INT, []),
            file.tensor("same", FLOAT, [2]),
            file.tensor("y", FLOAT, [2]),
        ],
        [0],
        [6],
        [
            file.operator("ADD", [0, 1], [2], add()),
            file.operator("WHILE", [3, 2], [4, 5], schema.WhileOptionsT(condSubgraphIndex=1, bodySubgraphIndex=2)),
            file.operator("ADD", [5, 1], [6], schema.AddOptionsT(fusedActivationFunction=1)),
        ],
    )
    ends = [file.tensor("a", INT, []), file.tensor("b", FLOAT, [2])]
    limit = file.tensor("limit", INT, [], np.array(3, np.int32))
    file.subgraph(
        [*ends, limit, file.tensor("less", BOOL, [])],
        [0, 1],
        [3],
        [file.operator("LESS", [0, 2], [3], schema.LessOptionsT())],
    )
    more = [file.tensor("1", INT, [], np.array(1, np.int32)), file.tensor("2", FLOAT, [1], 2 * one)]
    file.subgraph(
        [*ends, *more, file.tensor("c", INT, []), file.tensor("d", FLOAT, [2])],
        [0, 1],
        [4, 5],
        [file.operator("ADD", [0, 2], [4], add()), file.operator("MUL", [1, 3], [5], schema.MulOptionsT())],
    )
    return file.write(path)


@pytest.fixture
def loop(tmp_path: Path) -> TFLitePieces:
    return open_tflite(_loop(tmp_path / "loop.tflite"), 1)


def test_names_that_are_empty_or_repeated_get_the_place_of_their_tensor(loop: TFLitePieces) -> None:
    first, body, last = loop.operators
    assert first.inputs == ("x", "#1")
    assert first.outputs == ("same",)
    assert body.outputs == ("same#4", "same#5")
    assert body.name == "same#4"
    assert last.outputs == ("y",)
    assert {**loop.public_inputs, **loop.public_outputs} == {"x": "x", "y": "y"}
    assert sorted(loop.constants) == ["#1", "step"]


def test_bodies_travel_with_their_operator(loop: TFLitePieces) -> None:
    assert loop.operators[1].attributes == {
        "cond_subgraph_index": "subgraph 1: 1 LESS",
        "body_subgraph_index": "subgraph 2: 1 ADD, 1 MUL",
    }
    value = np.array([1.0, 5.0], np.float32)
    found = loop.run([1], {"same": value}, ["same#5", "same#4"])
    assert np.array_equal(found["same#5"], value * 8)
    assert found["same#4"] == 3
    late = loop.run([1], {"same": value, "step": np.array(2, np.int32)}, ["same#5"])
    assert np.array_equal(late["same#5"], value * 2), "a constant that is fed has another value"
    whole = loop.run(range(3), {"x": value}, ["y"])
    assert np.array_equal(whole["y"], (value + 1) * 8 + 1)


def test_options_are_words_of_the_schema(loop: TFLitePieces) -> None:
    assert loop.operators[0].attributes["fused_activation_function"] == "NONE"
    assert loop.operators[2].attributes["fused_activation_function"] == "RELU"


def test_the_same_operators_are_cut_once(loop: TFLitePieces) -> None:
    value = np.ones(2, np.float32)
    for shape in ((2,), (2,), (3, 2), (2,)):
        found = loop.run([0], {"x": np.broadcast_to(value, shape).copy()}, ["same"])
        assert np.array_equal(found["same"], np.full(shape, 2, np.float32))
    assert len(loop._kept) == 2
    for size in range(1, KEPT + 9):
        loop.run([0], {"x": np.ones((size, 2), np.float32)}, ["same"])
    assert len(loop._kept) == KEPT
    loop.close()
    assert not loop._kept


def test_operators_that_lead_nowhere_are_left_out(loop: TFLitePieces) -> None:
    value = np.ones(2, np.float32)
    assert np.array_equal(loop.run([0, 1, 2], {"x": value}, ["same"])["same"], value + 1)
    assert len(loop._tables.leading_to([loop._places["same"]], [0, 1, 2])) == 1


def test_a_composite_is_run_by_its_decomposition(tmp_path: Path) -> None:
    from flatbuffers import flexbuffers

    file = File()
    ends = lambda: [file.tensor("a", FLOAT, [2]), file.tensor("b", FLOAT, [2])]  # noqa: E731 - one set a subgraph
    none = np.frombuffer(flexbuffers.Dumps({}), np.uint8)
    composite = file.schema.StableHLOCompositeOptionsT(
        name="test.square", decompositionSubgraphIndex=1, compositeAttributes=none
    )
    file.subgraph(ends(), [0], [1], [file.operator("STABLEHLO_COMPOSITE", [0], [1], None, composite)])
    file.subgraph(ends(), [0], [1], [file.operator("MUL", [0, 0], [1], file.schema.MulOptionsT())])
    pieces = open_tflite(file.write(tmp_path / "composite.tflite"), 1)
    (operator,) = pieces.operators
    assert operator.attributes["name"] == "test.square"
    assert operator.attributes["decomposition_subgraph_index"] == "subgraph 1: 1 MUL"
    value = np.array([3.0, 4.0], np.float32)
    assert np.array_equal(pieces.run([0], {"a": value}, ["b"])["b"], value**2)


def test_a_variable_of_the_runtime_has_no_value(tmp_path: Path) -> None:
    file = File()
    file.subgraph(
        [file.tensor("v", "RESOURCE", []), file.tensor("y", FLOAT, [2])],
        [],
        [1],
        [
            file.operator("VAR_HANDLE", [], [0], file.schema.VarHandleOptionsT(container="", sharedName="v")),
            file.operator("READ_VARIABLE", [0], [1], file.schema.ReadVariableOptionsT()),
        ],
    )
    pieces = open_tflite(file.write(tmp_path / "variable.tflite"), 1)
    with pytest.raises(RunnerError, match="expected v inside of these operators, found a resource"):
        pieces.run([0], {}, ["v"])
    with pytest.raises(RunnerError, match="expected v inside of these operators, found a resource"):
        pieces.run([1], {}, ["y"])


def test_values_of_less_than_a_byte_are_unpacked_and_packed(tmp_path: Path) -> None:
    file = File()
    quantised = file.schema.QuantizationParametersT(scale=[0.5], zeroPoint=[0])
    stored = np.array([0x7F, 0x0C], np.uint8)  # -1, 7, -4 from the low bits on
    file.subgraph(
        [file.tensor("w", "INT4", [3], stored, quantization=quantised), file.tensor("y", FLOAT, [3])],
        [],
        [1],
        [file.operator("DEQUANTIZE", [0], [1], file.schema.DequantizeOptionsT())],
    )
    pieces = open_tflite(file.write(tmp_path / "packed.tflite"), 1)
    value = pieces.constant("w")
    assert value.dtype == ml_dtypes.int4
    assert value.astype(np.int8).tolist() == [-1, 7, -4]
    assert pieces.run([0], {}, ["y"])["y"].tolist() == [-0.5, 3.5, -2.0]
    other = np.array([2, -8, 3], ml_dtypes.int4)
    assert pieces.run([0], {"w": other}, ["y"])["y"].tolist() == [1.0, -4.0, 1.5]


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        (([0, 9], [1]), "expected one of 2 tensors, found number 9"),
        (([0, -2], [1]), "expected one of 2 tensors, found number -2"),
        (([1], [1]), "in order"),
    ],
)
def test_indices_that_lead_nowhere_are_refused(sides: tuple[list[int], list[int]], said: str, tmp_path: Path) -> None:
    file = File()
    file.subgraph(
        [file.tensor("a", FLOAT, [2]), file.tensor("b", FLOAT, [2])], [0], [1], [file.operator("ABS", *sides)]
    )
    with pytest.raises(ArtifactError, match=said):
        open_tflite(file.write(tmp_path / "odd.tflite"), 1)


def test_a_body_that_runs_the_whole_model_is_refused(tmp_path: Path) -> None:
    file = File()
    ends = [file.tensor("a", FLOAT, [2]), file.tensor("b", FLOAT, [2])]
    composite = file.schema.StableHLOCompositeOptionsT(name="test.itself", decompositionSubgraphIndex=0)
    file.subgraph(ends, [0], [1], [file.operator("STABLEHLO_COMPOSITE", [0], [1], None, composite)])
    pieces = open_tflite(file.write(tmp_path / "itself.tflite"), 1)
    with pytest.raises(ArtifactError, match="another subgraph"):
        pieces.run([0], {"a": np.ones(2, np.float32)}, ["b"])


def test_a_constant_of_too_few_bytes_is_refused(tmp_path: Path) -> None:
    file = File()
    tensors = [file.tensor("a", FLOAT, [2]), file.tensor("w", FLOAT, [9], np.ones(2, np.float32))]
    operators = [file.operator("ADD", [0, 1], [2], file.schema.AddOptionsT())]
    file.subgraph([*tensors, file.tensor("b", FLOAT, [9])], [0], [2], operators)
    pieces = open_tflite(file.write(tmp_path / "short.tflite"), 1)
    with pytest.raises(ArtifactError, match=r"expected 36 bytes for float32 .* w, found 8"):
        pieces.constant("w")
    with pytest.raises(RunnerError):
        pieces.run([0], {"a": np.ones(2, np.float32)}, ["b"])


def test_without_the_delegate_operators_alone_are_the_whole_to_the_bit(tmp_path: Path) -> None:
    """XNNPACK takes the mean of a square as one operator; LiteRT's own kernels do not."""
    file, axis = File(), np.array([1], np.int32)
    tensors = [file.tensor("x", FLOAT, [4, 99]), file.tensor("axis", INT, [1], axis), file.tensor("s", FLOAT, [4, 99])]
    file.subgraph(
        [*tensors, file.tensor("y", FLOAT, [4])],
        [0],
        [3],
        [
            file.operator("MUL", [0, 0], [2], file.schema.MulOptionsT()),
            file.operator("MEAN", [2, 1], [3], file.schema.ReducerOptionsT()),
        ],
    )
    path = file.write(tmp_path / "mean.tflite")
    value = np.random.default_rng(0).normal(size=(4, 99)).astype(np.float32)
    for delegate in (False, True):
        pieces = open_tflite(path, 1, delegate=delegate)
        whole = pieces.run([0, 1], {"x": value}, ["y"])["y"]
        alone = pieces.run([1], pieces.run([0], {"x": value}, ["s"]), ["y"])["y"]
        assert np.allclose(whole, alone, rtol=1e-6)
        assert np.array_equal(whole, alone) or delegate
