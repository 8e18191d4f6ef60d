"""LLaVA's folders of every kind are one tree, and give one artifact; what is no LLaVA-1.5 is refused in one line."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import published
import pytest

from lwmport.checkpoints.model_weights import open_model
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.digest import of_file
from lwmport.errors import PortError
from lwmport.models.options import Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert


def opened(component: str, checkpoint: Path) -> Any:
    return open_model(component, str(checkpoint), "lwm", Options(), 0)


def clip(path: Path, architecture: str = "CLIPModel") -> Path:
    config: dict[str, Any] = {"architectures": ["CLIPModel"], "model_type": "clip", "vision_config": published.VISION}
    if architecture != "CLIPModel":
        config = {**published.VISION, "architectures": [architecture]}
    others = {"text_model.embeddings.token_embedding.weight": np.ones((4, 3), np.float32)}
    seen = published.prefixed("vision_model.", published.tower())
    return published.folder(path, {**seen, **(others if architecture == "CLIPModel" else {})}, config)


FOLDERS = {
    "transformers 4": (published.in_transformers_4(), published.LLAVA),
    "transformers 5": (published.in_transformers_5(), published.LLAVA),
    "LLaVA, with a tower": (published.in_llava(with_tower=True), published.OWN),
}


@pytest.mark.parametrize("kind", ["transformers 4", "transformers 5"])
def test_every_tensor_by_our_names(kind: str, tmp_path: Path) -> None:
    arrays, config = FOLDERS[kind]
    _, weights = opened("llava-image", published.folder(tmp_path, arrays, config))
    tower, projector = published.tower(), published.projector()
    expected = {
        "vision/class_embedding": tower["embeddings.class_embedding"],
        "vision/patch_embedding/kernel": tower["embeddings.patch_embedding.weight"].transpose(2, 3, 1, 0),
        "vision/position_embedding": tower["embeddings.position_embedding.weight"],
        "vision/pre_layrnorm/scale": tower["pre_layrnorm.weight"],
        "vision/layers/1/self_attn/k_proj/kernel": tower["encoder.layers.1.self_attn.k_proj.weight"].T,
        "vision/layers/0/layer_norm2/bias": tower["encoder.layers.0.layer_norm2.bias"],
        "vision/layers/0/mlp/fc2/kernel": tower["encoder.layers.0.mlp.fc2.weight"].T,
        "projector/linear_1/kernel": projector["linear_1.weight"].T,
        "projector/linear_2/bias": projector["linear_2.bias"],
    }
    for name, array in expected.items():
        np.testing.assert_array_equal(weights.read(name), array)
    said = weights.source["description"]
    assert f"{len(published.language_model())} tensors are of other parts of the model" in said
    assert {name for name in weights.source["left_over"] if "layers/2" not in name} == {
        "vision/post_layernorm/scale",
        "vision/post_layernorm/bias",
    }


def own_and_clip(path: Path) -> Path:
    published.folder(path / "llava-v1.5-7b", published.in_llava(with_tower=False), published.OWN)
    clip(path / "clip-vit-large-patch14-336")
    return path


def bare(path: Path, kind: str, stem: str) -> Path:
    """Write the shards alone: whoever converts them says what ``config.json`` would."""
    shards(kind, stem)(path)
    (path / "config.json").unlink()
    return path


SAID = {"settings": ("num_attention_heads=2", "num_hidden_layers=3")}
"""What no file of LLaVA's own tells of its tower."""


def folder(kind: str) -> Callable[[Path], Path]:
    return lambda path: published.folder(path, *FOLDERS[kind])


def shards(kind: str, stem: str) -> Callable[[Path], Path]:
    return lambda path: published.in_two(path, *FOLDERS[kind], stem)


WAYS: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "transformers 4": (folder("transformers 4"), {}),
    "transformers 4, .bin in two": (shards("transformers 4", "pytorch_model"), {}),
    "transformers 5": (folder("transformers 5"), {}),
    "transformers 5, safetensors in two": (shards("transformers 5", "model"), {}),
    "LLaVA's own, with a tower": (shards("LLaVA, with a tower", "pytorch_model"), SAID),
    "LLaVA's own and CLIP's": (own_and_clip, {}),
    "without config.json": (lambda path: bare(path, "transformers 4", "model"), {"config": "debug"}),
    "LLaVA's own without it": (lambda path: bare(path, "LLaVA, with a tower", "pytorch_model"), {"config": "debug"}),
}
"""How the same weights lie in folders, and what has to be said beside each."""

UNTOLD = [name for name, (_, said) in WAYS.items() if said or name == "LLaVA's own and CLIP's"]
"""Ways in which ``config.json`` is not transformers': the models name other sources of their choices."""


def test_every_way_gives_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")
    whole, without_sources = {}, {}
    for number, (name, (write, said)) in enumerate(WAYS.items()):
        source, out = write(tmp_path / str(number) / "model"), tmp_path / f"out {number}"
        options = Options(settings=said.get("settings", ()))
        convert(
            ConvertRequest(
                component="llava-image",
                checkpoint=str(source),
                config=said.get("config", "lwm"),
                options=options,
                format="onnx",
                validate=False,
                out=out,
            )
        )
        files = sorted(path for path in out.iterdir() if path.name.startswith("llava-image"))
        whole[name] = tuple(of_file(path) for path in files)
        model = onnx.load(out / "llava-image.onnx", load_external_data=False)
        del model.metadata_props[:]
        data = [of_file(path) for path in files if path.suffix != ".onnx"]
        without_sources[name] = (model.SerializeToString(deterministic=True), *data)
    assert len({found for name, found in whole.items() if name not in UNTOLD}) == 1
    assert len(set(without_sources.values())) == 1


@pytest.mark.parametrize("architecture", ["CLIPModel", "CLIPVisionModel", "CLIPVisionModelWithProjection"])
def test_a_folder_of_clip_is_the_tower(architecture: str, tmp_path: Path) -> None:
    family, weights = opened("llava-vision", clip(tmp_path, architecture))
    assert (family.config["hidden_size"], family.config["num_attention_heads"]) == (32, 2)
    np.testing.assert_array_equal(
        weights.read("vision/class_embedding"), published.tower()["embeddings.class_embedding"]
    )


def test_a_tower_of_its_own_stands_beside(tmp_path: Path) -> None:
    own = published.folder(tmp_path / "both" / "llava-v1.5-7b", published.in_llava(with_tower=False), published.OWN)
    for component in ("llava-vision", "llava-image"):
        with pytest.raises(
            PortError, match=r"missing: vision.*; vision is in the folder of openai/clip-vit-large-patch14"
        ):
            opened(component, own)
    clip(tmp_path / "both" / "clip-vit-large-patch14-336")
    family, weights = opened("llava-image", tmp_path / "both")
    assert (family.config["num_attention_heads"], family.config["text_hidden_size"]) == (2, published.LANGUAGE)
    assert {"vision/class_embedding", "projector/linear_2/kernel"} <= set(weights.specs)
    text = opened("llama", tmp_path / "both")[1]
    assert dict(text.specs) == dict(opened("llama", own)[1].specs)
    assert "not read: clip-vit-large-patch14-336/" in text.source["description"]


def test_the_projector_alone(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")
    path = published.saved(tmp_path / "mm_projector.bin", published.own_projector())
    family, weights = open_model("llava-projector", str(path), "debug", Options(), 0)
    assert family.references[0].feeder is None
    np.testing.assert_array_equal(weights.read("projector/linear_1/kernel"), published.projector()["linear_1.weight"].T)
    folder = published.folder(tmp_path / "pretrained", {}, published.OWN)
    shutil.copy(path, folder)
    assert "projector/linear_1/kernel" in open_checkpoint(folder, "llava").specs
    trained = published.prefixed("base_model.model.", published.own_projector())
    for name in ("mm_projector.bin", "non_lora_trainables.bin"):
        beside = published.saved(published.folder(tmp_path / f"of {name}", {}, published.OWN) / name, trained)
        for given in (beside, beside.parent):
            read = open_checkpoint(given, "llava").read("projector/linear_2/bias")
            np.testing.assert_array_equal(read, published.projector()["linear_2.bias"])
    clip(tmp_path / "parts" / "tower")
    shutil.copy(path, tmp_path / "parts")
    assert "llava-image" in [one.name for one in opened("llava-image", tmp_path / "parts")[0].references]


def test_a_projector_of_another_size_of_the_model_is_refused(tmp_path: Path) -> None:
    arrays = {**published.in_transformers_4(), **published.prefixed("multi_modal_projector.", published.projector(24))}
    with pytest.raises(PortError, match="expected text_hidden_size 20 as asked for, found text_hidden_size 24"):
        opened("llava-projector", published.folder(tmp_path, arrays, published.LLAVA))


@pytest.mark.parametrize("kind", FOLDERS)
def test_the_language_model_inside(kind: str, tmp_path: Path) -> None:
    arrays, config = FOLDERS[kind]
    family, weights = opened("llama", published.folder(tmp_path, arrays, config))
    alone = published.folder(tmp_path / "alone", published.language_model(), published.TEXT)
    expected = open_checkpoint(alone)
    assert dict(weights.specs) == dict(expected.specs)
    for name in expected.specs:
        np.testing.assert_array_equal(weights.read(name), expected.read(name))
    assert (family.config["num_attention_heads"], family.config["rms_norm_eps"]) == (2, 1e-5)
    assert "tensors are of other parts of the model" in weights.source["description"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "all patches": ({"vision_feature_select_strategy": "full"}, "vision_feature_select_strategy default"),
    "another tower": (
        {"vision_config": {**published.VISION, "model_type": "siglip_vision_model"}},
        "siglip_vision_mod",
    ),
    "two layers": ({"vision_feature_layer": [-2, -5]}, "vision_feature_layer"),
    "another class": ({"architectures": ["LlavaNextForConditionalGeneration"]}, "found .*LlavaNextForConditional"),
    "another projector": ({"projector_hidden_act": "relu"}, "projector_hidden_act"),
    "no object": ({"vision_config": 3}, "an object as CLIPVisionConfig"),
    "more heads": ({"vision_config": {**published.VISION, "num_attention_heads": 3}}, "a multiple of 3"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_computed_is_refused_by_name(case: str, tmp_path: Path) -> None:
    changed, message = WRONG[case]
    folder = published.folder(tmp_path, published.in_transformers_4(), {**published.LLAVA, **changed})
    with pytest.raises(PortError, match=message) as caught:
        opened("llava-image", folder)
    assert "\n" not in str(caught.value)


def test_another_language_model_is_refused_and_its_image_side_is_read(tmp_path: Path) -> None:
    config = {**published.LLAVA, "text_config": {**published.TEXT, "model_type": "mistral"}}
    folder = published.folder(tmp_path, published.in_transformers_4(), config)
    with pytest.raises(PortError, match="expected the model_type llama in text_config, found 'mistral'"):
        opened("llama", folder)
    assert opened("llava-image", folder)[1].specs
