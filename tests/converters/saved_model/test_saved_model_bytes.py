"""Same inputs, same bytes: in one process, and in another one that has traced other functions before."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("tf")

SCRIPT = """
import hashlib, json, pathlib, sys
import tensorflow as tf
from dataclasses import replace
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters.saved_model import convert, frozen
from lwmport.graphs.trace import trace
from lwmport.models.components import vqgan_encoder
from lwmport.models.vqgan_config import CONFIGS
from lwmport.types import Dialect

out, times, plain = pathlib.Path(sys.argv[1]), int(sys.argv[2]), Dialect(**json.loads(sys.argv[3]))
for number in range(7 * times):
    tf.function(lambda x: x + number).get_concrete_function(tf.TensorSpec([number], "float32"))
component = vqgan_encoder(CONFIGS["debug"])
for step in range(times):
    for write, dialect in (
        (convert.convert, plain), (convert.convert, replace(plain, name="xla")), (frozen.convert, plain)
    ):
        folder = out / str(step) / dialect.name
        folder.mkdir(parents=True, exist_ok=True)
        write(trace(component), SeededWeights(component.weights, 0), dialect, folder, lambda *_: None)
"""


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_bytes_are_the_same_in_every_process(plain: Any, tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path / str(times)), str(times), json.dumps(asdict(plain))],
            env={**os.environ, "PYTHONHASHSEED": str(times)},
            stderr=subprocess.DEVNULL,
        )
        for times in (1, 2)
    ]
    assert [process.wait(timeout=300) for process in running] == [0, 0]
    first = digests(tmp_path / "1" / "0")
    assert len(first) == 7
    assert digests(tmp_path / "2" / "0") == first
    assert digests(tmp_path / "2" / "1") == first


@pytest.mark.parametrize("changed", ["weights", "name"])
def test_other_inputs_give_other_bytes(changed: str, plain: Any, component_of: Any, tmp_path: Path) -> None:
    import numpy as np

    from lwmport.checkpoints.seeded import SeededWeights
    from lwmport.converters.saved_model.convert import convert
    from lwmport.graphs.trace import trace

    component = component_of(lambda x, kernel: x @ kernel, (np.ones((1, 4), np.float32),), {"kernel": np.ones((4, 4))})
    other = replace(component, name="other") if changed == "name" else component
    seed = 1 if changed == "weights" else 0
    one = convert(trace(component), SeededWeights(component.weights, 0), plain, tmp_path / "one", lambda *_: None)
    two = convert(trace(other), SeededWeights(component.weights, seed), plain, tmp_path / "two", lambda *_: None)
    assert (one.path.name == two.path.name) == (changed == "weights")
    assert (digests(one.path) == digests(two.path)) == (changed == "name")
