"""The VQGAN end to end: SavedModel, frozen graph and jax2tf's flavour against JAX, and what others read of them."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.graphs.trace import trace
from lwmport.models.families import resolve
from lwmport.models.llama.test_inputs import cases_of, language_inputs
from lwmport.models.vqgan.components import vqgan_decoder, vqgan_encoder
from lwmport.models.vqgan.config import CONFIGS
from lwmport.runtime.runners.jax import JaxRunner
from lwmport.runtime.runners.tensorflow import TensorFlowRunner
from lwmport.types import Array, Artifact, Component, Dialect

pytestmark = pytest.mark.usefixtures("tf")

DEBUG = CONFIGS["debug"]
HALVES = {"encoder": vqgan_encoder, "decoder": vqgan_decoder}
OPTIONS = replace(DEBUG, attn_resolutions=(16, 32), no_attn_mid_block=False, resample_with_conv=False)
"""Attention everywhere, and pooling in place of strided convolutions."""

THREADS = len(os.sched_getaffinity(0))
TOLERANCE = 1e-4


def ignore(*_: Any) -> None:
    """Report no progress."""


def inputs_of(component: Component, batch: int) -> dict[str, Array]:
    random = np.random.default_rng(0)
    found: dict[str, Array] = {}
    for spec in component.signature.inputs:
        low, high = spec.value_range or (0, 1)
        shape = tuple(batch if dim == "batch" else int(dim) for dim in spec.shape)
        floats = spec.dtype == "float32"
        found[spec.name] = np.asarray(
            random.uniform(low, high, shape) if floats else random.integers(int(low), int(high) + 1, shape), spec.dtype
        )
    return found


def agree(component: Component, found: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    assert sorted(found) == sorted(spec.name for spec in component.signature.outputs)
    for name, reference in expected.items():
        atol = TOLERANCE if reference.dtype == np.float32 else 0
        np.testing.assert_allclose(found[name], reference, rtol=0, atol=atol, err_msg=name, strict=True)


def converted(to: str, component: Component, dialect: Dialect, out: Path, batch: int | str = 1) -> Artifact:
    from lwmport.converters.saved_model import convert, frozen

    write = frozen.convert if to == "frozen" else convert.convert
    out.mkdir(parents=True, exist_ok=True)
    return write(trace(component, batch), SeededWeights(component.weights, 0), dialect, out, ignore)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, plain: Dialect) -> dict[str, Artifact]:
    """Both halves of the debug model for any batch."""
    out = tmp_path_factory.mktemp("made")
    return {half: converted("saved_model", make(DEBUG), plain, out, "dynamic") for half, make in HALVES.items()}


@pytest.mark.parametrize("half", HALVES)
def test_a_saved_model_agrees_with_jax(half: str, made: Any, jax_outputs: Any) -> None:
    component = HALVES[half](DEBUG)
    inputs = inputs_of(component, 2)
    expected = jax_outputs(component, SeededWeights(component.weights, 0), inputs)
    agree(component, TensorFlowRunner(made[half].path, THREADS).run(inputs), expected)


@pytest.mark.parametrize("half", HALVES)
def test_options_agree_with_jax(half: str, plain: Any, tmp_path: Path, jax_outputs: Any) -> None:
    component = HALVES[half](OPTIONS)
    artifact = converted("frozen", component, plain, tmp_path, "dynamic")
    inputs = inputs_of(component, 2)
    expected = jax_outputs(component, SeededWeights(component.weights, 0), inputs)
    agree(component, TensorFlowRunner(artifact.path, THREADS).run(inputs), expected)


def test_a_frozen_graph_agrees_with_jax(plain: Any, tmp_path: Path, jax_outputs: Any) -> None:
    component = vqgan_decoder(DEBUG)
    artifact = converted("frozen", component, plain, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["vqgan-decoder.pb"]
    inputs = inputs_of(component, 1)
    expected = jax_outputs(component, SeededWeights(component.weights, 0), inputs)
    agree(component, TensorFlowRunner(artifact.path, THREADS).run(inputs), expected)


def test_the_flavour_of_jax2tf_agrees_with_jax(plain: Any, tmp_path: Path, jax_outputs: Any) -> None:
    component = vqgan_encoder(DEBUG)
    artifact = converted("saved_model", component, replace(plain, name="xla", composites={}), tmp_path, "dynamic")
    assert artifact.operators["XlaCallModule"] == 1
    inputs = inputs_of(component, 2)
    expected = jax_outputs(component, SeededWeights(component.weights, 0), inputs)
    agree(component, TensorFlowRunner(artifact.path, THREADS).run(inputs), expected)


def test_the_flavour_of_jax2tf_takes_an_empty_cache(plain: Any, tmp_path: Path) -> None:
    fields = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1}
    (component,) = resolve("llama", {**fields, "num_attention_heads": 2, "max_sequence_length": 64}).references
    artifact = converted("saved_model", component, replace(plain, name="xla", composites={}), tmp_path, "dynamic")
    runner = TensorFlowRunner(artifact.path, THREADS)
    reference = JaxRunner(component, SeededWeights(component.weights, 0))
    for case in cases_of(component):
        trial = language_inputs(component, 2, case=case)
        expected = {name: np.where(trial.relevant[name], x, 0) for name, x in reference.run(trial.inputs).items()}
        found = {name: np.where(trial.relevant[name], x, 0) for name, x in runner.run(trial.inputs).items()}
        agree(component, found, expected)


@pytest.mark.parametrize("half", HALVES)
def test_operators_are_plain(half: str, made: Any, tf: Any) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.ParseFromString((made[half].path / "saved_model.pb").read_bytes())
    (graph,) = model.meta_graphs
    functions = {function.signature.name for function in graph.graph_def.library.function}
    used = {
        *(node.op for node in graph.graph_def.node),
        *(node.op for function in graph.graph_def.library.function for node in function.node_def),
    } - functions
    assert used >= set(made[half].operators)
    assert not used & {"XlaCallModule", "PyFunc", "EagerPyFunc", "CustomCall"}
    assert used <= {name for name in dir(tf.raw_ops) if not name.startswith("_")}


@pytest.mark.parametrize("half", HALVES)
def test_no_operator_was_added_to_the_plan(half: str, made: Any) -> None:
    counts = made[half].operators
    assert counts["Conv2D"] == counts["BiasAdd"] == {"encoder": 13, "decoder": 17}[half]
    assert counts["Mean"] == 4 * counts["Rsqrt"]
    assert not counts.keys() & {"Transpose", "Tile", "Cast"}


@pytest.mark.parametrize("half", HALVES)
def test_variables_are_the_checkpoint(half: str, made: Any, tf: Any) -> None:
    component = HALVES[half](DEBUG)
    weights = SeededWeights(component.weights, 0)
    reader = tf.train.load_checkpoint(str(made[half].path / "variables" / "variables"))
    keys = {key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for key in reader.get_variable_to_shape_map()}
    derived = {"quantize/embeddings_reduce_sum"} if half == "encoder" else set()
    assert keys - {"_CHECKPOINTABLE_OBJECT_GRAPH"} == {*component.weights, *derived}
    for name in component.weights:
        found = reader.get_tensor(f"{name}/.ATTRIBUTES/VARIABLE_VALUE")
        np.testing.assert_array_equal(found, weights.read(name), err_msg=name, strict=True)


@pytest.mark.parametrize("half", HALVES)
def test_the_signature_keeps_names_shapes_and_dtypes(half: str, made: Any, tf: Any) -> None:
    function = tf.saved_model.load(str(made[half].path)).signatures["serving_default"]
    component = HALVES[half](DEBUG)
    sides = (function.structured_input_signature[1], function.structured_outputs)
    for specs, found in zip((component.signature.inputs, component.signature.outputs), sides, strict=True):
        assert sorted(found) == sorted(spec.name for spec in specs)
        for spec in specs:
            assert found[spec.name].dtype.name == spec.dtype
            assert found[spec.name].shape.as_list() == [dim if isinstance(dim, int) else None for dim in spec.shape]


def test_files_are_listed_and_nothing_else_is_there(made: Any) -> None:
    for artifact in made.values():
        names = [path.relative_to(artifact.path).as_posix() for path in artifact.files]
        assert names == ["saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"]
        assert set(artifact.files) == {path for path in artifact.path.rglob("*") if path.is_file()}


@pytest.mark.parametrize("half", HALVES)
def test_the_lite_converter_takes_it(half: str, made: Any, tf: Any) -> None:
    fixed = tf.lite.TFLiteConverter.from_saved_model(str(made[half].path), signature_keys=["serving_default"])
    content = fixed.convert()
    assert content[4:8] == b"TFL3"
    assert b"Flex" not in content


def test_the_command_line_of_tensorflow_reads_it(made: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What ``saved_model_cli show --all`` runs, for a process of its own costs the import of TensorFlow."""
    from tensorflow.python.tools import saved_model_cli

    saved_model_cli._show_all(str(made["encoder"].path))
    told = capsys.readouterr().out
    for words in ("inputs['pixel_values']", "outputs['codebook_indices']", "(-1, 32, 32, 3)"):
        assert words in told


def test_two_inputs_go_by_name(component_of: Any, weights_of: Any, plain: Any, tmp_path: Path) -> None:
    left, right = np.asarray([3, 4], np.float32), np.asarray([1, 2], np.float32)
    component = component_of(lambda x, y: (x - y, x + y), (left, right), name="two")
    program = trace(component)
    from lwmport.converters.saved_model import convert, frozen

    for write in (convert.convert, frozen.convert):
        path = write(program, weights_of({}), plain, tmp_path, ignore).path
        found = TensorFlowRunner(path, THREADS).run({"x1": right, "x0": left})
        np.testing.assert_array_equal(found["y0"], [2, 2])
        np.testing.assert_array_equal(found["y1"], [4, 6])


def test_progress_counts_every_byte(plain: Any, tmp_path: Path) -> None:
    from lwmport.converters.saved_model import convert, frozen

    component = vqgan_decoder(DEBUG)
    weights = SeededWeights(component.weights, 0)
    total = sum(spec.nbytes for spec in component.weights.values())
    write: Callable[..., Artifact]
    for write in (convert.convert, frozen.convert):
        calls: list[tuple[str, int, int]] = []
        write(trace(component), weights, plain, tmp_path, lambda *call, calls=calls: calls.append(call))
        assert {name for name, _, _ in calls} == set(component.weights)
        assert calls[-1][1:] == (total, total)
        assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)


def test_values_are_written_in_groups_and_read_back(
    tf: Any, plain: Any, component_of: Any, weights_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lwmport.converters.saved_model import variables
    from lwmport.converters.saved_model.convert import convert

    monkeypatch.setattr(variables, "GROUP_BYTES", 100)
    random = np.random.default_rng(0)
    arrays = {f"part/{letter}": random.standard_normal((4, 4)).astype(np.float32) for letter in "abc"}
    component = component_of(
        lambda x, **given: x @ given["part/a"] @ given["part/b"] + given["part/c"],
        (np.ones((4, 4), np.float32),),
        arrays,
    )
    artifact = convert(trace(component), weights_of(arrays), plain, tmp_path, lambda *_: None)
    assert len([path for path in artifact.files if ".data-" in path.name]) == 3
    saved = tf.train.load_checkpoint(str(artifact.path / "variables" / "variables"))
    for name, array in arrays.items():
        np.testing.assert_array_equal(saved.get_tensor(f"{name}/.ATTRIBUTES/VARIABLE_VALUE"), array)
    found = tf.saved_model.load(str(artifact.path)).signatures["serving_default"](x0=tf.ones((4, 4)))["y0"]
    np.testing.assert_allclose(
        found, np.ones((4, 4)) @ arrays["part/a"] @ arrays["part/b"] + arrays["part/c"], atol=1e-5
    )
