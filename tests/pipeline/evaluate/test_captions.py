"""Captions of two devices, judged by a tiny random CLIP model: one judge, one process for most of the tests."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import lwmport
from lwmport.pipeline.evaluate.captions import run

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("tokenizers")

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!<>|"
MERGES = ("a t</w>", "c at</w>", "d o", "do g</w>")
VOCABULARY = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), *(merge.replace(" ", "") for merge in MERGES)]
TEXT = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
POSITIONS, SIZE, WIDTH = 9, 20, 12


def tiny() -> Any:
    """Return a random model whose activation, projections and norms differ from the defaults."""
    torch.manual_seed(3)
    text = {**TEXT, "vocab_size": len(VOCABULARY) + 2, "max_position_embeddings": POSITIONS, "hidden_act": "gelu"}
    vision = {**TEXT, "hidden_size": 24, "image_size": SIZE, "patch_size": 10, "hidden_act": "gelu"}
    text["eos_token_id"] = len(VOCABULARY) + 1
    model = transformers.CLIPModel(
        transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH)
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return model


def put_tokenizer(folder: Path) -> None:
    names = [*VOCABULARY, BEGIN, END]
    (folder / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]) + "\n")


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny()


@pytest.fixture(scope="module")
def judge(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judge")
    model.save_pretrained(folder)
    processor = {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}, "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    put_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0)
    for number, (width, height) in enumerate([(40, 27), (27, 40), (31, 31), (20, 61)]):
        (folder / "val").mkdir(exist_ok=True)
        Image.fromarray(pixels.integers(0, 256, (height, width, 3), np.uint8)).save(folder / "val" / f"{number}.png")
    return folder


SAID_A = {"/data/val/0.png": "a cat", "/data/val/1.png": "a dog", "/data/val/2.png": "cat dog cat dog cat dog cat dog!"}
SAID_B = {"../val/0.png": "a dog", "val\\1.png": "<b>cat|</b>", "2.png": "dog", "3.png": "only b"}


class Child:
    """Stands in for the server: the same judge in this process, opened once."""

    opened: ClassVar[dict[Path, Any]] = {}

    def __init__(self, function: Callable[..., Any], arguments: dict[str, Any], *_: Any) -> None:
        folder = arguments["folder"]
        self.ask = self.opened.setdefault(folder, None) or function(**arguments)
        self.opened[folder] = self.ask

    def close(self) -> None:
        """Keep what was opened."""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ask the judge in this process: a process of its own imports PyTorch for seconds."""
    monkeypatch.setattr(run.child, "Server", Child)
    return


def put(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


@pytest.fixture
def both(tmp_path: Path) -> dict[str, Path]:
    return {"a": put(tmp_path / "a.json", SAID_A), "b": put(tmp_path / "b.json", SAID_B)}


def expected(model: Any, picture: Path, text: str) -> float:
    """Return the cosine by transformers' own classes."""
    processor = transformers.CLIPImageProcessorPil(size={"shortest_edge": SIZE}, crop_size=SIZE)
    names = [*VOCABULARY, BEGIN, END]
    tokenizer = transformers.CLIPTokenizer(
        vocab={name: number for number, name in enumerate(names)},
        merges=[tuple(merge.split(" ")) for merge in MERGES],
    )
    ids = tokenizer(text, truncation=True, max_length=POSITIONS, return_tensors="pt")
    pixels = processor(Image.open(picture).convert("RGB"), return_tensors="pt")
    with torch.no_grad():
        found = model(**ids, **pixels)
    return float((found.text_embeds * found.image_embeds).sum())


def test_a_judge_in_a_process_of_its_own_gives_the_cosines_of_transformers(
    judge: Path, images: Path, model: Any, both: dict[str, Path], tmp_path: Path
) -> None:
    found = lwmport.captions(**both, images=images, judge=judge, out=tmp_path / "out")
    assert [pair.difference for pair in found.pairs] == sorted((p.difference for p in found.pairs), reverse=True)
    assert {pair.picture for pair in found.pairs} == {"val/0.png", "val/1.png", "val/2.png"}
    for pair in found.pairs:
        for one in (pair.a, pair.b):
            assert one.cosine == pytest.approx(expected(model, images / pair.picture, one.text), abs=2e-6)
        assert pair.difference == pair.a.cosine - pair.b.cosine
    long = next(pair.a for pair in found.pairs if pair.picture == "val/2.png")
    assert (long.tokens, long.unseen_tokens, long.unseen) == (9, 2, "dog!")
    assert long.seen == "cat dog cat dog cat dog cat "
    assert (found.a.cut, found.b.cut, found.b.only) == (1, 1, ("val/3.png",))
    assert found.status == "skipped"
    assert "--margin" in found.sentence
    document = json.loads((tmp_path / "out" / "captions.json").read_text())
    assert document["format"] == "lwmport-captions/1"
    page = (tmp_path / "out" / "captions.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3
    assert "&lt;b&gt;cat|&lt;/" in page
    assert "<s>dog!</s>" in page
    assert r"\<b\>cat\|\</b\>" in (tmp_path / "out" / "captions.md").read_text()
