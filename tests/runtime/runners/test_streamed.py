"""Models larger than memory: the reference and ONNX Runtime take a weight at a time, and find what others find."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import lwmport
from lwmport import memory
from lwmport.checkpoints.layers import LayeredWeights
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.errors import CheckpointError, RunnerError
from lwmport.models.families import resolve
from lwmport.models.llama.test_inputs import cases_of, language_inputs
from lwmport.models.options import Options
from lwmport.runtime.memory_footprint import held_bytes
from lwmport.runtime.runners.jax import JaxRunner, reference
from lwmport.runtime.runners.jax_streamed import StreamedJaxRunner
from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
from lwmport.types import Array, Component, Status, WeightSpec

CONFIG = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "max_sequence_length": 128, "scan_layers": False,
}  # fmt: skip
VISION = {**CONFIG, "vision_vocab_size": 40}
LANGUAGE = ["llama", "vision-llama", "llama-block", "llama-embed", "llama-head", "ring-step"]


class Counted:
    """Weights that count how often each is read."""

    def __init__(self, component: Component) -> None:
        self._weights = SeededWeights(component.weights, 0)
        self.specs: Mapping[str, WeightSpec] = component.weights
        self.source = self._weights.source
        self.reads: Counter[str] = Counter()

    def read(self, name: str) -> Array:
        self.reads[name] += 1
        return self._weights.read(name)


def components(name: str, *, static: bool) -> tuple[Component, ...]:
    config = VISION if name == "vision-llama" else CONFIG
    lengths: dict[str, Any] = {"static": True, "sequence": 8, "max_length": 16} if static else {}
    return resolve(name, config, Options(**lengths)).references


def trials(component: Component) -> list[Mapping[str, Array]]:
    return [language_inputs(component, 2, case=case).inputs for case in cases_of(component)]


@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
@pytest.mark.parametrize("name", LANGUAGE)
def test_a_weight_at_a_time_gives_what_all_weights_give(name: str, *, static: bool) -> None:
    for component in components(name, static=static):
        given, weights = trials(component), Counted(component)
        expected = JaxRunner(component, SeededWeights(component.weights, 0)).run_all(given)
        heard: list[tuple[str, int, int]] = []
        found = StreamedJaxRunner(component, weights).run_all(given, lambda *said, to=heard: to.append(said))
        for one, other in zip(expected, found, strict=True):
            assert one.keys() == other.keys()
            for output in one:
                np.testing.assert_allclose(other[output], one[output], rtol=0, atol=2e-5)
        assert weights.reads == Counter(dict.fromkeys(component.weights, 1))
        total = sum(spec.nbytes for spec in component.weights.values())
        assert not heard or heard[-1][1:] == (total, total)


def test_a_tied_table_is_read_where_it_is_used() -> None:
    (component,) = resolve("llama", {**CONFIG, "tie_word_embeddings": True}, Options()).references
    weights = Counted(component)
    StreamedJaxRunner(component, weights).run(trials(component)[0])
    assert weights.reads.pop("transformer/wte/embedding") == 2
    assert set(weights.reads.values()) == {1}


def test_inputs_that_do_not_fit_are_refused_before_a_weight_is_read() -> None:
    (component,) = components("llama", static=False)
    weights = Counted(component)
    with pytest.raises(RunnerError, match="expected the inputs"):
        StreamedJaxRunner(component, weights).run({})
    assert not weights.reads


@pytest.mark.parametrize(("total", "streamed"), [(2, False), (1, True), (None, False)])
def test_memory_decides_which_reference_runs(
    total: int | None,
    streamed: bool,  # noqa: FBT001 - a parameter of the test
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (component,) = components("llama-block", static=False)
    count = sum(spec.nbytes for spec in component.weights.values())
    monkeypatch.setattr(memory, "total_bytes", lambda: total and total * count)
    assert reference(component, SeededWeights(component.weights, 0)).streamed is streamed


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("dialect", ["ort", "onnx", "ascend"])
def test_a_model_larger_than_memory_is_judged(
    dialect: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "is_scarce", lambda _: True)
    options = Options(precision=precision, sequence=8, max_length=16 if dialect == "ascend" else None)
    request = lwmport.Request(
        component="llama", format="onnx", dialect=dialect, out=tmp_path / "a", config=CONFIG, options=options
    )
    outcome = lwmport.convert(request)
    assert outcome.status is Status.PASSED
    for part in outcome.report.components:
        assert part.validation.reference == StreamedJaxRunner.name
        assert part.validation.runner == "ONNX Runtime, a weight at a time"
        assert part.timings == ()
    path = tmp_path / "a" / outcome.manifest.components[0].path
    model = onnx.load(path)
    next(node for node in model.graph.node if node.op_type == "Sigmoid").op_type = "Tanh"
    onnx.save(model, path, save_as_external_data=True, location=f"{path.name}.data")
    assert lwmport.validate(lwmport.Trial(artifact=path)).status is Status.FAILED


def test_a_checkpoint_that_breaks_off_while_it_is_judged_is_one_error_and_no_artifact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "is_scarce", lambda _: True)
    read = LayeredWeights.read

    def broken(weights: LayeredWeights, name: str) -> Array:
        if name == "transformer/h/1/attention/wo/kernel":
            raise CheckpointError(f"{name}: truncated")
        return read(weights, name)

    monkeypatch.setattr(LayeredWeights, "read", broken)
    request = lwmport.Request(component="llama", format="onnx", out=tmp_path / "a", config=CONFIG)
    with pytest.raises(CheckpointError, match="wo/kernel: truncated"):
        lwmport.convert(request)
    assert not (tmp_path / "a" / "manifest.json").exists()
    assert not list(tmp_path.rglob("*.onnx"))


def test_an_onnx_file_is_weighed_with_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = lwmport.Request(component="llama", format="onnx", out=tmp_path / "a", config=CONFIG, validate=False)
    made = lwmport.convert(replace(request, batch="dynamic")).manifest
    path = tmp_path / "a" / made.components[0].path
    count = sum(file.bytes for file in made.components[0].files)
    monkeypatch.setattr(memory, "total_bytes", lambda: 2 * count)
    assert not OnnxRuntimeRunner(path, 1).streamed
    monkeypatch.setattr(memory, "total_bytes", lambda: 2 * count - 1)
    assert OnnxRuntimeRunner(path, 1).streamed


def test_float16_weights_are_weighed_as_the_float32_that_they_become(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = lwmport.Request(
        component="llama", format="onnx", out=tmp_path / "a[1]", config=CONFIG, validate=False,
        options=Options(precision="float16"),
    )  # fmt: skip
    made = lwmport.convert(request).manifest
    path = tmp_path / "a[1]" / made.components[0].path
    count = sum(file.bytes for file in made.components[0].files)
    (component,) = resolve("llama", CONFIG).components
    weights = sum(spec.nbytes for spec in component.weights.values())
    monkeypatch.setattr(memory, "total_bytes", lambda: 4 * count)
    assert held_bytes(path) == count
    assert not OnnxRuntimeRunner(path, 1).streamed
    monkeypatch.setattr(memory, "total_bytes", lambda: 2 * count + weights // 4)
    assert held_bytes(path) == pytest.approx(count + weights / 2, rel=0.01)
    assert OnnxRuntimeRunner(path, 1).streamed


def test_a_broken_file_is_one_line_where_its_weights_are_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no model" * 9)
    monkeypatch.setattr(memory, "total_bytes", lambda: 200)
    with pytest.raises(RunnerError, match="ONNX Runtime refused"):
        OnnxRuntimeRunner(path, 1)
