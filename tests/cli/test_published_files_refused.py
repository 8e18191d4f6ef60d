"""Files of MiniGPT-4 and LLaVA that are cut, hostile or of two models: one line, exit code 3, nothing written."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import published
import pytest
from click.testing import CliRunner

from lwmport.cli.main import cli
from lwmport.errors import PortError

pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")

BLIP2 = "blip2_pretrained_flant5xxl.pth"
WIDER = published.LANGUAGE + 4


class Evil:
    """What PyTorch's own reader would run."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch proof",)


def of_another_language_model(path: Path) -> Path:
    """A folder of 7B with the projector of 13B, so to say."""
    wide = published.prefixed("multi_modal_projector.", published.projector(WIDER))
    return published.folder(path, {**published.in_transformers_4(), **wide}, published.LLAVA)


def own_of_another_language_model(path: Path) -> Path:
    arrays = {**published.in_llava(with_tower=False), **published.own_projector(WIDER)}
    return published.folder(path, arrays, published.OWN)


def language_model_of_another_size(path: Path) -> Path:
    wide = published.prefixed("language_model.", published.language_model(WIDER))
    return published.folder(path, {**published.in_transformers_4(), **wide}, published.LLAVA)


def of_another_width(path: Path) -> Path:
    """A projector that reads wider states than the tower gives."""
    wide = published.made(published.linear("multi_modal_projector.linear_1", published.LANGUAGE, published.WIDTH + 16))
    return published.folder(path, {**published.in_transformers_4(), **wide}, published.LLAVA)


def tower_of_another_size(path: Path) -> Path:
    """LLaVA's own folder beside a tower that it does not name the width of."""
    published.folder(path / "llava-v1.5-7b", published.in_llava(with_tower=False), published.OWN)
    vision = {**published.VISION, "architectures": ["CLIPVisionModel"], "hidden_size": 2 * published.WIDTH}
    published.folder(path / "tower", published.prefixed("vision_model.", published.tower()), vision)
    return path


def cut(stem: str) -> Callable[[Path], Path]:
    def made(path: Path) -> Path:
        published.in_two(path, published.in_transformers_4(), published.LLAVA, stem)
        shard = max(path.glob(f"{stem}-*"))
        shard.write_bytes(shard.read_bytes()[: shard.stat().st_size * 2 // 3])
        return path

    return made


def hostile(**how: Any) -> Callable[[Path], Path]:
    def made(path: Path) -> Path:
        published.in_two(path, published.in_transformers_4(), published.LLAVA, "pytorch_model")
        published.saved(max(path.glob("pytorch_model-*.bin")), {"x": Evil()}, **how)
        return path

    return made


def cut_minigpt4(path: Path) -> Path:
    published.minigpt4(path)
    (path / BLIP2).write_bytes((path / BLIP2).read_bytes()[:-1000])
    return path


def hostile_minigpt4(path: Path) -> Path:
    published.minigpt4(path)
    published.saved(path / BLIP2, published.blip2(), {"config": Evil()})
    return path


def cut_without_a_config(path: Path) -> Path:
    """Shards that no ``config.json`` and no index tell of: what lacks is told with the file that cannot be read."""
    cut("model")(path)
    for name in ("config.json", "model.safetensors.index.json"):
        (path / name).unlink()
    return path


CASES: dict[str, tuple[Callable[[Path], Path], str, str]] = {
    "the projector of a larger one": (of_another_language_model, "llava-image", r"text_hidden_size 20 .*size 24"),
    "its tower too": (of_another_language_model, "llava-vision", r"text_hidden_size 20 .*text_hidden_size 24"),
    "LLaVA's own": (own_of_another_language_model, "llava-projector", r"text_hidden_size 20 .*size 24"),
    "a larger language model": (language_model_of_another_size, "llama", r"expected hidden_size 20 .*hidden_size 24"),
    "a projector of another width": (of_another_width, "llava-image", r"linear_1/kernel expected \(32, .*found \(48"),
    "the projector alone": (of_another_width, "llava-projector", r"linear_1/kernel expected \(32, 20\) found \(48, 20"),
    "a tower of another size": (tower_of_another_size, "llava-image", r"hidden_size.*are they of one model"),
    "a cut shard": (cut("model"), "llava-image", r"model-00002-of-00002.safetensors: .*damaged|truncated"),
    "a cut shard, .bin": (cut("pytorch_model"), "llava-image", r"pytorch_model-00002-of-00002.bin: "),
    "its language model": (cut("pytorch_model"), "llama", r"pytorch_model-00002-of-00002.bin: "),
    "a cut shard without config.json": (cut_without_a_config, "llava-image", r"not read: model-00002-of-00002.safet"),
    "a hostile shard": (hostile(), "llava-image", r"refused: the pickle names posix.system"),
    "an old hostile shard": (
        hostile(_use_new_zipfile_serialization=False), "llama", r"refused: the pickle names posix.system",
    ),
    "a cut file of MiniGPT-4": (cut_minigpt4, "minigpt4-image", BLIP2),
    "a hostile file of MiniGPT-4": (hostile_minigpt4, "minigpt4-qformer", r"names posix.system.*nothing was run"),
    "a projection of another width": (
        lambda path: published.minigpt4(path, width=30), "minigpt4-projection", r"expected \(24, 20\) found \(30, 20\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_line_and_nothing_written(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make, component, message = CASES[case]
    checkpoint = make(tmp_path / "given")
    before = sorted(tmp_path.rglob("*"))
    sizes = [] if list(tmp_path.rglob("config.json")) else ["--config", "debug"]
    words = [
        "convert",
        "--component",
        component,
        "--to",
        "onnx",
        "--checkpoint",
        str(checkpoint),
        "--out",
        "out",
        *sizes,
    ]
    error = CliRunner().invoke(cli, words).exception
    assert isinstance(error, PortError)
    assert error.exit_code == 3
    assert re.search(message, str(error)), error
    assert "\n" not in str(error)
    assert sorted(tmp_path.rglob("*")) == before
