"""``--method gptq`` on the whole road: the same bytes again, judged again, resumed, and a planted fault fails."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import lwmport
from lwmport.errors import ArtifactError, CheckpointError, UnusedOptionError
from lwmport.manifest import CALIBRATION
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.pipeline.calibration.matrices import Matrices
from lwmport.pipeline.reopen import reopen
from lwmport.pipeline.validate.judge import judge
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather
from lwmport.types import Status

LLAMA = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "max_sequence_length": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "vocab_size": 256,
}
ROUNDED = Options(quantize="w4a16", symmetric=False, method="gptq")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "t.npz"
    np.savez(path, input_ids=np.random.default_rng(0).integers(0, 256, (4, 48)))
    return path


def convert(out: Path, text: Path | None, **changes: Any) -> Any:
    given = {"format": "onnx", "dialect": "ort", "config": LLAMA, "options": ROUNDED, **changes}
    return lwmport.convert(lwmport.Request(component="llama", out=out, calibrate_on=text, **given))


@pytest.fixture(scope="module")
def model(text: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    out = tmp_path_factory.mktemp("calibrated") / "out"
    return out, convert(out, text)


@pytest.fixture(scope="module")
def again(model: tuple[Path, Any]) -> ReferenceRun:
    """The reference of the folder, opened again: it rounds from what the manifest tells."""
    found = reopen(model[0])
    return gather(found.component("llama"), found.component_weights("llama"), 1)


def test_what_was_run_is_told_and_nothing_of_it_stays(model: tuple[Path, Any]) -> None:
    out, outcome = model
    assert outcome.status is Status.PASSED, outcome.report.sentence
    (told,) = [choice for choice in outcome.manifest.choices if choice.name == "calibrated on"]
    assert (told.value, told.source) == ("192 tokens of t.npz, at most 48 at once", "--calibrate-on")
    assert "--calibrate-on t.npz" in outcome.manifest.reproduce[0]
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]


def test_the_same_bytes_again_and_a_later_run_goes_on(
    model: tuple[Path, Any], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run is interrupted behind the first of its matrices."""
    out, _ = model
    made: list[str] = []
    most, put = [5], Matrices.round

    def stop(self: Matrices, name: str, *rest: Any) -> None:
        if len(made) == most[0]:
            raise KeyboardInterrupt
        put(self, name, *rest)
        made.append(name)

    monkeypatch.setattr("lwmport.atomic.WORTH_KEEPING", 0)
    monkeypatch.setattr(Matrices, "round", stop)
    with pytest.raises(KeyboardInterrupt):
        convert(tmp_path / "out", text, validate=False)
    assert len(made) == 5
    most[0] = 1000
    convert(tmp_path / "out", text, validate=False)
    assert len(made) == len({*made}) == 8
    for name in ("llama.onnx", "llama.onnx.data"):
        assert (tmp_path / "out" / name).read_bytes() == (out / name).read_bytes()


def test_judged_again_it_passes_and_a_planted_fault_fails(
    model: tuple[Path, Any], again: ReferenceRun, tmp_path: Path
) -> None:
    out, outcome = model
    (part,) = outcome.manifest.components
    assert judge(out / part.path, part.signature, again).validation.status is Status.PASSED
    broken = onnx.load(out / part.path)
    for tensor in broken.graph.initializer:
        if tensor.name.endswith("h/0/feed_forward/w2/kernel"):
            array = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(array >> 4 | array << 4, tensor.name))
    onnx.save(broken, tmp_path / "broken.onnx")
    assert judge(tmp_path / "broken.onnx", part.signature, again).validation.status is Status.FAILED


def test_another_rounding_than_was_converted_is_not_judged(model: tuple[Path, Any]) -> None:
    out, _ = model
    found = reopen(out)
    (part,) = found.parts
    for value, error, expected in [
        ({**part.details[CALIBRATION], "sha256": "0"}, CheckpointError, "expected llama to be rounded here as it was"),
        (
            {"sha256": "0"},
            ArtifactError,
            f"expected a text and a digest in {CALIBRATION} of the manifest, found: 'lengths'",
        ),
    ]:
        other = replace(part, details={**part.details, CALIBRATION: value})
        changed = replace(found, manifest=replace(found.manifest, components=(other,)), parts=(other,))
        with pytest.raises(error, match=expected):
            changed.component_weights("llama").read("lm_head/kernel")


def test_what_changes_nothing_is_refused(text: Path, tmp_path: Path) -> None:
    with pytest.raises(UnusedOptionError, match="--method gptq or awq, a budget or --cache int8, found no"):
        convert(tmp_path / "out", text, options=Options(quantize="w4a16"))
    with pytest.raises(UnusedOptionError, match="expected matrices or tables for --method gptq, found kernels"):
        resolve("vqgan-decoder", "debug", Options(quantize="w8a16", method="gptq"))
