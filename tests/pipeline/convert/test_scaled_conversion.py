"""``--method awq`` on the whole road: judged again it passes, resumed it is the same, and planted faults fail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from judged_again import GROUPED
from onnx import numpy_helper

import lwmport
from lwmport.checkpoints.model_weights import component_weights, open_model
from lwmport.models.options import Options
from lwmport.pipeline.calibration.attach import attach
from lwmport.pipeline.calibration.matrices import Matrices
from lwmport.pipeline.calibration.rounder import CalibratedRounder
from lwmport.pipeline.observer import Silent
from lwmport.pipeline.reopen import reopen
from lwmport.pipeline.validate.judge import judge
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather
from lwmport.types import Array, Status

ROUNDED = Options(quantize="w4a16", symmetric=False, method="awq")
NORM, VALUES = "h/0/attention_norm/kernel", "h/0/attention/wv/kernel"


@pytest.fixture(scope="module")
def model(text: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    out = tmp_path_factory.mktemp("scaled") / "out"
    given = {"format": "onnx", "dialect": "ort", "config": GROUPED, "options": ROUNDED, "calibrate_on": text}
    return out, lwmport.convert(lwmport.Request(component="llama", out=out, **given))


@pytest.fixture(scope="module")
def again(model: tuple[Path, Any]) -> ReferenceRun:
    found = reopen(model[0])
    return gather(found.component("llama"), found.component_weights("llama"), 1)


def test_the_cost_of_a_cache_in_units_of_its_own_is_not_stated(model: tuple[Path, Any]) -> None:
    outcome = model[1]
    assert outcome.status is Status.PASSED, outcome.report.sentence
    (section,) = outcome.report.components
    assert [note for note in section.notes if "present" in note] == []
    assert any(note.startswith("Channels are scaled (awq)") for note in section.notes)


def changed(model: onnx.ModelProto, end: str, change: Callable[[Array], Array]) -> None:
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name.endswith(end)]
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))


def unscaled(model: onnx.ModelProto) -> None:
    """The norm is as it was, and the matrices behind it are scaled."""
    changed(model, NORM, np.ones_like)


def of_the_neighbour(model: onnx.ModelProto) -> None:
    """Each channel of values has the scale of the next one."""
    changed(model, f"{VALUES}/scales", lambda array: np.roll(array, 1, axis=0))


def another_group(model: onnx.ModelProto) -> None:
    """Both groups of an output have the scale of the first, as if they were one."""
    changed(model, f"{VALUES}/scales", lambda array: np.repeat(array[:, :1], 2, axis=1))


@pytest.mark.parametrize("fault", [None, unscaled, of_the_neighbour, another_group])
def test_judged_again_it_passes_and_planted_faults_fail(
    fault: Callable[[onnx.ModelProto], None] | None, model: tuple[Path, Any], again: ReferenceRun, tmp_path: Path
) -> None:
    out, outcome = model
    (part,) = outcome.manifest.components
    read = onnx.load(out / part.path)
    if fault is not None:
        fault(read)
    onnx.save(read, tmp_path / "m.onnx")
    found = judge(tmp_path / "m.onnx", part.signature, again).validation
    assert found.status is (Status.PASSED if fault is None else Status.FAILED)


def rounder(text: Path, folder: Path) -> CalibratedRounder:
    family, weights = open_model("llama", None, GROUPED, ROUNDED, 0)
    found = attach(family, weights, None, text, Silent())
    assert found is not None
    found.folder = folder
    return found


def test_an_interrupted_run_goes_on_to_the_same_factors(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops before the output of attention, whose factors the matrix of values needs: that one alone is not told."""
    once, resumed = (rounder(text, tmp_path / name) for name in ("once", "resumed"))
    (component,) = once.family.components
    once.run(component)
    stopped = Matrices.round

    def stop(self: Matrices, name: str, *rest: Any) -> None:
        if name.endswith("wo/kernel"):
            raise KeyboardInterrupt
        stopped(self, name, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(Matrices, "round", stop)
        with pytest.raises(KeyboardInterrupt):
            resumed.run(component)
    weights = component_weights(resumed.family, component, resumed.weights)
    again = weights.read(f"transformer/{VALUES}")
    assert resumed.record(component) == once.record(component)
    assert np.array_equal(again, component_weights(once.family, component, once.weights).read(f"transformer/{VALUES}"))
    factors = once.factors(f"transformer/{NORM}")
    assert np.ptp(factors) > 0.1
    assert np.array_equal(weights.read(f"transformer/{NORM}"), once.weights.read(f"transformer/{NORM}") / factors)
