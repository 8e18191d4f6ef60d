"""What a conversion depends on is asked for or named with its source: manifest, report, terminal, model, bundle."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner

import lwmport
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.choices import Choice
from lwmport.cli.main import cli
from lwmport.errors import UsageError
from lwmport.models.families import offers_of
from lwmport.models.llama.family import FAMILY
from lwmport.models.llama.presets import CONFIGS, VISION_CONFIGS
from lwmport.models.llama.weights import checkpoint_weights
from lwmport.models.options import Options
from lwmport.pipeline.checkpoint.make import Recipe, make
from lwmport.pipeline.port.run import PortRequest, port

SMALL = ("vocab_size=64", "hidden_size=32", "intermediate_size=48", "num_attention_heads=2", "max_sequence_length=64")
TOLD = "it.stream.lwmport.json, written by lwmport"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "it.stream"
    make(Recipe(component="llama", config="debug", settings=(*SMALL, "theta=5e7"), seed=11), path)
    return path


@pytest.fixture(scope="module")
def converted(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("converted") / "out"
    done = CliRunner().invoke(
        cli,
        ["convert", "--component", "llama", "--to", "onnx", "--checkpoint", f"params::{checkpoint}", "--out", str(out)],
    )
    assert done.exit_code == 0, done.output
    (out.parent / "terminal").write_text(done.output)
    return out


def request(checkpoint: Path, out: Path, **more: Any) -> lwmport.Request:
    given = {"component": "llama", "format": "onnx", "checkpoint": f"params::{checkpoint}", "validate": False, **more}
    return lwmport.Request(out=out, **given)


def test_the_manifest_says_each_value_and_its_source(converted: Path) -> None:
    found = {
        item["name"]: (item["value"], item["source"])
        for item in json.loads((converted / "manifest.json").read_text())["choices"]
    }
    assert found["heads"] == (2, TOLD)
    assert found["theta"] == (5e7, TOLD)
    assert found["epsilon"] == (1e-6, TOLD)
    assert found["positions"] == (64, TOLD)
    assert found["vocabulary"] == (64, "the shape of transformer/wte/embedding")
    assert found["precision"] == ("float32", "default")
    assert found["weights"][0] == "random (seed 11), not trained"


@pytest.mark.parametrize("name", ["out/report.html", "out/report.md", "out/report.json", "terminal"])
def test_everything_that_a_person_reads_says_it_too(name: str, converted: Path) -> None:
    text = (converted.parent / name).read_text().replace("\\", "")
    assert "theta" in text
    assert TOLD in text
    assert "(seed 11), not trained" in text
    if not name.endswith("json"):
        assert "heads 2, theta 50000000, epsilon 1e-06, positions 64" in text


def test_the_model_says_it_itself(converted: Path) -> None:
    model = onnx.load(converted / "llama.onnx", load_external_data=False)
    told = {item.key: item.value for item in model.metadata_props}
    assert told["lwmport.theta"] == f"50000000 ({TOLD})"
    assert told["lwmport.weights"] == "random (seed 11), not trained"


def test_a_bundle_says_it(converted: Path, checkpoint: Path, tmp_path: Path) -> None:
    lwmport.bundle(folder=converted, target="cpu", out=tmp_path / "b.zip", checkpoint=f"params::{checkpoint}")
    with zipfile.ZipFile(tmp_path / "b.zip") as found:
        readme = found.read("README.txt").decode()
    assert "heads 2, theta 50000000, epsilon 1e-06, positions 64" in readme
    assert "random weights (seed 11), not trained" in readme
    assert "compile precision float32, runtime onnxruntime (default of cpu)" in readme


@pytest.mark.parametrize("given", [{}, {"options": Options(settings=("theta=5e7", "rms_norm_eps=1e-6"))}])
def test_what_nothing_tells_is_asked_for(given: Mapping[str, Any], checkpoint: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.stream"
    alone.write_bytes(checkpoint.read_bytes())
    lacking = "heads, positions" if given else "heads, theta, epsilon, positions"
    with pytest.raises(
        UsageError, match=f"expected --config for alone.stream, because no tensor tells {lacking}, found none"
    ):
        lwmport.convert(request(alone, tmp_path / "out", **given))
    with pytest.raises(UsageError, match=f"no tensor tells {lacking}"):
        port(PortRequest(conversion=request(alone, tmp_path / "out", validate=True, **given), target="cpu"))
    assert not (tmp_path / "out").exists()


def test_all_of_it_may_be_told_by_settings(checkpoint: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.stream"
    alone.write_bytes(checkpoint.read_bytes())
    told = ("num_attention_heads=4", "theta=1e7", "rms_norm_eps=1e-5", "max_sequence_length=32")
    made = lwmport.convert(request(alone, tmp_path / "out", options=Options(settings=told))).manifest
    assert made.config["num_attention_heads"] == 4
    assert Choice("theta", 1e7, "--set theta") in made.choices


def test_a_python_configuration_has_to_say_all_of_it(checkpoint: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.stream"
    alone.write_bytes(checkpoint.read_bytes())
    fields = {"hidden_size": 32, "num_attention_heads": 2, "theta": 1e7, "rms_norm_eps": 1e-6}
    with pytest.raises(UsageError, match="no tensor tells positions"):
        lwmport.convert(request(alone, tmp_path / "out", config=fields))


LWM = ("lwm-text-1m", "lwm-text-512k", "lwm-text-256k", "lwm-text-128k", "7b")
OTHERS = ("llama-2-7b", "vicuna-7b", "vicuna-7b-v1.1", "vicuna-7b-v0")


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("lwm-text-128k", (*LWM, *OTHERS)),
        ("3b", ("3b",)),
        ("lwm-chat-32k", ("lwm-chat-1m", "lwm-chat-128k", "lwm-chat-32k", "7b")),
    ],
)
def test_the_configurations_that_fit_are_offered(name: str, offered: tuple[str, ...]) -> None:
    specs = checkpoint_weights({**CONFIGS, **VISION_CONFIGS}[name])
    part = "vision-llama" if "chat" in name else "llama"
    assert offers_of(FAMILY, part, specs) == offered


def test_seeded_weights_need_no_question_and_say_the_default(tmp_path: Path) -> None:
    asked = lwmport.Request(
        component="llama-embed",
        format="onnx",
        out=tmp_path,
        config="debug",
        validate=False,
        options=Options(settings=SMALL),
    )
    choices = lwmport.convert(asked).manifest.choices
    assert Choice("theta", 10000.0, "--config debug") in choices
    assert Choice("weights", "random (seed 0), not trained", "no --checkpoint") in choices


def test_inspect_says_what_fits(checkpoint: Path, tmp_path: Path) -> None:
    said = CliRunner().invoke(cli, ["inspect", str(checkpoint)]).output
    assert "configuration: in it.stream.lwmport.json, written by lwmport" in said
    assert "random weights (seed 11), not trained" in said
    make(Recipe(component="llama", config="debug", settings=("vocab_size=8",)), tmp_path / "two")
    (tmp_path / "two.lwmport.json").unlink()
    found = json.loads(CliRunner().invoke(cli, ["inspect", str(tmp_path / "two"), "--json"]).output)
    assert found["fits"] == ["debug"]
    assert found["component"] == "llama"
    assert len(open_checkpoint(tmp_path / "two").specs) == found["tensors"]
