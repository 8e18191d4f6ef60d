"""``--store float16`` on the whole road: half the bytes, the verdict of float32, and a statement of what it costs."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from judged_again import LLAMA, VQGAN, Made
from onnx import numpy_helper

import lwmport
from lwmport import extras
from lwmport.checkpoints.model_weights import component_weights
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.checkpoints.writers.write import write_checkpoint
from lwmport.converters.dialects import DIALECTS
from lwmport.errors import CheckpointError, UsageError
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.models.storage import schemes_of, written_bytes
from lwmport.pipeline.bundle.run import BundleRequest, bundle
from lwmport.pipeline.bundle.verify import VerifyRequest, verify
from lwmport.pipeline.compile.run import CompileRequest, compile_artifacts
from lwmport.pipeline.convert.unused_options import storing
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather
from lwmport.pipeline.validate.request import ValidateRequest
from lwmport.pipeline.validate.run import validate
from lwmport.targets.dialects import ALL_DIALECTS, target_of
from lwmport.targets.preflight import Conditions, check
from lwmport.types import Array, Status

EVERY = {**DIALECTS, **ALL_DIALECTS}
STORE = Options(store="float16")
JUDGED = [("vqgan-encoder", "ort"), ("vqgan-decoder", "litert"), ("llama", "ascend-npu"), ("llama", "tflite")]
"""Each way to read a weight: kernels, tables, matrices, sorted columns, and those that two models share."""


def request(component: str, dialect: str, out: Path, **changes: Any) -> lwmport.Request:
    form = EVERY[dialect].format
    if form == "tflite" and not extras.installed("ai_edge_litert"):
        pytest.skip("TFLite is not installed")
    config = LLAMA if component.startswith("llama") else VQGAN
    given = {"config": config, "dialect": dialect, "options": STORE, **changes}
    return lwmport.Request(component=component, format=form, out=out, **given)


def data_bytes(folder: Path) -> int:
    """Return the bytes of the files that hold weights."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix in {".data", ".tflite"})


@dataclass(frozen=True, kw_only=True)
class Decoder(Made):
    """A converted decoder, and beside the rounded reference the exact one."""

    exact: ReferenceRun


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    folder = tmp_path_factory.mktemp("stored") / "out"
    outcome = lwmport.convert(request("vqgan-decoder", "onnx", folder))
    family = resolve("vqgan-decoder", VQGAN, STORE)
    (component,) = family.references
    weights = component_weights(family, component, SeededWeights(family.weights, 0))
    assert isinstance(weights, StoredWeights)
    run, exact = (gather(component, held, 1) for held in (weights, weights.exact))
    return Decoder(folder=folder, outcome=outcome, run=run, exact=exact)


@pytest.mark.parametrize(("component", "dialect"), JUDGED)
def test_every_output_agrees_with_the_rounded_reference(component: str, dialect: str, tmp_path: Path) -> None:
    outcome = lwmport.convert(request(component, dialect, tmp_path / "out"))
    assert outcome.status is Status.PASSED, outcome.report.sentence
    for section in outcome.report.components:
        assert section.validation.reference == "JAX, weights rounded to float16"
        assert any(note.startswith("Stored in float16, computed in float32: ") for note in section.notes)
        costs = {note for note in section.notes if note.startswith("Cost of storage, ")}
        assert len(costs) == len(section.signature.outputs)


WITH_PICTURES = [name for name in storing("float16") if EVERY[name].format != "gguf"]
"""A GGUF file holds whole language models alone; tests/converters/gguf has its own of half precision."""


@pytest.mark.parametrize("dialect", WITH_PICTURES)
def test_weights_take_half_the_bytes_and_the_target_takes_the_model(dialect: str, tmp_path: Path) -> None:
    made = lwmport.convert(request("vqgan-decoder", dialect, tmp_path, config="debug", validate=False))
    (part,), (component,) = made.manifest.components, resolve("vqgan-decoder", "debug").components
    whole = sum(spec.nbytes for spec in component.weights.values())
    assert made.plan.write_bytes == written_bytes(component, STORE) < 0.52 * whole
    assert part.details["stored"]["float16"]["tensors"] == len(schemes_of(component, STORE))
    assert 0.4 * whole < data_bytes(tmp_path) < 0.65 * whole  # tables of normalisation are large beside a small model
    assert made.manifest.options["store"] == "float16"
    target = target_of(dialect)
    if target is not None:
        assert check(tmp_path / part.path, Conditions(target=target)).status is Status.PASSED


def test_other_dialects_and_models_without_matrices_are_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--store float16 in a dialect out of ort, .* in the dialect 'tf'"):
        lwmport.convert(request("vqgan", "tf", tmp_path / "tf"))
    with pytest.raises(UsageError, match="found none among the weights of ring-step"):
        lwmport.convert(request("ring-step", "ort", tmp_path / "ring", config="debug"))


def test_what_is_compiled_of_it_is_judged_by_the_rounded_reference(decoder: Decoder, tmp_path: Path) -> None:
    """No manifest tells what a compiler stores, so the report does not count it."""
    (made,) = compile_artifacts(CompileRequest(artifact=decoder.path, target="cpu", out=tmp_path))
    found = validate(ValidateRequest(artifact=tmp_path / made.products[0]))
    assert found.status is Status.PASSED
    (section,) = found.report.components
    assert section.validation.reference == "JAX, weights rounded to float16"
    assert section.notes[0] == (
        "Compiled from a model whose weights are stored in float16 and computed in float32. "
        "The compiler decides what this file stores."
    )
    assert any(note.startswith("Cost of storage, pixel_values: ") for note in section.notes)


def test_the_cost_is_that_of_the_weights_and_not_of_the_artifact(decoder: Decoder) -> None:
    (section,) = decoder.outcome.report.components
    assert section.validation.status is Status.PASSED
    rounded, exact = (run.outputs["pixel_values"].astype(np.float64) for run in (decoder.run, decoder.exact))
    largest = np.abs(rounded - exact).max()
    assert largest > 1e-4
    (cost,) = (note for note in section.notes if note.startswith("Cost of storage, pixel_values: "))
    assert float(cost.split("largest error ")[1].split(",")[0]) == pytest.approx(largest, rel=0.01)


def test_it_is_judged_again_by_the_same_reference(decoder: Decoder) -> None:
    again = validate(ValidateRequest(artifact=decoder.folder))
    (section,), (first,) = again.report.components, decoder.outcome.report.components
    assert again.status is Status.PASSED
    assert section.validation.diffs == first.validation.diffs
    assert section.notes == first.notes


def test_the_golden_outputs_of_a_bundle_are_those_of_the_rounded_weights(decoder: Decoder, tmp_path: Path) -> None:
    out = tmp_path / "bundle.zip"
    bundle(BundleRequest(folder=decoder.folder, target="cpu", out=out, samples=1, calibration=0))
    with zipfile.ZipFile(out) as archive:
        assert json.loads(archive.read("spec.json"))["reference"].endswith("on a CPU, weights rounded to float16")
        assert b"weights rounded to float16" in archive.read("README.txt")
    assert verify(VerifyRequest(path=out)).status is Status.PASSED


def test_a_weight_that_does_not_fit_ends_the_conversion(tmp_path: Path) -> None:
    specs = resolve("vqgan", VQGAN).weights
    name = "decoder/Conv_0/kernel"

    class Large:
        def __init__(self) -> None:
            seeded = SeededWeights(specs, 0)
            self.specs, self.source, self._read = seeded.specs, seeded.source, seeded.read

        def read(self, wanted: str) -> Array:
            return self._read(wanted) * np.float32(1e6 if wanted == name else 1)

    write_checkpoint(Large(), tmp_path / "weights.pkl", "pickle")
    with pytest.raises(CheckpointError, match=rf"^{name}: expected values that float16 can hold, .*leave --store out"):
        lwmport.convert(request("vqgan-decoder", "onnx", tmp_path / "out", checkpoint=str(tmp_path / "weights.pkl")))
    assert not (tmp_path / "out").exists()


def toward_zero(halves: Array, exact: Array) -> Array:
    """Round toward zero in place of to nearest."""
    beyond = np.abs(halves.astype(np.float32)) > np.abs(exact)
    return np.where(beyond, np.nextafter(halves, np.float16(0)), halves)


def off_by_one(halves: Array, _: Array) -> Array:
    """Shift each value by one place, as a wrong offset does."""
    return np.roll(halves.reshape(-1), 1).reshape(halves.shape)


def swapped(halves: Array, _: Array) -> Array:
    """Swap the halves of a tensor."""
    return np.roll(halves, len(halves) // 2, axis=0)


def enlarged(halves: Array, _: Array) -> Array:
    """Multiply by a scale that is half a percent too large."""
    return (halves.astype(np.float32) * 1.005).astype(np.float16)


@pytest.mark.parametrize("damage", [toward_zero, off_by_one, swapped, enlarged])
def test_wrongly_stored_values_fail(damage: Callable[[Array, Array], Array], decoder: Decoder, tmp_path: Path) -> None:
    model = onnx.load(decoder.path)
    seeded = SeededWeights(resolve("vqgan-decoder", VQGAN).weights, 0)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT16 and tensor.name in seeded.specs and len(tensor.dims) == 4:
            exact = seeded.read(tensor.name).transpose(3, 2, 0, 1)
            halves = numpy_helper.to_array(tensor)
            assert np.array_equal(halves, exact.astype(np.float16))
            tensor.CopyFrom(numpy_helper.from_array(damage(halves, exact).astype(np.float16), tensor.name))
    onnx.save(model, tmp_path / "broken.onnx")
    assert decoder.judged(tmp_path / "broken.onnx") is Status.FAILED
    assert decoder.judged(decoder.path) is Status.PASSED


def test_exact_weights_fail(decoder: Decoder, tmp_path: Path) -> None:
    lwmport.convert(request("vqgan-decoder", "onnx", tmp_path, options=Options(), validate=False))
    assert decoder.judged(tmp_path / "vqgan-decoder.onnx") is Status.FAILED
