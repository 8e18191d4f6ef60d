"""The files of the makers are read as they are: lazily, by allow-list, and never without a part that is needed."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from published_files import LAYOUTS, llava_names, minigpt4_files, seeded
from safetensors.torch import save_file

from lwmport.checkpoints.model_weights import component_weights, open_model
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import CheckpointError, PortError
from lwmport.models.options import Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert

WEIGHTS = seeded("minigpt4-image")
SIDE = seeded("llava-image")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("minigpt4")
    minigpt4_files(folder, WEIGHTS)
    return folder


@pytest.mark.parametrize("component", ["minigpt4-vision", "minigpt4-qformer", "minigpt4-projection", "minigpt4-image"])
def test_a_folder_of_published_files_gives_every_tensor(component: str, published: Path) -> None:
    family, weights = open_model(component, str(published), "debug", Options(), 0)
    found = component_weights(family, family.references[0], weights)
    for name in family.references[0].weights:
        np.testing.assert_array_equal(found.read(name), WEIGHTS[name], err_msg=name)


def test_what_is_not_run_is_left_over_and_told(published: Path) -> None:
    _, weights = open_model("minigpt4-image", str(published), "debug", Options(), 0)
    left = weights.source["left_over"]
    assert "t5_proj.weight" in left
    assert "norm.weight" in left
    assert any(name.startswith("vit/blocks/") for name in left)


@pytest.mark.parametrize(
    ("component", "file"),
    [
        ("minigpt4-qformer", "blip2_pretrained_flant5xxl.pth"),
        ("minigpt4-projection", "pretrained_minigpt4_7b.pth"),
    ],
)
def test_one_file_is_enough_where_it_holds_all(component: str, file: str, published: Path) -> None:
    family, weights = open_model(component, str(published / file), "debug", Options(), 0)
    part = family.references[0]
    assert part.feeder is None
    for name in part.weights:
        np.testing.assert_array_equal(component_weights(family, part, weights).read(name), WEIGHTS[name])


def test_the_tower_is_refused_without_the_file_of_ln_vision(published: Path) -> None:
    with pytest.raises(CheckpointError, match=r"ln_vision is in blip2_pretrained_flant5xxl\.pth") as caught:
        open_model("minigpt4-vision", str(published / "eva_vit_g.pth"), "debug", Options(), 0)
    assert "\n" not in str(caught.value)


def test_two_files_of_one_part_are_refused(tmp_path: Path) -> None:
    minigpt4_files(tmp_path, WEIGHTS)
    (tmp_path / "other.pth").write_bytes((tmp_path / "pretrained_minigpt4_7b.pth").read_bytes())
    with pytest.raises(CheckpointError, match=r"one file with llama_proj/\w+, found other\.pth and pre"):
        open_model("minigpt4-image", str(tmp_path), "debug", Options(), 0)


class Config:
    """An object of a class: nothing of it may be made."""


@pytest.mark.parametrize("where", ["model", "config"])
def test_a_pickle_that_names_a_class_is_refused_and_nothing_is_run(where: str, tmp_path: Path) -> None:
    held = {"model": {"llama_proj.weight": torch.zeros(2, 2)}, "config": {}}
    held[where]["x"] = Config()  # type: ignore[assignment]
    torch.save(held, tmp_path / "pretrained_minigpt4_7b.pth")
    with pytest.raises(CheckpointError, match="refused"):
        open_checkpoint(tmp_path / "pretrained_minigpt4_7b.pth", "minigpt4")


def test_a_cut_file_costs_one_line(published: Path, tmp_path: Path) -> None:
    whole = (published / "eva_vit_g.pth").read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 40)):
        (tmp_path / "eva_vit_g.pth").write_bytes(whole[:size])
        with pytest.raises(PortError) as caught:
            open_model("minigpt4-vision", str(tmp_path), "debug", Options(), 0)
        assert "\n" not in str(caught.value)


def digest(folder: Path) -> str:
    return hashlib.sha256(
        (folder / "llava-image.onnx").read_bytes()
        + b"".join(path.read_bytes() for path in sorted(folder.glob("*.data")))
    ).hexdigest()


def test_every_layout_of_llava_gives_the_same_bytes(tmp_path: Path) -> None:
    made = set()
    for number, layout in enumerate(LAYOUTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        tensors = {**llava_names(SIDE, layout), "lm_head.weight": torch.zeros(4, 4)}
        if layout == "LLaVA":
            torch.save(tensors, folder / "pytorch_model.bin")
        else:
            save_file(tensors, folder / "model.safetensors")
        request = ConvertRequest(
            component="llava-image",
            format="onnx",
            out=folder / "out",
            checkpoint=str(folder),
            config="debug",
            validate=False,
        )
        convert(request)
        made.add(digest(folder / "out"))
    assert len(made) == 1


def test_a_projector_alone_is_enough_for_the_projector(tmp_path: Path) -> None:
    names = llava_names({name: value for name, value in SIDE.items() if name.startswith("projector/")}, "LLaVA")
    torch.save(names, tmp_path / "mm_projector.bin")
    family, weights = open_model("llava-projector", str(tmp_path / "mm_projector.bin"), "debug", Options(), 0)
    read = component_weights(family, family.references[0], weights).read("projector/linear_1/kernel")
    np.testing.assert_array_equal(read, SIDE["projector/linear_1/kernel"])
    with pytest.raises(CheckpointError, match="vision is in a folder of openai/clip"):
        open_model("llava-vision", str(tmp_path / "mm_projector.bin"), "debug", Options(), 0)


def test_a_config_beside_the_files_tells_the_sizes(tmp_path: Path) -> None:
    save_file(llava_names(SIDE, "transformers 4"), tmp_path / "model.safetensors")
    own = open_model("llava-image", None, "debug", Options(), 0)[0].config
    sizes = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size")
    tower = {name: own[name] for name in sizes}
    fields = {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "vision_feature_layer": -2,
        "vision_config": {"model_type": "clip_vision_model", **tower},
        "text_config": {"model_type": "llama", "hidden_size": own["text_hidden_size"]},
    }
    (tmp_path / "config.json").write_text(json.dumps(fields))
    found, _ = open_model("llava-image", str(tmp_path), "lwm", Options(), 0)
    assert {name: found.config[name] for name in tower} == tower
