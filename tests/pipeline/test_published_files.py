"""Published files of MiniGPT-4 and LLaVA: what is told of them, and that a part of them alone is judged again."""

from pathlib import Path

import published
import pytest

import lwmport
from lwmport.pipeline.inspection import inspect
from lwmport.pipeline.reopen import reopen
from lwmport.types import Status

pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")

PROJECTION = "pretrained_minigpt4_7b.pth"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    published.minigpt4(folder / "minigpt4")
    published.folder(folder / "llava-1.5-7b-hf", published.in_transformers_5(), published.LLAVA)
    published.folder(folder / "both" / "llava-v1.5-7b", published.in_llava(with_tower=False), published.OWN)
    vision = {**published.VISION, "architectures": ["CLIPVisionModel"]}
    published.folder(folder / "both" / "clip", published.prefixed("vision_model.", published.tower()), vision)
    return folder


@pytest.mark.parametrize(
    ("name", "component", "kind"),
    [
        ("minigpt4", "minigpt4", "a folder of released files"),
        ("minigpt4/eva_vit_g.pth", "minigpt4-vision", "a checkpoint (torch)"),
        ("minigpt4/blip2_pretrained_flant5xxl.pth", "minigpt4-qformer", "a checkpoint (torch_train_state)"),
        (f"minigpt4/{PROJECTION}", "minigpt4-projection", "a checkpoint (torch_train_state)"),
        ("llava-1.5-7b-hf", "llava", "a Hugging Face folder"),
        ("both", "llava", "a folder of released files"),
        ("both/llava-v1.5-7b", "llava-projector", "a Hugging Face folder"),
        ("both/clip", "llava-vision", "a Hugging Face folder"),
    ],
)
def test_what_a_file_or_a_folder_holds(name: str, component: str, kind: str, files: Path) -> None:
    found = inspect(str(files / name))
    assert (found.kind, found.facts["looks like"]) == (kind, component)
    assert f"lwmport convert --component {component} --to onnx --checkpoint {files / name}" in found.next[0]


def test_one_file_of_several_is_converted_and_judged_again(files: Path, tmp_path: Path) -> None:
    checkpoint = str(files / "minigpt4" / PROJECTION)
    out = tmp_path / "out"
    made = lwmport.convert(
        component="minigpt4-projection", format="onnx", config="debug", checkpoint=checkpoint, out=out, samples=1
    )
    assert made.status is Status.PASSED
    again = reopen(out, checkpoint)
    assert again.family.references[0].feeder is None
    assert set(again.component_weights("minigpt4-projection").specs) == {"llama_proj/kernel", "llama_proj/bias"}
    assert lwmport.validate(artifact=out, checkpoint=checkpoint, samples=1).status is Status.PASSED
