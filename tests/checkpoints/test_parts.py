"""Published files of MiniGPT-4 put together: tensors by our names, what is left out, one line for what is wrong."""

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest

from lwmport.checkpoints.model_weights import open_model
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import CheckpointError, PortError
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.pipeline.checkpoint.convert import Conversion, convert

pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")

EVA, BLIP2, PROJECTION = "eva_vit_g.pth", "blip2_pretrained_flant5xxl.pth", "pretrained_minigpt4_7b.pth"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published.minigpt4(tmp_path_factory.mktemp("published") / "minigpt4")


def holding(folder: Path, whole: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        shutil.copy(whole / name, folder)
    return folder


def opened(component: str, checkpoint: Path, **more: Any) -> Any:
    return open_model(component, str(checkpoint), "debug", Options(**more), 0)


def test_all_files_are_one_tree(whole: Path) -> None:
    found = open_checkpoint(whole)
    eva, blip2, projection = published.eva(), published.blip2(), published.projection()
    layer = "Qformer.bert.encoder.layer.0"
    expected = {
        "vit/cls_token": eva["cls_token"],
        "vit/pos_embed": eva["pos_embed"],
        "vit/patch_embed/proj/kernel": eva["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "vit/patch_embed/proj/bias": eva["patch_embed.proj.bias"],
        "vit/blocks/1/attn/qkv/kernel": eva["blocks.1.attn.qkv.weight"].T,
        "vit/blocks/1/attn/v_bias": eva["blocks.1.attn.v_bias"],
        "vit/blocks/0/mlp/fc1/kernel": eva["blocks.0.mlp.fc1.weight"].T,
        "vit/blocks/0/norm2/scale": eva["blocks.0.norm2.weight"],
        "ln_vision/scale": blip2["ln_vision.weight"],
        "ln_vision/bias": blip2["ln_vision.bias"],
        "query_tokens": blip2["query_tokens"],
        "qformer/embeddings/LayerNorm/scale": blip2["Qformer.bert.embeddings.LayerNorm.weight"],
        "qformer/layer/0/crossattention/self/key/kernel": blip2[f"{layer}.crossattention.self.key.weight"].T,
        "qformer/layer/0/attention/output/LayerNorm/bias": blip2[f"{layer}.attention.output.LayerNorm.bias"],
        "qformer/layer/0/output_query/dense/kernel": blip2[f"{layer}.output_query.dense.weight"].T,
        "llama_proj/kernel": projection["llama_proj.weight"].T,
        "llama_proj/bias": projection["llama_proj.bias"],
    }
    for name, array in expected.items():
        np.testing.assert_array_equal(found.read(name), array)
        assert found.read(name).flags.c_contiguous
    wanted = resolve("minigpt4", "debug").weights
    assert wanted.items() <= dict(found.specs).items()


def test_what_is_not_read_is_told(whole: Path) -> None:
    _, weights = opened("minigpt4", whole)
    said = weights.source["description"]
    assert "blip2_pretrained_flant5xxl.pth: 2 tensors of it are not used: t5_proj.weight, t5_proj.bias" in said
    assert "eva_vit_g.pth: 4 tensors of it are not used: norm.weight, norm.bias, head.weight, head.bias" in said
    assert "pretrained_minigpt4_7b.pth: what stands beside the model in it is left out" in said
    left_over = weights.source["left_over"]
    assert {name.rsplit("/", 1)[0].startswith("vit/blocks/2") for name in left_over} == {True}
    assert len(left_over) == 13


@pytest.mark.parametrize(("component", "name"), [("minigpt4-qformer", BLIP2), ("minigpt4-projection", PROJECTION)])
def test_one_file_is_enough_where_it_holds_the_component(component: str, name: str, whole: Path) -> None:
    family, weights = opened(component, whole / name)
    assert family.references[0].feeder is None
    assert family.references[0].weights.items() <= dict(weights.specs).items()
    assert f"{component} is judged on seeded numbers" in weights.source["description"]
    family, _ = opened(component, whole)
    assert family.references[0].feeder is not None


@pytest.mark.parametrize("component", ["minigpt4-vision", "minigpt4-image"])
def test_the_last_norm_is_not_done_without(component: str, whole: Path, tmp_path: Path) -> None:
    folder = holding(tmp_path / "without", whole, EVA, PROJECTION)
    with pytest.raises(
        CheckpointError, match=rf"missing: ln_vision.*; ln_vision is in {BLIP2}; .*put it beside the others"
    ) as caught:
        opened(component, folder)
    assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match=f"ln_vision is in {BLIP2}"):
        opened("minigpt4-vision", whole / EVA)
    with pytest.raises(CheckpointError, match=f"; vit is in {EVA}; put it"):
        opened("minigpt4-vision", whole / BLIP2)


@pytest.mark.parametrize("named", [True, False])
def test_a_folder_and_a_file_become_one_file_by_our_names(named: bool, whole: Path, tmp_path: Path) -> None:  # noqa: FBT001
    given: dict[str, Any] = {"component": "minigpt4", "config": "debug"} if named else {}
    convert(str(whole), tmp_path / "made", Conversion(form="safetensors", **given))
    made, before = open_checkpoint(tmp_path / "made", "minigpt4"), open_checkpoint(whole)
    assert dict(made.specs) == dict(before.specs)
    for name in made.specs:
        np.testing.assert_array_equal(made.read(name), before.read(name))
    convert(str(whole / EVA), tmp_path / "tower", Conversion(form="safetensors"))
    tower = open_checkpoint(tmp_path / "tower").specs
    assert set(tower) == {name for name in before.specs if name.startswith("vit/")}


def test_files_are_known_by_their_tensors(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "renamed"
    folder.mkdir()
    for name, other in ((EVA, "tower.pt"), (BLIP2, "queries.bin"), (PROJECTION, "prerained_minigpt4_7b.pth")):
        shutil.copy(whole / name, folder / other)
    (folder / "notes.pth").write_bytes(b"nothing")
    assert set(open_checkpoint(folder).specs) == set(open_checkpoint(whole).specs)
    assert "not read: notes.pth (unknown format" in opened("minigpt4", folder)[1].source["description"]
    published.folder(folder, published.language_model(), published.TEXT)
    _, weights = opened("minigpt4", folder)
    assert dict(weights.specs) == dict(open_checkpoint(whole).specs)
    assert "not read: config.json, model.safetensors, notes.pth" in weights.source["description"]
    other = published.folder(tmp_path / "other", published.in_transformers_4(), published.LLAVA)
    with pytest.raises(PortError, match=r"this looks like llava: --component llava$"):
        open_model("minigpt4", str(other), "lwm", Options(), 0)


def test_two_candidates_are_one_line(whole: Path, tmp_path: Path) -> None:
    folder = holding(tmp_path / "two", whole, EVA, BLIP2, PROJECTION)
    shutil.copy(whole / PROJECTION, folder / "checkpoint_4.pth")
    with pytest.raises(CheckpointError, match=r"found llama_proj/\w+ in checkpoint_4.pth and in pretrained_minigpt4"):
        open_checkpoint(folder)


def test_a_file_that_ends_early_is_one_line(whole: Path, tmp_path: Path) -> None:
    folder = holding(tmp_path / "cut", whole, EVA, BLIP2, PROJECTION)
    content = (folder / BLIP2).read_bytes()
    for percent in range(0, 100, 13):
        (folder / BLIP2).write_bytes(content[: len(content) * percent // 100])
        with pytest.raises(CheckpointError, match=f"{BLIP2}: ") as caught:
            open_checkpoint(folder)
        assert "\n" not in str(caught.value)


def test_the_projection_decides_whether_there_is_a_q_former(tmp_path: Path) -> None:
    folder = published.minigpt4(tmp_path / "llama2", width=4 * published.WIDTH, language=36)
    family, _ = opened("minigpt4-projection", folder)
    assert (family.config["has_qformer"], family.config["text_hidden_size"]) == (False, 36)
    assert [one.name for one in opened("minigpt4", folder)[0].references] == ["minigpt4-vision", "minigpt4-projection"]


def test_a_missing_tensor_is_named(whole: Path, tmp_path: Path) -> None:
    folder = holding(tmp_path / "less", whole, EVA)
    blip2 = published.blip2()
    del blip2["Qformer.bert.encoder.layer.1.output_query.dense.weight"], blip2["ln_vision.bias"]
    published.saved(folder / BLIP2, blip2, {})
    with pytest.raises(PortError, match=r"1 missing: ln_vision/bias \(32,\)"):
        opened("minigpt4-vision", folder)
    with pytest.raises(PortError, match=r"1 missing: qformer/layer/1/output_query/dense/kernel \(40, 24\)$"):
        opened("minigpt4-qformer", folder)


@pytest.mark.parametrize(
    ("width", "message"),
    [(30, r"llama_proj/kernel expected \(24, 20\) found \(30, 20\)")],
)
def test_a_projection_of_another_width_is_refused(width: int, message: str, tmp_path: Path) -> None:
    folder = published.minigpt4(tmp_path / "wide", width=width)
    with pytest.raises(PortError, match=message) as caught:
        opened("minigpt4-projection", folder)
    assert "\n" not in str(caught.value)


def test_settings_of_a_training_are_stepped_over(tmp_path: Path) -> None:
    import torch

    weight = torch.nn.Parameter(torch.ones(3, 2))
    adam = torch.optim.Adam([weight])
    weight.sum().backward()
    adam.step()
    beside = {
        "config": argparse.Namespace(lr=1e-4, names=["a"], nested=argparse.Namespace(x={1: (2, 3.5)})),
        "optimizer": adam.state_dict(),
        "scaler": {"scale": 65536.0, "growth": None},
        "epoch": 3,
        "path": Path("somewhere"),
    }
    for how in ({}, {"_use_new_zipfile_serialization": False}):
        path = published.saved(tmp_path / "checkpoint_3.pth", published.projection(), beside, **how)
        found = open_checkpoint(path)
        assert found.format == "torch_train_state"
        assert set(found.specs) == {"llama_proj/kernel", "llama_proj/bias"}
        np.testing.assert_array_equal(found.read("llama_proj/kernel"), published.projection()["llama_proj.weight"].T)


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, ("touch proof",)


@pytest.mark.parametrize("where", ["model", "config"])
@pytest.mark.parametrize("new", [True, False], ids=["zip", "before 1.6"])
def test_what_runs_something_is_refused(
    new: bool,  # noqa: FBT001
    where: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    model, beside = published.projection(), {"config": {"x": Evil()}}
    if where == "model":
        model, beside = {**model, "x": Evil()}, {"config": {}}
    path = published.saved(tmp_path / PROJECTION, model, beside, _use_new_zipfile_serialization=new)
    with pytest.raises(CheckpointError, match=r"refused: the pickle names posix.system.*nothing was run"):
        open_checkpoint(path)
    assert not (tmp_path / "proof").exists()
