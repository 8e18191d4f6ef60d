"""Tensors that a device gave: an error that the device makes is told from one that it passes on."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lwmport
from lwmport import Status
from lwmport.errors import ArtifactError
from lwmport.pipeline.bisect.device import told
from lwmport.pipeline.reopen import reopen
from lwmport.pipeline.validate.reference_runs import gather, trial_batch
from lwmport.reports.bisection import Bisection
from lwmport.runtime.pieces.onnx import open_onnx
from lwmport.types import Array

PLACE = "encoder/MidBlock_0/ResnetBlock_0/Conv_0/Conv"
Fault = Callable[[Array, Array], Array]


@pytest.fixture
def dumped(encoder: Path, tmp_path: Path) -> Callable[[Fault | None], Bisection]:
    """Return ``dumped(fault)``: what is found in the tensors of a device of half precision that has the fault."""

    def search(fault: Fault | None) -> Bisection:
        folder = tmp_path / "device"
        folder.mkdir()
        found = reopen(encoder)
        part = found.parts[0]
        weights = found.component_weights(part.name)
        values = dict(gather(found.component(part.name), weights, trial_batch(part.signature)).inputs)
        pieces = open_onnx(encoder, 1)
        for number, operator in enumerate(pieces.operators):
            feeds = {name: values[name] for name in operator.inputs if name in values}
            for name, value in pieces.run([number], feeds, operator.outputs).items():
                right = fault(value, pieces.constant(operator.inputs[2])) if fault and operator.name == PLACE else value
                narrow = right.astype(np.float16) if right.dtype == np.float32 else right
                values[name] = narrow.astype(value.dtype)
                np.save(folder / f"{name.replace('/', '_').replace(':', '_')}.npy", narrow)
        return lwmport.bisect(artifact=encoder, results=folder)

    return search


def test_rounding_to_half_precision_is_nothing_wrong(dumped: Callable[[Fault | None], Bisection]) -> None:
    found = dumped(None)
    assert (found.status, found.first) == (Status.PASSED, None)
    assert any(tap.whole.max_abs > 0 for tap in found.taps)


def test_what_a_device_makes_wrong_is_found_and_explained(dumped: Callable[[Fault | None], Bisection]) -> None:
    found = dumped(lambda value, bias: value + bias.reshape(1, -1, 1, 1))
    assert found.status is Status.FAILED
    assert found.first is not None
    assert (found.first.node, found.first.cause) == (PLACE, "doubled-bias")
    assert [tap.node for tap in found.taps if tap.enters] == [PLACE]


def test_tensors_of_another_model_are_refused(encoder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "something.npy", np.ones(3))
    with pytest.raises(ArtifactError, match="expected tensors of the model"):
        lwmport.bisect(artifact=encoder, results=tmp_path)


def test_what_a_tool_compared_itself_is_taken_as_told() -> None:
    found = told({"cosine": 0.5, "max_abs": 2.0, "rel_euclid": 0.1}, np.array([4.0, -8.0]))
    assert (found.cosine, found.max_abs, found.relative) == (0.5, 2.0, 0.25)
    assert found.sqnr_db == pytest.approx(20)
    assert math.isnan(told({"cosine": 0.5}, np.ones(2)).max_abs)
