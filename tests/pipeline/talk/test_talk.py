"""A model that runs: assembled, asked about texts, pictures and videos, and painting; without JAX."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import lwmport
from lwmport import manifest
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.cli.main import cli
from lwmport.errors import PortError
from lwmport.generation.choosing import Choosing
from lwmport.models.llama.prompts import text_prompt, vision_prompt
from lwmport.pipeline.assemble.package import open_package
from lwmport.pipeline.assemble.run import assemble
from lwmport.pipeline.inspection import inspect
from lwmport.pipeline.talk.pictures import Pictures
from lwmport.pipeline.talk.talk import Talk

pytest.importorskip("tokenizers", reason="tokenizers is not installed")


@pytest.fixture(scope="module")
def picture(model: Path) -> Path:
    path = model.parent / "picture.png"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def call(*words: Any) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_a_model_holds_what_its_record_lists(model: Path, parts: dict[str, Path]) -> None:
    record = json.loads((model / "model.json").read_text())
    files = {path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file()}
    assert files == {*record["files"], "model.json"}
    assert record["verdicts"] == {"language": "not judged", "pictures": "not judged"}
    assert not any(path.is_symlink() for path in model.rglob("*"))
    before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    assemble(**parts, out=model)
    assert before == {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}


def test_an_answer_is_that_of_the_session_token_by_token(model: Path, picture: Path) -> None:
    package = open_package(model)
    frames = Pictures(package).codes([picture])
    assert [codes.shape for codes in frames] == [(16, 16)]
    with Talk(package) as talk:
        answer = "".join(talk.ask("What?", frames, choosing=Choosing(), most=6))
        written = vision_prompt(talk.tokenizer.encode, "What?", frames)
        session = lwmport.Session(model / "language")
        logits = session.prefill(written.ids, vision_masks=written.codes)["text_logits"]
        expected = []
        for _ in range(6):
            expected.append(int(logits[0, -1].argmax()))
            logits = session.step([[expected[-1]]], np.asarray([[False]]))["text_logits"]
        assert answer == talk.tokenizer.decode(expected)
        assert talk.answered is not None
        assert (talk.answered.prompt_tokens, talk.answered.tokens) == (written.ids.shape[1], 6)


def test_a_further_question_stands_behind_the_answer(model: Path) -> None:
    with Talk(open_package(model)) as talk:
        first = list(talk.ask("One?", choosing=Choosing(), most=4))
        held = talk.session.length
        list(talk.ask("Two?", choosing=Choosing(), most=4))
        count = talk.tokenizer.encode("USER: Two? ASSISTANT:")
        assert held == text_prompt(talk.tokenizer.encode, "One?").ids.shape[1] + 3
        assert (
            talk.session.length == held + 1 + 1 + len(count) + 3
        )  # the last token of the answer, its end, the question
        assert first


def test_a_draft_changes_no_answer_and_keeps_its_cache(model: Path, picture: Path) -> None:
    words = ["chat", str(model), "--new-tokens", "6", "--image", str(picture)]
    plain = CliRunner().invoke(cli, words, input="One?\nTwo?\n\n")
    drafted = CliRunner().invoke(cli, [*words, "--draft", str(model)], input="One?\nTwo?\n\n")
    assert drafted.exit_code == 0, drafted.output
    assert drafted.stdout == plain.stdout
    assert drafted.stderr.count("4 of 4 guessed tokens accepted, 3.00 tokens a run") == 2
    facts = json.loads(call(*words[:2], "One?", *words[2:], "--draft", model, "--json").stdout)
    assert facts["guessed"] == {"proposed": 4, "accepted": 4, "tokens_per_run": 3.0}


def test_the_command_answers_about_a_picture_and_in_a_talk(model: Path, picture: Path) -> None:
    result = call("chat", model, "What is it?", "--image", picture, "--new-tokens", 3, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["tokens"] == 3
    assert facts["prompt_tokens"] > 257
    talked = CliRunner().invoke(cli, ["chat", str(model), "--new-tokens", "2"], input="One?\nTwo?\n\n")
    assert talked.exit_code == 0, talked.output
    assert talked.stdout.count("> ") == 3


def test_a_picture_and_a_video_are_made_and_asked_about(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    drawn = ("--cfg-scale", 2, "--seed", 3, "--strict-codes", "--json")
    result = call("generate", "video", model, "--prompt", "a cat", "--frames", 2, "--out", tmp_path / "v.mp4", *drawn)
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    tokens = np.asarray(facts["tokens"])
    assert tokens.shape == (2, 257)
    assert (tokens[:, -1] == 8192).all()
    assert tokens[:, :-1].max() < 8192
    assert facts["strange_codes"] == 0
    picture = call("generate", "image", model, "--prompt", "a cat", "--out", tmp_path / "i.png", *drawn)
    assert picture.exit_code == 0, picture.output
    with Image.open(tmp_path / "i.png") as image:
        assert image.size == (32, 32)
    asked = call("chat", model, "What?", "--video", tmp_path / "v.mp4", "--new-tokens", 2, "--json")
    assert json.loads(asked.stdout)["prompt_tokens"] > 2 * 257


def test_no_jax_is_imported(model: Path, picture: Path, tmp_path: Path) -> None:
    paint = ["--prompt", "a", "--out"]
    words = [
        ["chat", str(model), "What?", "--image", str(picture), "--new-tokens", "2"],
        ["generate", "image", str(model), *paint, str(tmp_path / "a.png")],
        ["generate", "video", str(model), *paint, str(tmp_path / "a.mp4"), "--frames", "2"],
    ]
    code = (
        "import sys\nfrom lwmport.cli.main import cli\n"
        f"for words in {words!r}:\n    assert not cli.main(words, standalone_mode=False)\n"
        "assert not {name.partition('.')[0] for name in sys.modules} & {'jax', 'flax', 'tensorflow'}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chat", "{model}", "Q", "--image", "nothing.png"], "expected a picture at nothing.png"),
        (["chat", "{model}", "Q", "--image", "{text}"], "expected a picture at"),
        (["chat", "{model}", "Q", "--video", "{text}"], "expected a video at"),
        (["chat", "{model}", "Q", "--video", "{empty}"], "expected a video at"),
        (["chat", "{model}", "Q", "--video", "a", "--image", "b"], "expected a picture or a video, found both"),
        (["chat", "{model}", "Q", "--image", "{pipe}"], "it is a pipe or a device"),
        (["chat", "{model}", "Q", "--video", "{pipe}"], "it is a pipe or a device"),
        (["generate", "image", "{model}", "--prompt", "a", "--out", "mine.png"], "expected nothing at mine.png"),
        (["chat", "{model}", "--json"], "expected a question beside --json"),
        (["chat", "{model}", "Q", "--draft", "nowhere"], "nowhere"),
        (["chat", "{model}", "Q", "--draft", "{pictures}"], "expected a language model with its phases"),
        (["chat", "{model}", "Q", "--draft", "{model}", "--lookup", "2"], "expected lookup or a draft, found both"),
        (["chat", "{model}", "word " * 2000], "expected at most 1200 tokens"),
        (["chat", "{language}", "Q"], "'lwmport assemble' makes such a folder"),
        (["generate", "image", "{model}", "--prompt", "a", "--out", "a.mp4"], "expected a name that ends in .png"),
        (["generate", "video", "{model}", "--prompt", "a", "--out", "a.png"], "expected a name that ends in .mp4"),
        (["assemble", "--llama", "{pictures}", "--tokenizer", "{tokenizer}", "--out", "o"],
         "expected a whole language model"),
        (["assemble", "--llama", "{language}", "--vqgan", "{language}", "--tokenizer", "{tokenizer}", "--out", "o"],
         "expected a component of pixel_values to codebook_indices"),
        (["assemble", "--llama", "{language}", "--out", "o"],
         "expected --tokenizer DIR or --byte-tokenizer, found neither"),
        (["assemble", "--llama", "{language}", "--tokenizer", "{tokenizer}", "--byte-tokenizer", "--out", "o"],
         "expected --tokenizer DIR or --byte-tokenizer, found both"),
        (["assemble", "--llama", "{language}", "--tokenizer", "{pictures}", "--out", "o"],
         "expected tokenizer.json or tokenizer.model in"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(
    words: list[str], said: str, model: Path, parts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("no picture, no video")
    (tmp_path / "empty").touch()
    (tmp_path / "mine.png").write_text("the user's")
    os.mkfifo(tmp_path / "pipe")
    named = {**parts, "model": model, "text": "text", "empty": "empty", "pipe": "pipe"}
    result = call(*(word.format(**named) for word in words))
    assert isinstance(result.exception, PortError)
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "mine.png", "pipe", "text"]


def test_an_assembled_model_is_known_everywhere(model: Path) -> None:
    told = inspect(str(model))
    assert told.kind == "a model that 'lwmport assemble' made"
    assert told.facts["verdict"].startswith("language ")
    with pytest.raises(PortError, match=r"name .*language, the model inside"):
        manifest.read(model)
    with pytest.raises(PortError, match="name the checkpoint that they were made of"):
        open_checkpoint(model)


def test_an_answer_ends_where_the_model_has_no_room(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Talk(open_package(model)) as talk:
        list(talk.ask("What?", choosing=Choosing(), most=2))
        assert talk.answered
        assert not talk.answered.full
        prompt = talk.answered.prompt_tokens
        monkeypatch.setattr(type(talk.session), "limit", property(lambda _: prompt + 3))
        talk.session.reset()
        list(talk.ask("What?", choosing=Choosing(), most=10))
        assert (talk.answered.tokens, talk.answered.full) == (4, True)


def test_a_part_that_is_not_as_it_was_converted_is_refused(parts: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(parts["language"], tmp_path / "cut")
    large = max(folder.iterdir(), key=lambda path: path.stat().st_size)
    large.write_bytes(large.read_bytes()[:-8])
    with pytest.raises(PortError, match=f"expected .*{large.name} as it was converted, found other bytes"):
        assemble(language=folder, tokenizer=parts["tokenizer"], out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_part_that_failed_is_told_by_the_exit_code(parts: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(parts["language"], tmp_path / "failed")
    manifest.write(replace(manifest.read(folder), verdict="failed"), folder)
    words = ["assemble", f"--llama={folder}", "--byte-tokenizer", f"--out={tmp_path / 'model'}"]
    made = CliRunner().invoke(cli, words, standalone_mode=False)
    assert made.return_value == 1
    assert "language failed" in made.stdout
    assert open_package(tmp_path / "model").record.verdicts == {"language": "failed"}


@pytest.mark.parametrize("damage", ["small", "newer", "size", "gone"])
def test_a_model_that_was_edited_in_place_is_not_talked_to(
    damage: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(model, tmp_path / "model")
    file = folder / ("tokenizer/tokenizer.json" if damage == "small" else "language/vision-llama.onnx.data")
    if damage != "small":
        monkeypatch.setattr("lwmport.pipeline.assemble.untouched.SMALL", 1000)
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content[:-8] if damage == "size" else content)
    os.utime(file, None if damage == "newer" else (0, 0))
    if damage == "gone":
        file.unlink()
    result = call("chat", folder, "What?", "--new-tokens", 1)
    assert f"expected {file}" in str(result.exception)


def test_tokens_are_continued_by_an_assembled_model_too(model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", input_ids=[[1, 5]], vision_masks=[[False, False]])
    words = ["--prompt", tmp_path / "p.npz", "--new-tokens", 3]
    for name, folder in {"a": model, "b": model / "language"}.items():
        assert call("generate", "tokens", folder, *words, "--out", tmp_path / f"{name}.npz").exit_code == 0
    assert np.array_equal(np.load(tmp_path / "a.npz")["tokens"], np.load(tmp_path / "b.npz")["tokens"])


def test_a_model_for_trials_brings_its_own_tokenizer(parts: dict[str, Path], tmp_path: Path) -> None:
    made = call("assemble", "--llama", parts["language"], "--byte-tokenizer", "--out", tmp_path / "model")
    assert made.exit_code == 0, made.output
    asked = call("chat", tmp_path / "model", "What?", "--new-tokens", 2, "--json")
    assert json.loads(asked.stdout)["prompt_tokens"] > len("What?")


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("converted before all was checked")


def large_tokenizer(parts: dict[str, Path], out: Path) -> Path:
    """Return the folder of a tokenizer with 309 tokens."""
    folder = shutil.copytree(parts["tokenizer"], out)
    known = json.loads((folder / "tokenizer.json").read_text())
    known["model"]["vocab"] |= {f"word{number}": 259 + number for number in range(50)}
    (folder / "tokenizer.json").write_text(json.dumps(known))
    return folder


def test_checkpoints_are_converted_on_the_way(
    parts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, component in {"language": "vision-llama", "pictures": "vqgan"}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(manifest.read(parts[name]).config))
        words = ["--component", component, "--config", tmp_path / f"{name}.json", "--out", tmp_path / f"{name}.bin"]
        assert call("checkpoint", "make", *words).exit_code == 0
    told = [f"--load_checkpoint=params::{tmp_path}/language.bin", f"--vqgan_checkpoint={tmp_path}/pictures.bin"]
    configs = ["--config", tmp_path / "language.json", "--pictures-config", tmp_path / "pictures.json"]
    own = ["--update_llama_config=dict(theta=20000)", "--byte-tokenizer", "--no-validate"]
    (tmp_path / ".model.pictures").mkdir()
    (tmp_path / ".model.pictures" / "mine.txt").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr("lwmport.pipeline.assemble.making.convert", never)
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "model.json").write_text("mine")
        found = call("assemble", *told, *configs, *own, "--out", tmp_path / "mine")
        assert "model.json" in str(found.exception), "before hours of conversion"
        patch.setattr("lwmport.generation.byte_tokenizer.write", lambda _: large_tokenizer(parts, tmp_path / "large"))
        found = call("assemble", *told, *configs, *own, "--out", tmp_path / "model")
        assert "expected at most 300 tokens in " in str(found.exception)
    made = call("assemble", *told, *configs, *own, "--out", tmp_path / "model")
    assert made.exit_code == 0, made.output
    language = manifest.read(tmp_path / "model" / "language")
    assert (language.config["theta"], language.config["sample_mode"]) == (20000, "all")
    assert open_package(tmp_path / "model").painting
    left = [path.relative_to(tmp_path).as_posix() for path in tmp_path.glob(".model*/*")]
    assert left == [".model.pictures/mine.txt"], "what was converted on the way is gone, and nothing else"
    assert not (tmp_path / ".model.language").exists()
    found = call("assemble", "--language", tmp_path / "pictures.bin", "--byte-tokenizer", "--out", tmp_path / "no")
    assert "expected a language model in " in str(found.exception)
    found = call("assemble", "--llama", tmp_path / "model/language", *own[1:], "--out", tmp_path / "no")
    assert "expected words on how to convert beside a checkpoint alone" in str(found.exception)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(parts: dict[str, Path], tmp_path: Path) -> None:
    folder = large_tokenizer(parts, tmp_path / "tokenizer")
    with pytest.raises(PortError, match=r"expected at most 300 tokens in .*, found 309"):
        assemble(language=parts["language"], tokenizer=folder, out=tmp_path / "out")
