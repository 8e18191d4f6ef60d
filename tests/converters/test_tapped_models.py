"""Taps in every format: the names of the reference, its values, the weights of the model, and what they show of it."""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters import converter_for
from lwmport.converters.dialects import DIALECTS
from lwmport.converters.taps import FORMATS, can_tap, convert_tapped
from lwmport.graphs.trace import trace
from lwmport.models.families import resolve
from lwmport.models.llama.test_inputs import language_inputs
from lwmport.models.options import Options
from lwmport.runtime.registry import open_runner
from lwmport.runtime.runners.jax import JaxRunner
from lwmport.runtime.runners.jax_streamed import StreamedJaxRunner
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.dialects import ALL_DIALECTS
from lwmport.types import Array, Artifact, Component

LLAMA: Final = {
    "vocab_size": 48, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2,
    "max_sequence_length": 64, "scan_query_chunk_size": 4, "scan_key_chunk_size": 4,
}  # fmt: skip
VISION: Final = {**LLAMA, "vision_vocab_size": 40}
STATIC: Final = {"sequence": 8, "max_length": 16}
CASES: Final[Mapping[str, tuple[str, Any, dict[str, Any]]]] = {
    "encoder": ("vqgan-encoder", "debug", {}),
    "decoder": ("vqgan-decoder", "debug", {}),
    "fused": ("llama", LLAMA, {}),
    "float16": ("llama", LLAMA, {"precision": "float16"}),
    "loop": ("llama", LLAMA, {"attention": "loop"}),
    "unrolled": ("llama-prefill", LLAMA, {"attention": "unrolled", **STATIC}),
    "prefill": ("llama-prefill", LLAMA, STATIC),
    "decode": ("llama-decode", LLAMA, {"max_length": 16}),
    "vision": ("vision-llama", VISION, {}),
    "block": ("llama-block", LLAMA, {"layer": 1}),
}
EVERY: Final = {**DIALECTS, **ALL_DIALECTS}
CLOSE: Final[Mapping[str, float]] = {"float32": 5e-5, "float16": 0.05}
"""Largest difference that is allowed, as a part of the largest value of a tap."""


@cache
def component_of(case: str) -> Component:
    name, config, options = CASES[case]
    return resolve(name, config, Options(**options)).components[0]


@cache
def inputs_of(case: str) -> Mapping[str, Array]:
    return language_inputs(component_of(case), 1).inputs


@cache
def reference(case: str) -> dict[str, Array]:
    component = component_of(case)
    return dict(StreamedJaxRunner(component, SeededWeights(component.weights, 0)).taps(inputs_of(case), "composites"))


def converted(case: str, dialect: str, kind: str, out: Path) -> tuple[Artifact, Artifact]:
    """Return the model of a case and its tapped model."""
    component, chosen = component_of(case), EVERY[dialect]
    weights, program = SeededWeights(component.weights, 0), trace(component)
    model = converter_for(chosen)(program, weights, chosen, out, lambda *_: None)
    tapped = trace(component, 1, kind)
    return model, convert_tapped(program, tapped, weights, chosen, model.path, lambda *_: None)


def outputs_of(artifact: Artifact, case: str) -> dict[str, Array]:
    runner = open_runner(artifact.path, RunnerContext(threads=len(os.sched_getaffinity(0))))
    return runner.run(inputs_of(case))


def names_of(tapped: Artifact, model: Artifact) -> list[str]:
    return [spec.name for spec in tapped.signature.outputs[len(model.signature.outputs) :]]


def hold(tapped: Artifact, model: Artifact, case: str) -> None:
    """Hold names, shapes, dtypes and values of a tapped model against the reference."""
    found, expected = outputs_of(tapped, case), reference(case)
    assert names_of(tapped, model) == list(expected)
    assert set(found) == {spec.name for spec in tapped.signature.outputs}
    close = CLOSE[CASES[case][2].get("precision", "float32")]
    for name, array in expected.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype), name
        largest = float(np.abs(array.astype(np.float64)).max())
        np.testing.assert_allclose(
            found[name].astype(np.float64), array.astype(np.float64), rtol=0, atol=close * largest, err_msg=name
        )


@pytest.mark.parametrize("case", CASES)
def test_taps_of_onnx_are_those_of_the_reference(case: str, tmp_path: Path) -> None:
    model, tapped = converted(case, "ort", "composites", tmp_path)
    hold(tapped, model, case)
    assert set(outputs_of(model, case)) <= set(outputs_of(tapped, case))


@pytest.mark.parametrize(
    ("case", "dialect"),
    [("prefill", "litert"), ("encoder", "tflite"), ("decode", "litert"), ("decoder", "tf"), ("block", "xla")],
)
def test_other_formats_have_the_same(case: str, dialect: str, tmp_path: Path) -> None:
    model, tapped = converted(case, dialect, "composites", tmp_path)
    assert tapped.path.name == f"{model.component}.taps{model.path.suffix}"
    hold(tapped, model, case)


@pytest.mark.parametrize("dialect", ["onnx", "ascend", "ascend-npu", "aipu", "migraphx"])
def test_a_dialect_changes_no_name(dialect: str, tmp_path: Path) -> None:
    model, tapped = converted("prefill", dialect, "composites", tmp_path)
    assert names_of(tapped, model) == list(reference("prefill"))
    written = [output.name for output in onnx.load(tapped.path, load_external_data=False).graph.output]
    assert written[len(model.signature.outputs) :] == list(reference("prefill"))


@pytest.mark.parametrize("case", ["encoder", "fused", "decode"])
def test_layers_are_some_of_the_composites_and_both_references_have_the_same(case: str) -> None:
    component, weights = component_of(case), SeededWeights(component_of(case).weights, 0)
    outputs = trace(component, 1, "layers").signature.outputs
    layers = [spec.name for spec in outputs[len(component.signature.outputs) :]]
    assert layers == [name for name in reference(case) if name in layers]
    whole = dict(JaxRunner(component, weights).taps(inputs_of(case), "layers"))
    assert list(whole) == layers
    close = CLOSE[CASES[case][2].get("precision", "float32")]
    for name, array in whole.items():
        expected = reference(case)[name].astype(np.float64)
        np.testing.assert_allclose(array.astype(np.float64), expected, rtol=0, atol=close * np.abs(expected).max())


@pytest.mark.parametrize(("case", "layers"), [("prefill", 2), ("decode", 2), ("fused", 2), ("vision", 2)])
def test_every_cut_of_a_language_model_calls_a_layer_the_same(case: str, layers: int) -> None:
    names = [name for name in reference(case) if name.count("/") == 2]
    assert names == [f"transformer/h/{number}" for number in range(layers)]
    assert list(reference(case))[:2] == [
        "transformer/h/0/attention_norm/rms_norm",
        "transformer/h/0/attention/rotary_embedding",
    ]


def test_one_layer_has_the_names_that_it_has_in_the_whole() -> None:
    whole = [name for name in reference("fused") if name.startswith("transformer/h/1")]
    assert list(reference("block")) == whole


def test_a_batch_of_any_size_has_the_names_of_one(tmp_path: Path) -> None:
    component = component_of("decoder")
    weights, program = SeededWeights(component.weights, 0), trace(component, "dynamic")
    model = converter_for(EVERY["ort"])(program, weights, EVERY["ort"], tmp_path, lambda *_: None)
    tapped = trace(component, "dynamic", "composites")
    beside = convert_tapped(program, tapped, weights, EVERY["ort"], model.path, lambda *_: None)
    hold(beside, model, "decoder")
    assert all(spec.shape[0] == "batch" for spec in beside.signature.outputs)


def places(path: Path) -> dict[str, tuple[str, int, int]]:
    """Return file, offset and length of every constant that lies in a data file."""
    graph = onnx.load(path, load_external_data=False).graph
    entries = {item.name: {entry.key: entry.value for entry in item.external_data} for item in graph.initializer}
    return {
        name: (given["location"], int(given["offset"]), int(given["length"]))
        for name, given in entries.items()
        if given
    }


@pytest.mark.parametrize("case", ["decoder", "fused", "prefill", "decode"])
def test_the_weights_are_those_of_the_model(case: str, tmp_path: Path) -> None:
    model, tapped = converted(case, "ort", "layers", tmp_path)
    data = tmp_path / f"{model.path.name}.data"
    before = {path: path.read_bytes() for path in model.files}
    assert tapped.files == (tapped.path,), "no data of its own"
    assert set(places(tapped.path).values()) == set(places(model.path).values())
    assert {file for file, *_ in places(tapped.path).values()} == {data.name}
    assert tapped.path.stat().st_size < data.stat().st_size / 2
    assert before == {path: path.read_bytes() for path in model.files}


def test_a_constant_that_the_model_lacks_is_the_only_one_in_the_data_of_the_taps(tmp_path: Path) -> None:
    """Where a doubling is a tap, the convolution behind it is not folded into it, and has its own kernel."""
    _, tapped = converted("decoder", "ort", "composites", tmp_path)
    assert [path.name for path in tapped.files] == ["vqgan-decoder.taps.onnx", "vqgan-decoder.taps.onnx.data"]
    own = [name for name, (file, *_) in places(tapped.path).items() if file == "vqgan-decoder.taps.onnx.data"]
    assert own == ["decoder/UpsamplingBlock_0/Upsample_0/Conv_0/kernel"]


def test_a_fault_in_a_layer_shows_at_its_tap_first(tmp_path: Path) -> None:
    model, tapped = converted("fused", "ort", "composites", tmp_path)
    sound = outputs_of(tapped, "fused")
    file, offset, length = places(model.path)["transformer/h/1/feed_forward/w1/kernel"]
    with (tmp_path / file).open("r+b") as data:
        data.seek(offset)
        values = np.frombuffer(data.read(length), np.float32)
        data.seek(offset)
        data.write((values * 2).tobytes())
    faulty = outputs_of(tapped, "fused")
    differs = [name for name in names_of(tapped, model) if not np.array_equal(sound[name], faulty[name])]
    assert differs == ["transformer/h/1/feed_forward/silu", "transformer/h/1", "transformer/ln_f"]


def test_the_stream_shows_a_tap_before_it_reads_on() -> None:
    component = component_of("fused")
    weights, reads = SeededWeights(component.weights, 0), list[str]()

    class Told:
        specs, source = weights.specs, weights.source

        def read(self, name: str) -> Array:
            reads.append(name)
            return weights.read(name)

    taps = StreamedJaxRunner(component, Told()).taps(inputs_of("fused"), "layers")
    name, _ = next(taps)
    assert name == "transformer/h/0"
    assert not [read for read in reads if read.startswith("transformer/h/1/attention/")]
    assert [name for name, _ in taps] == ["transformer/h/1", "transformer/ln_f"]


def test_a_component_without_weights_has_its_taps_too() -> None:
    component = component_of("block")
    weights = SeededWeights(component.weights, 0)
    values = {name: weights.read(name) for name in component.weights}
    bare = replace(component, weights={}, apply=lambda _, inputs: component.apply(values, inputs))
    streamed = dict(StreamedJaxRunner(bare, SeededWeights({}, 0)).taps(inputs_of("block"), "composites"))
    whole = dict(JaxRunner(bare, SeededWeights({}, 0)).taps(inputs_of("block"), "composites"))
    assert streamed
    assert list(streamed) == list(whole)


def test_which_dialects_have_taps() -> None:
    without = {name for name, dialect in EVERY.items() if not can_tap(dialect)}
    assert without == {"awq", "gguf", "gptq", "graphdef", "hf", "mindie", "tf2onnx"}
    assert {EVERY[name].format for name in EVERY.keys() - without} == set(FORMATS)
