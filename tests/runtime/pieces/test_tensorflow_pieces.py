"""Pieces of TensorFlow's graphs: functions, variables by their handles, loops, damage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport import extras
from lwmport.errors import ArtifactError, PortError, RunnerError
from lwmport.processors import processors
from lwmport.runtime.pieces.tensorflow import TensorFlowPieces, open_frozen_graph, open_saved_model

pytestmark = pytest.mark.skipif(not extras.installed("tensorflow"), reason="pip install 'lwmport[tf]'")
TABLE = np.arange(12, dtype=np.float32).reshape(4, 3)
SCALE = np.array([2.0, 3.0, 5.0], np.float32)
FLOAT = 1
"""DT_FLOAT."""


@pytest.fixture(scope="module")
def tf() -> Any:
    return extras.require("tensorflow")


def _model(tf: Any) -> Any:
    """Return a module: rows of a variable, a function that is called twice, a loop that reads a variable."""
    module = tf.Module()
    module.table, module.scale = tf.Variable(TABLE, name="same"), tf.Variable(SCALE, name="same")

    @tf.function(autograph=False)
    def half(value: Any) -> Any:
        return tf.multiply(value, 0.5, name="halved")

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.int32, name="rows")])
    def serve(rows: Any) -> dict[str, Any]:
        value = half(half(tf.gather(module.table, rows)))
        body = lambda step, value: (step + 1, value * module.scale)  # noqa: E731 - as TensorFlow's own examples
        _, value = tf.while_loop(lambda step, _: step < 3, body, (0, value))
        return {"y": tf.identity(value, name="ends")}

    module.serve = serve
    return module


@pytest.fixture(scope="module")
def folder(tf: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "small.saved_model"
    module = _model(tf)
    tf.saved_model.save(module, str(path), signatures=module.serve)
    return path


@pytest.fixture(scope="module")
def pieces(folder: Path) -> TensorFlowPieces:
    return open_saved_model(folder, processors())


ROWS = np.array([3, 1], np.int32)
EXPECTED = TABLE[ROWS] * 0.25 * SCALE**3


def _of_type(pieces: TensorFlowPieces, word: str) -> int:
    return next(place for place, operator in enumerate(pieces.operators) if word in operator.type)


def test_variables_go_by_their_handles_where_operators_take_these(pieces: TensorFlowPieces) -> None:
    gather = pieces.operators[_of_type(pieces, "Gather")]
    assert np.array_equal(pieces.constant(gather.inputs[0]), TABLE)
    place, loop = _of_type(pieces, "While"), pieces.operators[_of_type(pieces, "While")]
    (scale,) = [name for name in loop.inputs if pieces.constants.get(name) and pieces.constants[name].shape == (3,)]
    assert np.array_equal(pieces.constant(scale), SCALE), "two variables of one name are told apart"
    assert place > _of_type(pieces, "Gather")


def test_a_loop_and_calls_compute_what_the_model_does(pieces: TensorFlowPieces) -> None:
    values = {pieces.public_inputs["rows"]: ROWS}
    for place, operator in enumerate(pieces.operators):
        feeds = {name: values[name] for name in operator.inputs if name in values}
        values |= pieces.run([place], feeds, [name for name in operator.outputs if name])
    assert np.allclose(values[pieces.public_outputs["y"]], EXPECTED)
    wanted = [pieces.public_outputs["y"]]
    together = pieces.run(range(len(pieces.operators)), {pieces.public_inputs["rows"]: ROWS}, wanted)
    assert np.array_equal(together[pieces.public_outputs["y"]], values[pieces.public_outputs["y"]])


def test_a_variable_that_a_loop_reads_can_be_fed(pieces: TensorFlowPieces) -> None:
    loop = pieces.operators[_of_type(pieces, "While")]
    (scale,) = [name for name in loop.inputs if pieces.constants.get(name) and pieces.constants[name].shape == (3,)]
    feeds = {pieces.public_inputs["rows"]: ROWS, scale: np.ones(3, np.float32)}
    every = range(len(pieces.operators))
    found = pieces.run(every, feeds, [pieces.public_outputs["y"]])
    assert np.allclose(found[pieces.public_outputs["y"]], TABLE[ROWS] * 0.25)
    again = pieces.run(every, {pieces.public_inputs["rows"]: ROWS}, [pieces.public_outputs["y"]])
    assert np.allclose(again[pieces.public_outputs["y"]], EXPECTED), "the variable has its own value again"


def test_nodes_of_a_function_that_is_called_twice_have_two_names(pieces: TensorFlowPieces) -> None:
    names = [operator.name for operator in pieces.operators if operator.type == "Mul"]
    assert len(names) == len(set(names)) == 2
    assert "halved" in names


def test_nothing_of_a_model_calls_functions(pieces: TensorFlowPieces) -> None:
    assert not [operator for operator in pieces.operators if "Call" in operator.type]
    assert pieces.operators[_of_type(pieces, "While")].attributes["body"].startswith("while_body")


def test_a_model_without_its_variables_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bare.saved_model").mkdir()
    path = tmp_path / "bare.saved_model" / "saved_model.pb"
    path.write_bytes((folder / "saved_model.pb").read_bytes())
    pieces = open_saved_model(path.parent, processors())
    gather = pieces.operators[_of_type(pieces, "Gather")]
    with pytest.raises(PortError, match="cannot read"):
        pieces.constant(gather.inputs[0])


def _frozen(tf: Any, path: Path, build: Callable[[], Any]) -> Path:
    with tf.Graph().as_default() as graph:
        build()
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def test_loops_of_tensorflow_1_are_refused(tf: Any, tmp_path: Path) -> None:
    def build() -> None:
        x = tf.compat.v1.placeholder(tf.float32, [2], "x")
        tf.compat.v1.disable_control_flow_v2()
        try:
            tf.compat.v1.while_loop(lambda value: value[0] < 3, lambda value: value + 1, [x])
        finally:
            tf.compat.v1.enable_control_flow_v2()

    with pytest.raises(ArtifactError, match="circle"):
        open_frozen_graph(_frozen(tf, tmp_path / "loop.pb", build), processors())


def _calls(node: Any, function: str, read: str) -> None:
    node.op = "PartitionedCall"
    node.input.append(read)
    node.attr["f"].func.name = function
    for name in ("Tin", "Tout"):
        node.attr[name].list.type.append(FLOAT)


def test_functions_that_double_are_refused(tf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lwmport.runtime.pieces.tensorflow_nodes.CALLED", 50)
    with tf.Graph().as_default() as graph:
        tf.compat.v1.placeholder(tf.float32, [2], "x")
    whole = graph.as_graph_def()
    _calls(whole.node.add(name="y"), "f0", "x")
    for level in range(8):
        function = whole.library.function.add()
        function.signature.name = f"f{level}"
        function.signature.input_arg.add(name="a", type=FLOAT)
        function.signature.output_arg.add(name="b", type=FLOAT)
        function.ret["b"] = "a" if level == 7 else "twice:output:0"
        if level < 7:
            _calls(function.node_def.add(name="once"), f"f{level + 1}", "a")
            _calls(function.node_def.add(name="twice"), f"f{level + 1}", "once:output:0")
    (tmp_path / "double.pb").write_bytes(whole.SerializeToString())
    with pytest.raises(ArtifactError, match=r"at most 50 calls .* in .*double.pb"):
        open_frozen_graph(tmp_path / "double.pb", processors())


def test_attributes_are_plain_and_large_constants_are_read_when_asked(tf: Any, tmp_path: Path) -> None:
    kernel = np.random.default_rng(0).normal(size=(3, 3, 16, 32)).astype(np.float32)

    def build() -> None:
        x = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 16], "x")
        tf.nn.conv2d(x, tf.constant(kernel, name="kernel"), strides=[1, 2, 2, 1], padding="SAME", name="y")

    pieces = open_frozen_graph(_frozen(tf, tmp_path / "conv.pb", build), processors())
    (operator,) = pieces.operators
    assert operator.type == "Conv2D"
    assert operator.inputs == ("x:0", "kernel:0")
    assert operator.attributes["padding"] == "SAME"
    assert operator.attributes["strides"] == [1, 2, 2, 1]
    assert operator.attributes["T"] == "float32"
    assert pieces.inputs[0].shape == ("?", 8, 8, 16)
    assert pieces.outputs[0].shape == ("?", 4, 4, 32)
    assert np.array_equal(pieces.constant("kernel:0"), kernel)
    assert pieces.constants["kernel:0"].shape == kernel.shape


def test_a_graph_without_inputs_and_one_that_is_none_are_refused(tf: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="placeholders"):
        open_frozen_graph(_frozen(tf, tmp_path / "bare.pb", lambda: tf.constant(1.0)), processors())
    (tmp_path / "odd.pb").write_bytes(b"\xff" * 100)
    with pytest.raises(ArtifactError, match="damage"):
        open_frozen_graph(tmp_path / "odd.pb", processors())


def test_another_number_of_threads_is_refused(pieces: TensorFlowPieces, folder: Path) -> None:
    assert pieces.run([0], {pieces.public_inputs["rows"]: ROWS}, pieces.operators[0].outputs)
    with pytest.raises(RunnerError, match="threads"):
        open_saved_model(folder, processors() + 1)
