"""A prefill and a decode have one file of weights, on the whole road; models that are parts of each other have not."""

import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from killing import Killer, files, run_until_killed

import lwmport
from lwmport import atomic, blocks, manifest
from lwmport.converters.dialects import DIALECTS
from lwmport.errors import ArtifactError
from lwmport.models.families import GROUPS, STATIC_GROUPS, resolve
from lwmport.models.options import Options
from lwmport.pipeline.bundle.run import BundleRequest, bundle
from lwmport.pipeline.bundle.verify import VerifyRequest, verify
from lwmport.pipeline.check import CheckRequest, fix_artifact
from lwmport.pipeline.compile.run import CompileRequest, compile_artifacts
from lwmport.pipeline.convert.sharing import shared_data
from lwmport.pipeline.port.run import PortOutcome, PortRequest, port
from lwmport.runtime.memory_footprint import held_bytes
from lwmport.targets.dialects import ALL_DIALECTS
from lwmport.types import Status

CONFIG = {
    "hidden_size": 128,
    "intermediate_size": 192,
    "max_sequence_length": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 512,
}
OPTIONS = Options(sequence=8, max_length=32)
EVERY = {**DIALECTS, **ALL_DIALECTS}
STATIC = [name for name, dialect in ALL_DIALECTS.items() if dialect.format == "onnx" and dialect.static]
BLOCK = 1 << 14
WEIGHTS = "llama-weights.onnx.data"


def request(out: Path, component: str = "llama", **changes: Any) -> lwmport.Request:
    given = {"config": CONFIG, "dialect": "ascend", "options": OPTIONS, "validate": False, **changes}
    return lwmport.Request(component=component, format="onnx", out=out, **given)


def places(path: Path) -> dict[str, tuple[str, int, int]]:
    """Return the file, offset and length of every external tensor."""
    graph = onnx.load(path, load_external_data=False).graph
    found = {}
    for tensor in graph.initializer:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if entries:
            found[tensor.name] = entries["location"], int(entries["offset"]), int(entries["length"])
    return found


def change(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(12345)
        (value,) = file.read(1)
        file.seek(12345)
        file.write(bytes([value ^ 1]))


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("dialect", STATIC)
@pytest.mark.parametrize("component", STATIC_GROUPS)
def test_every_weight_is_stored_once(component: str, dialect: str, precision: str, tmp_path: Path) -> None:
    changes = {"dialect": dialect, "options": replace(OPTIONS, precision=precision)}
    made = lwmport.convert(request(tmp_path, component, **changes))
    common = f"{component}-weights.onnx.data"
    first, second = (places(tmp_path / part.path) for part in made.manifest.components)
    weights = {name: place for name, place in first.items() if "/kernel" in name or "/embedding" in name}
    assert len(weights) >= 7
    assert weights.items() <= second.items()
    assert {place[0] for place in weights.values()} == {common}
    own = {place[0] for place in [*first.values(), *second.values()]} - {common}
    assert own <= {f"{part.path}.data" for part in made.manifest.components}
    (stored,) = (file for file in made.manifest.components[0].files if file.name == common)
    assert stored in made.manifest.components[1].files
    (component_of_first, _) = resolve(component, CONFIG, replace(changes["options"], static=True)).components
    large = [spec.nbytes for spec in component_of_first.weights.values() if spec.nbytes >= 1024]
    assert sum(large) <= stored.bytes < sum(large) + 4096 * len(large)
    assert made.plan is not None
    assert made.plan.write_bytes == sum(spec.nbytes for spec in component_of_first.weights.values())
    for part in made.manifest.components:
        assert held_bytes(tmp_path / part.path) == sum(file.bytes for file in part.files)


@pytest.mark.parametrize("dialect", STATIC)
def test_a_component_alone_has_its_own_and_computes_the_same(dialect: str, tmp_path: Path) -> None:
    lwmport.convert(request(tmp_path / "both", dialect=dialect))
    lwmport.convert(request(tmp_path / "alone", "llama-decode", dialect=dialect, options=Options(max_length=32)))
    assert {place[0] for place in places(tmp_path / "alone/llama-decode.onnx").values()} == {"llama-decode.onnx.data"}
    both, alone = (onnx.load(tmp_path / folder / "llama-decode.onnx") for folder in ("both", "alone"))
    assert both == alone


@pytest.mark.parametrize("name", [*GROUPS, *STATIC_GROUPS])
@pytest.mark.parametrize("dialect", EVERY.values(), ids=EVERY)
def test_parts_of_a_model_and_other_formats_share_nothing(dialect: Any, name: str) -> None:
    family = resolve(name, "debug", Options(static=True))
    found = shared_data(name, family, dialect)
    shares = dialect.format == "onnx" and dialect.name != "tf2onnx" and name in STATIC_GROUPS
    assert (found.name if found else None) == (f"{name}-weights.onnx.data" if shares else None)


def run(out: Path, model: str, part: float) -> None:
    """Run by the test below in a process of its own, which does not live to the end."""
    blocks.BLOCK, atomic.WORTH_KEEPING = BLOCK, 1
    lwmport.convert(request(out), Killer(part, model))


@pytest.mark.parametrize(("model", "part"), [("llama-prefill", 0.6), ("llama-decode", 0.1)])
def test_killed_and_started_again_gives_the_same_bytes(model: str, part: float, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = f"import pathlib, sys, test_sharing as t; t.run(pathlib.Path(sys.argv[1]), {model!r}, {part})"
    run_until_killed(code, out)
    resumed = lwmport.convert(request(out))
    assert resumed.plan is not None
    assert resumed.plan.done_bytes > 0
    lwmport.convert(request(tmp_path / "whole"))
    assert files(out) == files(tmp_path / "whole")


@pytest.fixture(scope="module")
def ported(tmp_path_factory: pytest.TempPathFactory) -> PortOutcome:
    """Return a port for the CPU of a model in two files of fixed lengths: every stage passes here."""
    options = replace(OPTIONS, attention="unrolled", precision="float16")
    asked = request(tmp_path_factory.mktemp("sharing") / "port", dialect="cpu", options=options, validate=True)
    return port(PortRequest(conversion=asked, target="cpu"))


def test_the_whole_road_is_taken_with_weights_stored_once(ported: PortOutcome) -> None:
    assert [stage.status for stage in ported.stages] == [Status.PASSED] * 4, ported.stages
    with zipfile.ZipFile(ported.out / "llama-cpu.zip") as archive:
        names = [name for name in archive.namelist() if name.startswith("models/")]
    stems = ("llama-decode.onnx", "llama-decode.onnx.data", "llama-prefill.onnx", "llama-prefill.onnx.data", WEIGHTS)
    assert sorted(names) == sorted(f"models/{name}" for name in (*stems, manifest.NAME))
    found = verify(VerifyRequest(path=ported.out / "llama-cpu.zip", run=True))
    assert found.status is Status.PASSED, found
    assert len(found.validations) == 2


def test_the_checker_inside_runs_both_models_and_sees_a_changed_weight(ported: PortOutcome, tmp_path: Path) -> None:
    shutil.unpack_archive(ported.out / "llama-cpu.zip", tmp_path)
    words = [sys.executable, str(tmp_path / "verify.py"), "--run", "onnxruntime"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    change(tmp_path / "models" / WEIGHTS)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"models/{WEIGHTS}: changed" in done.stdout


@pytest.mark.parametrize("name", ["llama-prefill.onnx", "llama-decode.onnx"])
def test_a_changed_byte_fails_both_models(name: str, ported: PortOutcome, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    shutil.copytree(ported.out / "models", folder)
    change(folder / WEIGHTS)
    outcome = lwmport.validate(lwmport.Trial(artifact=folder / name))
    assert outcome.status is Status.FAILED
    assert [failure for failure in outcome.failures if WEIGHTS in failure]
    with pytest.raises(ArtifactError, match=rf"{WEIGHTS} as it was converted"):
        compile_artifacts(CompileRequest(artifact=folder / name, target="cpu", run=False))
    with pytest.raises(ArtifactError, match=rf"{WEIGHTS} as it was converted"):
        bundle(BundleRequest(folder=folder, target="cpu", out=tmp_path / "b.zip"))


def test_a_mended_copy_has_its_own_weights(ported: PortOutcome, tmp_path: Path) -> None:
    asked = CheckRequest(artifact=ported.out / "models/llama-decode.onnx", target="migraphx")
    found = fix_artifact(asked, tmp_path / "mended.onnx")
    assert [path.name for path in found.files] == ["mended.onnx", "mended.onnx.data"]
    assert {place[0] for place in places(tmp_path / "mended.onnx").values()} == {"mended.onnx.data"}
