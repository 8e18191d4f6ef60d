"""Captions of two devices, judged by a tiny random CLIP model: one judge, one process for most of the tests."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import lwmport
from lwmport.cli.main import cli
from lwmport.errors import ArtifactError, CheckpointError, MissingExtraError, UsageError
from lwmport.pipeline.evaluate import bootstrap
from lwmport.pipeline.evaluate.captions import run
from lwmport.pipeline.evaluate.captions.answers import read_answers
from lwmport.pipeline.evaluate.captions.pictures import answers_by_picture, pictures_in
from lwmport.pipeline.evaluate.clip import open_clip
from lwmport.pipeline.evaluate.clip.pixels import MEAN, STD, Pixels

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


def as_open_clip(model: Any, folder: Path) -> None:
    """Write the model as open_clip does, under its names."""
    own = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    found = {
        "logit_scale": own["logit_scale"],
        "positional_embedding": own["text_model.embeddings.position_embedding.weight"],
        "token_embedding.weight": own["text_model.embeddings.token_embedding.weight"],
        "text_projection": own["text_projection.weight"].T.contiguous(),
        "visual.proj": own["visual_projection.weight"].T.contiguous(),
        "visual.class_embedding": own["vision_model.embeddings.class_embedding"],
        "visual.positional_embedding": own["vision_model.embeddings.position_embedding.weight"],
        "visual.conv1.weight": own["vision_model.embeddings.patch_embedding.weight"],
    }
    norms = {"ln_final": "text_model.final_layer_norm", "visual.ln_pre": "vision_model.pre_layrnorm"}
    norms["visual.ln_post"] = "vision_model.post_layernorm"
    inner = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
    inner["attn.out_proj"] = "self_attn.out_proj"
    for kind in ("weight", "bias"):
        found |= {f"{name}.{kind}": own[f"{there}.{kind}"] for name, there in norms.items()}
        for tower, there in (("transformer", "text_model"), ("visual.transformer", "vision_model")):
            for layer in range(2):
                block, start = f"{tower}.resblocks.{layer}", f"{there}.encoder.layers.{layer}"
                found |= {f"{block}.{name}.{kind}": own[f"{start}.{one}.{kind}"] for name, one in inner.items()}
                joined = [own[f"{start}.self_attn.{letter}_proj.{kind}"] for letter in "qkv"]
                found[f"{block}.attn.in_proj_{kind}"] = torch.cat(joined)
    torch.save(found, folder / "open_clip_pytorch_model.bin")
    put(folder / "config.json", {"model_type": "clip"})  # published beside it, without transformers' weights
    put_tokenizer(folder)
    put(folder / "open_clip_config.json", OPEN_CLIP)


OPEN_CLIP = {
    "model_cfg": {
        "embed_dim": WIDTH,
        "vision_cfg": {
            "image_size": SIZE, "layers": 2, "width": 24, "head_width": 12, "patch_size": 10, "mlp_ratio": 32 / 24,
        },
        "text_cfg": {
            "context_length": POSITIONS, "vocab_size": len(VOCABULARY) + 2, "width": 16, "heads": 2, "layers": 2,
            "mlp_ratio": 2.0,
        },
    },
    "preprocess_cfg": {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]},
}  # fmt: skip


@pytest.fixture(scope="module")
def other_judge(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("open_clip")
    as_open_clip(model, folder)
    return folder


@pytest.mark.usefixtures("here")
def test_a_folder_of_open_clip_gives_the_same(
    judge: Path, other_judge: Path, images: Path, both: dict[str, Path]
) -> None:
    one, other = (lwmport.captions(**both, images=images, judge=folder) for folder in (judge, other_judge))
    assert [pair.picture for pair in one.pairs] == [pair.picture for pair in other.pairs]
    for left, right in zip(one.pairs, other.pairs, strict=True):
        assert right.a.cosine == pytest.approx(left.a.cosine, abs=2e-6)
        assert right.b.cosine == pytest.approx(left.b.cosine, abs=2e-6)
    assert "open_clip first mends" in other.notes[0]
    assert not one.notes


@pytest.mark.usefixtures("here")
def test_the_command_gives_a_verdict_by_the_margin(
    judge: Path, images: Path, both: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def code_of(a: Path, b: Path, *words: str) -> tuple[Any, dict[str, Any]]:
        asked = ["eval", "captions", str(a), str(b), "--images", str(images), "--judge", str(judge), "--json", *words]
        code = cli.main(asked, standalone_mode=False)
        return code, json.loads(capsys.readouterr().out)

    a, b = both["a"], both["b"]
    code, found = code_of(a, b)
    assert (code, found["status"]) == (0, "skipped")
    if found["high"] <= 0:
        a, b = b, a
        code, found = code_of(a, b)
    low, high = found["low"], found["high"]
    assert low < found["difference"] < high
    assert [code_of(a, b, "--margin", str(margin))[0] for margin in (high, (max(low, 0) + high) / 2)] == [0, 3]


@pytest.mark.usefixtures("here")
def test_the_command_says_it_in_words(
    judge: Path, images: Path, both: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["eval", "captions", *map(str, both.values()), "--images", str(images), "--judge", str(judge)]
    for _ in range(2):
        assert cli.main([*asked, "--out", str(tmp_path / "out")], standalone_mode=False) == 0
    said = capsys.readouterr().out
    assert "SKIPPED  mean cosine" in said
    assert "is not told by a.json and b.json" in said
    assert "only here, and left out of A - B: val/3.png" in said


@pytest.mark.parametrize(
    ("margin", "ends", "status"),
    [
        (None, (0.1, 0.2), "skipped"),
        (0.2, (0.1, 0.2), "passed"),
        (0.0, (-0.3, -0.1), "passed"),
        (0.15, (0.1, 0.2), "not judged"),
        (0.1, (0.1, 0.2), "not judged"),
        (0.05, (0.1, 0.2), "failed"),
        (0.5, None, "not judged"),
    ],
)
def test_a_margin_is_held_against_the_interval(margin: float | None, ends: Any, status: str) -> None:
    assert run._verdict(margin, ends)[0] == status


def test_the_interval_is_that_of_theory_where_theory_has_one() -> None:
    values = np.random.default_rng(1).normal(0.1, 1.0, 400).tolist()
    low, high = bootstrap.interval(values) or (0.0, 0.0)
    deviation = 1.96 * np.std(values, ddof=1) / 20
    assert (low, high) == pytest.approx((np.mean(values) - deviation, np.mean(values) + deviation), abs=0.006)
    assert bootstrap.interval(values) == (low, high)


def test_the_interval_leans_to_the_long_side() -> None:
    """The mean of skewed values: BCa goes further up than down, which a symmetric interval does not."""
    values = np.random.default_rng(2).exponential(1.0, 40).tolist()
    low, high = bootstrap.interval(values) or (0.0, 0.0)
    assert high - np.mean(values) > 1.15 * (np.mean(values) - low)


def test_the_interval_of_few_or_equal_values() -> None:
    assert bootstrap.interval([0.5]) is None
    assert bootstrap.interval([0.5, 0.5, 0.5]) == (0.5, 0.5)


def test_two_lists_are_answers_too(tmp_path: Path) -> None:
    path = put(tmp_path / "old.json", {"image_file": ["0.png", "1.png"], "model_answer": ["x", "y"]})
    assert read_answers(path).texts == (("0.png", "x"), ("1.png", "y"))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("beside", [False, True])
def test_settings_that_differ_are_told(judge: Path, images: Path, tmp_path: Path, *, beside: bool) -> None:
    sampled, greedy = {"do_sample": True, "top_p": 0.9}, {"do_sample": False, "top_p": 0.9, "num_beams": 1}
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    put(a, SAID_A if beside else {**SAID_A, "settings": sampled})
    put(b, {**SAID_B, "settings": greedy})
    if beside:
        put(tmp_path / "a.json.settings.json", sampled)
    found = lwmport.captions(a=a, b=b, images=images, judge=judge)
    told = [(setting.name, setting.a, setting.b) for setting in found.settings]
    assert told == [("do_sample", "true", "false"), ("num_beams", "not told", "1")]
    assert "do_sample (true in A, false in B)" in found.decoding


def test_the_longest_end_of_a_path_says_which_picture(tmp_path: Path) -> None:
    for name in ("x/a/1.png", "y/b/1.png", "y/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    path = put(tmp_path / "a.json", {"C:\\data\\a\\1.png": "one", "/../../b/1.png": "two", "2.png": "three"})
    found = answers_by_picture(read_answers(path), pictures_in(tmp_path), tmp_path)
    assert found == {"x/a/1.png": "one", "y/b/1.png": "two", "y/2.png": "three"}


WRONG: dict[str, tuple[Any, str]] = {
    "no JSON": ("{", "expected answers at .*it is no JSON"),
    "a list": ([1], "expected a JSON object, found a list"),
    "none": ({}, "expected answers, found none"),
    "a number": ({"0.png": 1}, "expected a text for '0.png', found an int"),
    "one list": ({"image_file": ["0.png"]}, "found 1 of image_file, no list model_answer"),
    "two lengths": ({"image_file": ["0.png"], "model_answer": []}, "found 1 of image_file, 0 of model_answer"),
    "no picture": ({"val/9.png": "x"}, "found none for 1: val/9.png"),
    "two answers": ({"0.png": "x", "val/0.png": "y"}, "expected one answer for 'val/0.png', found two"),
    "nothing shared": ({"3.png": "x"}, "expected pictures that both .* found none"),
}


@pytest.mark.parametrize("case", WRONG)
def test_answers_that_are_none_are_one_line(case: str, judge: Path, images: Path, tmp_path: Path) -> None:
    value, said = WRONG[case]
    path = tmp_path / "b.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    with pytest.raises(ArtifactError, match=said) as caught:
        lwmport.captions(a=put(tmp_path / "a.json", SAID_A), b=path, images=images, judge=judge)
    assert "\n" not in str(caught.value)


def test_a_picture_that_may_be_two_files_is_refused(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").touch()
    path = put(tmp_path / "a.json", {"1.png": "one"})
    with pytest.raises(ArtifactError, match=r"expected one picture .* found 2: x/1.png, y/1.png"):
        answers_by_picture(read_answers(path), pictures_in(tmp_path), tmp_path)


@pytest.mark.usefixtures("here")
def test_what_is_no_picture_is_one_line(judge: Path, tmp_path: Path) -> None:
    (tmp_path / "0.png").write_text("<html>")
    Image.effect_noise((99, 99), 50).save(tmp_path / "1.jpg")
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:-999])
    path = put(tmp_path / "b.json", {"1.jpg": "x"})
    with pytest.raises(ArtifactError, match=r"expected a picture at .*1.jpg, found: .*truncated"):
        lwmport.captions(a=path, b=path, images=tmp_path, judge=judge)
    path = put(tmp_path / "a.json", {"0.png": "x"})
    with pytest.raises(ArtifactError, match=r"expected a picture \(PNG, .*\) at .*0.png, found a web page"):
        lwmport.captions(a=path, b=path, images=tmp_path, judge=judge)


def test_other_folders_and_files_are_refused(
    judge: Path, images: Path, both: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="expected a folder of pictures at"):
        lwmport.captions(**both, images=tmp_path / "none", judge=judge)
    with pytest.raises(CheckpointError, match="expected the folder of a CLIP model at"):
        lwmport.captions(**both, images=images, judge=tmp_path / "none")
    put(tmp_path / "captions.json", {})
    with pytest.raises(UsageError, match=r"expected nothing at .*captions\.json, or what"):
        lwmport.captions(**both, images=images, judge=judge, out=tmp_path)
    monkeypatch.setattr(run.extras, "installed", lambda name: name != "torch")
    with pytest.raises(MissingExtraError, match=r"found no torch .* pip install 'lwmport\[eval\]'"):
        lwmport.captions(**both, images=images, judge=judge)


def changed(folder: Path, name: str, **fields: Any) -> None:
    put(folder / name, {**json.loads((folder / name).read_text()), **fields})


JUDGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "another model": (lambda path: changed(path, "config.json", model_type="bert"), "expected model_type 'clip'"),
    "no configuration": (lambda path: (path / "config.json").unlink(), "expected config.json beside model.safetensors"),
    "no weights": (lambda path: (path / "model.safetensors").unlink(), "found none of them"),
    "cut weights": (
        lambda path: (path / "model.safetensors").write_bytes((path / "model.safetensors").read_bytes()[:-4]),
        "truncated",
    ),
    "no tokenizer": (lambda path: (path / "merges.txt").unlink(), "expected tokenizer.json, or vocab.json"),
    "a damaged tokenizer": (lambda path: put(path / "tokenizer.json", {}), "expected a tokenizer in tokenizer.json"),
    "another tokenizer": (lambda path: put(path / "vocab.json", {"a": 0}), "expected a tokenizer"),
    "other steps": (lambda path: changed(path, "preprocessor_config.json", resample=2), "found resample 2"),
    "no steps": (lambda path: (path / "preprocessor_config.json").unlink(), "which says how a picture is scaled"),
    "another width": (lambda path: changed(path, "config.json", projection_dim=8), "of shape .* found"),
    "more layers": (
        lambda path: changed(path, "config.json", text_config={**TEXT, "num_hidden_layers": 3}),
        "expected a CLIP model, found no text_model.encoder.layers.2",
    ),
    "no whole numbers": (lambda path: changed(path, "config.json", text_config={"hidden_size": "x"}), "found:"),
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("case", JUDGES)
def test_a_judge_that_is_none_is_one_line(
    case: str, judge: Path, images: Path, both: dict[str, Path], tmp_path: Path
) -> None:
    change, said = JUDGES[case]
    folder = tmp_path / "judge"
    shutil.copytree(judge, folder)
    change(folder)
    with pytest.raises(CheckpointError, match=said) as caught:
        lwmport.captions(**both, images=images, judge=folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("model_cfg", {**OPEN_CLIP["model_cfg"], "custom_text": True}, "found custom_text besides"),
        ("model_cfg", {"embed_dim": 4}, "expected an object vision_cfg, found none"),
        ("preprocess_cfg", {"resize_mode": "squash"}, "found other values of resize_mode"),
        ("preprocess_cfg", {"mean": "x"}, "expected the sizes of a CLIP model"),
    ],
)
def test_other_models_of_open_clip_are_refused(place: str, value: Any, said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        open_clip.config({**OPEN_CLIP, place: value})


def test_the_cut_is_placed_as_each_library_does() -> None:
    image = Image.fromarray(np.arange(23, dtype=np.uint8)[None, :, None].repeat(20, 0).repeat(3, 2))
    both = [
        Pixels(shortest=20, height=20, width=20, mean=MEAN, std=STD, rounded=way).of(image) for way in (False, True)
    ]
    first = [round(float(pixels[0, 0, 0, 0] * STD[0] + MEAN[0]) * 255) for pixels in both]
    assert first == [1, 2]
