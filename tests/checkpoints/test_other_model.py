"""A checkpoint that was given for another model: what it looks like, and a line that can be read."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lwmport.checkpoints.model_weights import open_model
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import CheckpointError, ConfigError, PortError
from lwmport.models.options import Options
from lwmport.pipeline.checkpoint.convert import Conversion, convert
from lwmport.pipeline.checkpoint.make import Recipe, make


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    for component in ("vqgan", "llama", "vision-llama"):
        make(Recipe(component=component, config="debug"), folder / component)
    names = {f"model.layers.{i}.mlp.up_proj.weight": np.ones((4, 4), np.float32) for i in range(300)}
    save_file({"model.embed_tokens.weight": np.ones((8, 4), np.float32), **names}, folder / "huggingface")
    return {path.name: path for path in folder.iterdir()}


GIVEN = {
    ("vqgan", "llama"): "this looks like llama: --component llama",
    ("vqgan-encoder", "vision-llama"): "this looks like vision-llama: --component vision-llama",
    ("vision-llama", "llama"): "this looks like llama: --component llama",
    ("llama", "vision-llama"): "this looks like vision-llama: --component vision-llama",
    ("llama", "vqgan"): "this looks like vqgan: --component vqgan",
    ("llama-prefill", "vision-llama"): "this looks like vision-llama: --component vision-llama",
    ("ring-step", "vqgan"): "this looks like vqgan: --component vqgan",
    ("vqgan", "huggingface"): "its tensors have Hugging Face's names: name its folder, with config.json in it",
    ("llama", "huggingface"): "its tensors have Hugging Face's names: name its folder, with config.json in it",
}


@pytest.mark.parametrize(("component", "given"), GIVEN)
def test_what_it_looks_like_is_said(component: str, given: str, checkpoints: dict[str, Path]) -> None:
    with pytest.raises((CheckpointError, ConfigError)) as caught:
        open_model(component, str(checkpoints[given]), "lwm", Options(), 0)
    assert str(caught.value).endswith(GIVEN[component, given])
    assert len(str(caught.value)) < 1000


def test_a_checkpoint_of_the_right_model_in_another_size_is_no_other_model(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    alone = shutil.copy(checkpoints["vqgan"], tmp_path)  # without what lwmport wrote beside it
    with pytest.raises(PortError) as caught:
        open_model("vqgan", str(alone), "lwm", Options(), 0)
    assert "looks like" not in str(caught.value)
    assert len(str(caught.value)) < 1500
    assert open_checkpoint(checkpoints["vqgan"]).specs


def test_a_checkpoint_that_is_written_in_another_format_is_told_too(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    asked = Conversion(form="safetensors", component="vqgan", config="debug")
    with pytest.raises(CheckpointError, match="this looks like llama: --component llama"):
        convert(str(checkpoints["llama"]), tmp_path / "out", asked)
