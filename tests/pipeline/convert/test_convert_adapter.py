"""A LoRA adapter merged while a model is converted gives what converting the merged checkpoint gives, and says so."""

import json
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from lwmport.checkpoints.adapted import base_and_adapter
from lwmport.cli.main import cli
from lwmport.errors import CheckpointError, UsageError
from lwmport.pipeline.bundle.run import BundleRequest, bundle
from lwmport.pipeline.checkpoint.convert import Conversion
from lwmport.pipeline.checkpoint.convert import convert as rewrite
from lwmport.pipeline.checkpoint.make import Recipe, make
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.pipeline.port.jobs import read_jobs
from lwmport.pipeline.validate.request import ValidateRequest
from lwmport.pipeline.validate.run import validate
from lwmport.types import Status

HIDDEN: Final = 16
SETTINGS: Final = (
    f"hidden_size={HIDDEN}",
    "intermediate_size=24",
    "num_attention_heads=2",
    "num_hidden_layers=2",
    "vocab_size=32",
)
HEAD: Final = "llama-head"
MODULE: Final = "base_model.model.lm_head"


def adapter_in(folder: Path, seed: int = 3, base: str = "elsewhere") -> Path:
    rng = np.random.default_rng(seed)
    folder.mkdir()
    shapes = {f"{MODULE}.lora_A.weight": (4, HIDDEN), f"{MODULE}.lora_B.weight": (32, 4)}
    save_file(
        {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()},
        folder / "adapter_model.safetensors",
    )
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", "base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model (one tensor a layer, and stacked) and an adapter of it."""
    path = tmp_path_factory.mktemp("adapted")
    for name, stacked in (("one", False), ("stacked", True)):
        make(Recipe(component="llama", config="debug", settings=SETTINGS, stacked=stacked), path / name)
    adapter_in(path / "adapter")
    return path


@pytest.fixture(scope="module")
def converted(folder: Path) -> Path:
    """Return a validated folder that was converted with the adapter."""
    asked = ConvertRequest(
        component=HEAD,
        format="onnx",
        out=folder / "out",
        checkpoint=str(folder / "one"),
        adapter=folder / "adapter",
        samples=1,
    )
    assert convert(asked).status is Status.PASSED
    return folder / "out"


@pytest.mark.parametrize("base", ["one", "stacked"])
def test_it_is_what_the_merged_checkpoint_gives(base: str, folder: Path, tmp_path: Path) -> None:
    rewrite(str(folder / base), tmp_path / "merged", Conversion(form="safetensors", adapter=folder / "adapter"))
    common = {"component": "llama", "format": "onnx", "validate": False}
    convert(ConvertRequest(out=tmp_path / "a", checkpoint=str(folder / base), adapter=folder / "adapter", **common))
    convert(ConvertRequest(out=tmp_path / "b", checkpoint=str(tmp_path / "merged"), **common))
    data = [sorted(path.glob("*.data")) for path in (tmp_path / "a", tmp_path / "b")]
    assert data[0]
    assert [path.read_bytes() for path in data[0]] == [path.read_bytes() for path in data[1]]


def test_manifest_file_and_page_say_it(converted: Path) -> None:
    import onnx

    made = json.loads((converted / "manifest.json").read_text())
    choice = next(item for item in made["choices"] if item["name"] == "LoRA adapter")
    assert choice["source"] == "--adapter"
    assert choice["value"].removeprefix("sha256 ") == made["weights"]["adapter"][:16]
    assert "with the LoRA adapter adapter (2 tensors)" in made["weights"]["description"]
    assert "--checkpoint one --adapter adapter" in made["reproduce"][0]
    assert "--checkpoint one --adapter adapter" in made["reproduce"][1]
    model = onnx.load(converted / f"{HEAD}.onnx", load_external_data=False)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert any("sha256" in value and "--adapter" in value for key, value in said.items() if "adapter" in key)
    assert "LoRA adapter" in (converted / "report.html").read_text()


def test_the_adapter_is_needed_to_judge_again(converted: Path, folder: Path, tmp_path: Path) -> None:
    asked = {"artifact": converted, "checkpoint": str(folder / "one"), "samples": 1}
    assert validate(ValidateRequest(adapter=folder / "adapter", **asked)).status is Status.PASSED
    with pytest.raises(CheckpointError, match="name it with --checkpoint and --adapter"):
        validate(ValidateRequest(**asked))
    with pytest.raises(CheckpointError, match="expected the weights that were converted"):
        validate(ValidateRequest(adapter=adapter_in(tmp_path / "other", seed=4), **asked))


def test_a_bundle_of_it(converted: Path, folder: Path, tmp_path: Path) -> None:
    asked = {"folder": converted, "target": "cpu", "checkpoint": str(folder / "one"), "samples": 1, "calibration": 0}
    made = bundle(BundleRequest(out=tmp_path / "b.zip", adapter=folder / "adapter", **asked))
    assert made.preflights[0].status is Status.PASSED


def test_an_adapter_that_names_its_model_is_enough(converted: Path, folder: Path, tmp_path: Path) -> None:
    alone = adapter_in(tmp_path / "adapter", base=str(folder / "one"))
    out = tmp_path / "out"
    convert(ConvertRequest(component=HEAD, format="onnx", out=out, checkpoint=str(alone), validate=False))
    assert (out / f"{HEAD}.onnx.data").read_bytes() == (converted / f"{HEAD}.onnx.data").read_bytes()


def test_a_model_that_holds_an_adapter_stands_for_itself(folder: Path, tmp_path: Path) -> None:
    rewrite(str(folder / "one"), tmp_path / "hf", Conversion(form="hf"))
    adapter_in(tmp_path / "adapter", base=str(folder / "stacked"))
    for path in (tmp_path / "adapter").iterdir():
        path.rename(tmp_path / "hf" / path.name)
    assert base_and_adapter(str(tmp_path / "hf"), None) == (str(tmp_path / "hf"), None)
    assert base_and_adapter("x" * 5000, None) == ("x" * 5000, None)


def test_what_has_no_adapter_is_refused(folder: Path, tmp_path: Path) -> None:
    common = {"format": "onnx", "out": tmp_path / "out", "adapter": folder / "adapter"}
    with pytest.raises(UsageError, match=r"expected --checkpoint beside --adapter, found --adapter \S* alone"):
        convert(ConvertRequest(component=HEAD, **common))
    make(Recipe(component="vqgan", config="debug"), tmp_path / "vqgan.ckpt")
    with pytest.raises(UsageError, match="expected a model that Hugging Face has a folder for with --adapter"):
        convert(ConvertRequest(component="vqgan", config="debug", checkpoint=str(tmp_path / "vqgan.ckpt"), **common))
    assert not (tmp_path / "out").exists()


def test_the_command_line_and_a_job_say_it(folder: Path, tmp_path: Path) -> None:
    words = ["convert", "--component", HEAD, "--to", "onnx", "--checkpoint", str(folder / "one"), "--adapter"]
    run = CliRunner().invoke(cli, [*words, str(folder / "adapter"), "--dry-run", "--out", str(tmp_path / "out")])
    assert run.exit_code == 0, run.output
    assert "with the LoRA adapter adapter" in run.output
    jobs = folder / "jobs.toml"
    jobs.write_text(f'[[jobs]]\ncomponent = "{HEAD}"\ntarget = "cpu"\ncheckpoint = "one"\nadapter = "adapter"\n')
    (job,) = read_jobs(jobs, tmp_path).jobs
    assert job.request.conversion.adapter == folder / "adapter"
