"""The runner refuses in one line what it cannot run."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport.errors import RunnerError
from lwmport.graphs.trace import trace
from lwmport.runtime.runners.tensorflow import TensorFlowRunner

pytestmark = pytest.mark.usefixtures("tf")

THREADS = len(os.sched_getaffinity(0))


@pytest.fixture(scope="module", params=["saved_model", "frozen_graph"])
def path(
    request: pytest.FixtureRequest,
    plain: Any,
    component_of: Any,
    weights_of: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    from lwmport.converters.saved_model import convert, frozen

    write = convert.convert if request.param == "saved_model" else frozen.convert
    component = component_of(lambda x: x * 2, (np.ones((2, 3), np.float32),), dynamic=True)
    return write(trace(component, "dynamic"), weights_of({}), plain, tmp_path_factory.mktemp("r"), lambda *_: None).path


def test_it_runs(path: Path) -> None:
    runner = TensorFlowRunner(path, THREADS)
    assert runner.name == "TensorFlow"
    assert [(spec.name, spec.shape, spec.dtype) for spec in runner.inputs] == [("x0", ("?", 3), "float32")]
    found = runner.run({"x0": np.ones((5, 3), np.float32)})
    np.testing.assert_array_equal(found["y0"], np.full((5, 3), 2, np.float32), strict=True)


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"x": np.ones((2, 3), np.float32)},
        {"x0": np.ones((2, 3), np.float32), "x1": np.ones(1, np.float32)},
        {"x0": np.ones((2, 4), np.float32)},
        {"x0": np.ones(3, np.float32)},
        {"x0": np.ones((2, 3), np.float64)},
        {"x0": np.ones((2, 3), np.int32)},
    ],
    ids=["none", "wrong name", "one too many", "wrong size", "wrong rank", "wrong width", "wrong kind"],
)
def test_wrong_inputs_are_refused(inputs: Any, path: Path) -> None:
    with pytest.raises(RunnerError, match=r"expected .*x0.*found") as caught:
        TensorFlowRunner(path, THREADS).run(inputs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no model", None], ids=["empty", "garbage", "absent"])
@pytest.mark.parametrize("name", ["a.pb", "a.saved_model"])
def test_a_broken_model_is_refused(name: str, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is not None:
        if name.endswith("saved_model"):
            path.mkdir()
            (path / "saved_model.pb").write_bytes(content)
        else:
            path.write_bytes(content)
    with pytest.raises(RunnerError, match=f"TensorFlow refused .*{name}") as caught:
        TensorFlowRunner(path, THREADS)
    assert "\n" not in str(caught.value)


def test_a_failure_while_running_is_one_line(plain: Any, component_of: Any, weights_of: Any, tmp_path: Path) -> None:
    from lwmport.converters.saved_model.convert import convert
    from lwmport.models.layers import rows

    component = component_of(lambda i: rows(np.ones((3, 2), np.float32), i), (np.zeros(1, np.int32),))
    made = convert(trace(component), weights_of({}), plain, tmp_path, lambda *_: None)
    with pytest.raises(RunnerError, match="TensorFlow failed on the inputs") as caught:
        TensorFlowRunner(made.path, THREADS).run({"x0": np.asarray([7], np.int32)})
    assert "\n" not in str(caught.value)


def test_threads_are_settled_once(path: Path) -> None:
    TensorFlowRunner(path, THREADS).run({"x0": np.ones((1, 3), np.float32)})
    with pytest.raises(RunnerError, match=f"with {THREADS + 3} threads, found it at work with {THREADS}"):
        TensorFlowRunner(path, THREADS + 3)
