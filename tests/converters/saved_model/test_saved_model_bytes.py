"""Same inputs, same bytes: in one process, and in another one that has traced other functions before."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.choices import CHOICES
from lwmport.converters.saved_model import convert, frozen
from lwmport.graphs.trace import trace
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.models.vqgan.components import vqgan_encoder
from lwmport.models.vqgan.config import CONFIGS
from lwmport.types import Dialect

pytestmark = pytest.mark.usefixtures("tf")

SCRIPT = """
import json, pathlib, sys
from test_saved_model_bytes import write_all
from lwmport.types import Dialect

write_all(pathlib.Path(sys.argv[1]), Dialect(**json.loads(sys.argv[2])))
"""


def write_all(out: Path, plain: Dialect) -> None:
    """Write the encoder of the debug model in every flavour of TensorFlow's formats, and a model that loops."""
    component = vqgan_encoder(CONFIGS["debug"])
    for name, write in (("tf", convert.convert), ("xla", convert.convert), ("graphdef", frozen.convert)):
        folder = out / name
        folder.mkdir(parents=True)
        weights = SeededWeights(component.weights, 0)
        write(trace(component), weights, replace(plain, name=name), folder, lambda *_: None)
    (looping,) = resolve("ring-step", "debug", Options(attention="loop")).references
    (out / "loop").mkdir()
    weights = SeededWeights(looping.weights, 0)
    convert.convert(trace(looping), weights, replace(plain, name="tf"), out / "loop", lambda *_: None)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def other(plain: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What another process wrote, and what it said."""
    folder = tmp_path_factory.mktemp("other") / "made"
    command = [sys.executable, "-c", SCRIPT, str(folder), json.dumps(asdict(plain))]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    return folder, done.stdout + done.stderr


def test_bytes_are_the_same_in_every_process(other: tuple[Path, str], plain: Any, tmp_path: Path) -> None:
    write_all(tmp_path / "one", plain)
    write_all(tmp_path / "two", plain)
    first = digests(tmp_path / "one")
    assert len(first) == 10
    assert digests(tmp_path / "two") == first
    assert digests(other[0]) == first


class Told(SeededWeights):
    """Weights that a choice comes with."""

    @property
    def source(self) -> Mapping[str, Any]:
        return {**super().source, CHOICES: [{"name": "theta", "value": 1e7, "source": "--config 7b"}]}


def test_what_an_interrupted_run_has_left_is_written_over(plain: Any, component_of: Any, tmp_path: Path) -> None:
    component = component_of(lambda x, kernel: x @ kernel, (np.ones((1, 4), np.float32),), {"kernel": np.ones((4, 4))})
    weights = Told(component.weights, 0)
    first = convert.convert(trace(component), weights, plain, tmp_path, lambda *_: None)
    before = digests(first.path)
    assert "assets.extra/lwmport.json" in before
    assert digests(convert.convert(trace(component), weights, plain, tmp_path, lambda *_: None).path) == before


def test_no_path_of_this_machine_is_in_a_file(other: tuple[Path, str]) -> None:
    folder, _ = other
    here = (str(Path(__file__).parents[3]), str(folder.parent), ".py")
    for path in folder.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not [words for words in here if words.encode() in content], path


def test_tensorflow_says_nothing(other: tuple[Path, str]) -> None:
    assert other[1] == ""


@pytest.mark.parametrize("changed", ["weights", "name"])
def test_other_inputs_give_other_bytes(changed: str, plain: Any, component_of: Any, tmp_path: Path) -> None:
    component = component_of(lambda x, kernel: x @ kernel, (np.ones((1, 4), np.float32),), {"kernel": np.ones((4, 4))})
    other = replace(component, name="other") if changed == "name" else component
    seed = 1 if changed == "weights" else 0
    one = convert.convert(
        trace(component), SeededWeights(component.weights, 0), plain, tmp_path / "one", lambda *_: None
    )
    two = convert.convert(
        trace(other), SeededWeights(component.weights, seed), plain, tmp_path / "two", lambda *_: None
    )
    assert (one.path.name == two.path.name) == (changed == "weights")
    assert (digests(one.path) == digests(two.path)) == (changed == "name")
