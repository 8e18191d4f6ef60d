"""However the worker ends, its user reads one line."""

import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from lwmport.converters.tf2onnx_route import process
from lwmport.errors import LoweringError, MissingExtraError, PortError
from lwmport.graphs.trace import trace

REQUEST = {"name": "model", "memory_bytes": 3 * 2**30}
ENDS = {
    "raise ValueError('no rule for Foo')": (LoweringError, "could not convert model: ValueError: no rule for Foo"),
    "raise MemoryError": (PortError, "within 3.0 GiB of memory, found it ended by MemoryError"),
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": (PortError, "within 3.0 GiB .* ended by SIGKILL"),
    "print('terminate: std::bad_alloc'); import os; os.abort()": (PortError, "ended by SIGABRT .*bad_alloc"),
    "import sys; sys.exit(3)": (LoweringError, "no word"),
    "import time; time.sleep(60)": (PortError, "to finish model in 1 s, ended it then"),
}


@pytest.mark.parametrize("code", ENDS)
def test_a_failure_is_one_line(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, words = ENDS[code]
    (tmp_path / "pretended_worker.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(process, "WORKER", "pretended_worker")
    with pytest.raises(kind, match=words) as caught:
        process.run_worker(REQUEST, tmp_path, timeout=1 if "sleep" in code else 60)
    assert "\n" not in str(caught.value)


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's own bound, before work whose size is known: what tf2onnx would be doing at 2 GiB is not."""
    code = (
        "import json, sys\n"
        "from lwmport.converters.tf2onnx_route import worker\n"
        "worker._tf2onnx = lambda *_: len(bytearray(2**33))\n"
        "worker.main(sys.argv[1:])\n"
    )
    (tmp_path / "hungry_worker.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(process, "WORKER", "hungry_worker")
    request = {"name": "model", "memory_bytes": 2**31, "saved_model": "", "opset": 18, "raw": "none", "path": "none"}
    with pytest.raises(PortError, match=r"within 2\.0 GiB of memory, found it ended by MemoryError"):
        process.run_worker(request, tmp_path, timeout=60)


@pytest.mark.usefixtures("tools")
def test_more_than_2_gib_is_refused(component_of: Any, weights_of: Any, route: Any, tmp_path: Path) -> None:
    from lwmport.converters.tf2onnx_route.convert import convert

    large = jax.ShapeDtypeStruct((2**15, 2**14), "float32")
    component = component_of(lambda x, large: x @ large, (np.ones((1, 2**15), np.float32),), {"large": large})
    with pytest.raises(LoweringError, match=r"at most 2147483647 bytes .* found 2147483648 in small"):
        convert(trace(component), weights_of({}), route, tmp_path, lambda *_: None)
    assert not list(tmp_path.iterdir())


def test_a_missing_tf2onnx_costs_one_line(
    component_of: Any, weights_of: Any, route: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lwmport.converters.tf2onnx_route import convert

    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    monkeypatch.setattr(convert, "installed", lambda _: False)
    program = trace(component_of(lambda x: x + 1, (np.ones(3, np.float32),)))
    with pytest.raises(MissingExtraError, match=r"pip install 'lwmport\[tf\]'") as caught:
        convert.convert(program, weights_of({}), route, tmp_path, lambda *_: None)
    assert "\n" not in str(caught.value)
