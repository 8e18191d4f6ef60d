"""LWM's own scripts are the truth: tests/data/lwm_scripts/README.md says how their tokens were made."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lwmport
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.errors import UsageError
from lwmport.generation.choosing import Choosing
from lwmport.generation.tokenizer import Tokenizer
from lwmport.generation.tokens import Prompt, Wish, new_tokens
from lwmport.models.llama.config import VisionLlamaConfig
from lwmport.models.llama.prompts import picture_prompts, vision_prompt
from lwmport.models.llama.weights import llama_weights
from lwmport.models.options import Options
from lwmport.pipeline.assemble.package import open_package
from lwmport.pipeline.assemble.run import assemble
from lwmport.pipeline.generate.tokens import own_draws
from lwmport.pipeline.observer import Silent
from lwmport.pipeline.session import Session
from lwmport.pipeline.talk.painter import Painter, Painting
from lwmport.pipeline.talk.pictures import Pictures
from lwmport.types import Array

pytest.importorskip("tokenizers", reason="tokenizers is not installed")

FOLDER = Path(__file__).parents[2] / "data" / "lwm_scripts"
TOKENIZER = FOLDER / "tokenizer"
PROMPT = ("input_ids", "attention_mask", "vision_masks")
END = 2
WORDS = 24
QUESTION, DESCRIPTION = "What is the video about?", "Fireworks over the city"
LONG = "A small boat on a wide, quiet lake; " * 8
PICTURE, FRAMES = 77, (0, 19)
RUNNERS = {"onnxruntime": "ort", "litert": "litert", "openvino": "openvino"}
"""Runner -> the dialect of what it is given. JAX compiles for too long here: test_generate_tokens.py holds it to ONNX
Runtime, and test_llama_against_lwm.py to LWM."""

SOME = 40
"""Of the 514 tokens of a video's later frames; ONNX Runtime makes all of them below."""


def load(name: str) -> dict[str, Array]:
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return dict(arrays)


CHAT, MADE = load("chat"), load("generation")


def codes(shade: int) -> Array:
    """What the tool gives for a frame of one shade."""
    words = np.random.Philox(key=shade).random_raw(256)
    return (words % 8192).astype(np.int64).reshape(16, 16)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return what converts LWM's weights to a dialect, once."""
    root = tmp_path_factory.mktemp("lwm")
    config, seed = json.loads(str(CHAT["config"])), int(CHAT["seed"])
    assert digest(config, seed) == str(CHAT["weights_sha256"]), "the seeding formula has changed: run the tool again"

    def convert(dialect: str) -> Path:
        out = root / dialect
        if not out.exists():
            form = "tflite" if dialect == "litert" else "onnx"
            lwmport.convert(
                component="vision-llama", format=form, dialect=dialect, config=config, seed=seed, out=out,
                batch="dynamic", validate=False, options=Options(sample_mode="all"),
            )  # fmt: skip
        return out

    return convert


def digest(config: dict[str, Any], seed: int) -> str:
    specs = llama_weights(VisionLlamaConfig.from_json(config))
    weights, found = SeededWeights(specs, seed), hashlib.sha256()
    for name in sorted(specs):
        found.update(name.encode())
        found.update(weights.read(name).astype("<f4").tobytes())
    return found.hexdigest()


@pytest.fixture
def generate(converted: Callable[[str], Path], tmp_path: Path) -> Callable[..., Array]:
    def run(runner: str, arrays: dict[str, Array], prefix: str, count: int, **fields: Any) -> Array:
        path = tmp_path / "p.npz"
        np.savez(path, **{name: arrays[f"{prefix}_{name}"] for name in PROMPT})
        asked = {"new_tokens": count, "runner": runner, "prompt": path, "out": tmp_path / "o.npz"}
        return lwmport.generate(model=converted(RUNNERS[runner]), **asked, **fields).tokens

    return run


@pytest.mark.parametrize("runner", RUNNERS)
def test_words_behind_a_padded_video_are_lwms(runner: str, generate: Callable[..., Array]) -> None:
    found = generate(runner, CHAT, "video", WORDS, stop=(END,))
    np.testing.assert_array_equal(found, CHAT["video_tokens"][:, :WORDS])
    assert len(np.unique(found)) > 10
    assert not CHAT["video_attention_mask"].all()


@pytest.mark.parametrize("runner", RUNNERS)
def test_guided_codes_of_a_video_are_lwms(runner: str, generate: Callable[..., Array]) -> None:
    found = generate(runner, MADE, "greedy_video", SOME, mode="vision", cfg_scale=2.0, temperature=1.0, top_k=1)
    np.testing.assert_array_equal(found, MADE["greedy_video_tokens"][:, :SOME])


def test_drawn_codes_are_lwms_and_its_second_call_draws_others(package: Any) -> None:
    draw, mode = own_draws(package.family, 1234), package.family.modes["vision"]
    with Session(package.language) as session:
        for step, guidance, top_k in (("image", 5.0, 8192), ("video", 1.0, 100)):
            ids, mask, seen = (MADE[f"drawn_{step}_{name}"] for name in PROMPT)
            choosing = Choosing(temperature=1.0, top_k=top_k)
            wish = Wish(count=SOME, mode=mode, guidance=guidance, choosing=choosing)
            found = list(new_tokens(session, Prompt(ids=ids, mask=mask, codes=seen), wish, draw))
            np.testing.assert_array_equal(np.stack(found, axis=1), MADE[f"drawn_{step}_tokens"][:, :SOME])


@pytest.fixture(scope="module")
def package(converted: Callable[[str], Path], parts: dict[str, Path]) -> Any:
    made = converted("ort")
    out = made.parent / "model"
    return open_package(assemble(language=made, pictures=parts["pictures"], tokenizer=TOKENIZER, out=out).folder)


@pytest.mark.parametrize(("name", "shades"), [("picture", (PICTURE,)), ("video", FRAMES)])
def test_an_answer_is_lwms_without_its_padding(name: str, shades: tuple[int, ...], package: Any) -> None:
    """The script fills its buffer up on the left; a talk does not, and stops where an answer ends."""
    tokenizer, mode = Tokenizer(TOKENIZER), package.family.modes["text"]
    written = vision_prompt(tokenizer.encode, QUESTION, [codes(shade) for shade in shades])
    tokens = CHAT[f"{name}_tokens"][0].tolist()
    expected = tokens[: tokens.index(END) + 1] if END in tokens else tokens
    wish = Wish(count=len(tokens), mode=mode, stop=frozenset({END}))
    with Session(package.language) as session:
        prompt = Prompt(ids=written.ids, codes=written.codes)
        assert [int(ids[0]) for ids in new_tokens(session, prompt, wish)] == expected
    assert tokenizer.decode(expected) == str(CHAT[f"{name}_answer"])


@pytest.mark.parametrize(
    ("name", "painting"),
    [
        ("greedy", Painting(prompt=DESCRIPTION, frames=3, cfg_scale=2.0, first_cfg_scale=5.0, top_k=1)),
        ("long", Painting(prompt=LONG, cfg_scale=5.0, top_k=1)),
    ],
)
def test_all_tokens_of_a_painting_are_lwms(name: str, painting: Painting, package: Any) -> None:
    with Session(package.language) as session:
        frames = Painter(package, painting, session, Pictures(package), Silent()).frames()
    steps = [MADE[f"{name}_{step}_tokens"][0] for step in ("image", "video") if f"{name}_{step}_tokens" in MADE]
    np.testing.assert_array_equal(frames.reshape(-1), np.concatenate(steps))


@pytest.mark.parametrize("own", [{"first_cfg_scale": 5.0}, {"first_temperature": 1.0}, {"first_top_k": 1}])
def test_a_picture_has_no_first_frame(own: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="expected a video for other numbers of its first frame, found a picture"):
        Painting(prompt="a cat", **own)
    with pytest.raises(UsageError, match="expected a temperature of 0 or more, found -1"):
        Painting(prompt="a cat", frames=2, first_temperature=-1.0)


@pytest.mark.parametrize(("name", "shades"), [("picture", (PICTURE,)), ("video", FRAMES)])
def test_a_question_is_written_as_lwm_writes_it(name: str, shades: tuple[int, ...]) -> None:
    written = vision_prompt(Tokenizer(TOKENIZER).encode, QUESTION, [codes(shade) for shade in shades])
    count = written.ids.shape[1]
    assert count == CHAT[f"{name}_attention_mask"].sum()
    np.testing.assert_array_equal(written.ids, CHAT[f"{name}_input_ids"][:, -count:])
    np.testing.assert_array_equal(written.codes, CHAT[f"{name}_vision_masks"][:, -count:])
    assert (written.ids[~written.codes] == 1).sum() == 5, "four parts begin so, and one is written out"


@pytest.mark.parametrize(
    ("name", "words", "what"),
    [
        ("greedy_image", DESCRIPTION, "an image"),
        ("greedy_video", DESCRIPTION, "a video"),
        ("drawn_video", DESCRIPTION, "a video"),
        ("long_image", LONG, "an image"),
    ],
)
def test_a_description_is_written_as_lwm_writes_it(name: str, words: str, what: str) -> None:
    tokenizer = Tokenizer(TOKENIZER)
    first = MADE[name.replace("video", "image") + "_tokens"][0] if "video" in name else None
    written = picture_prompts(tokenizer.encode, what, words, tokenizer.pad, first)
    found = (written.ids, written.mask, written.codes)
    for kind, array in zip(PROMPT, found, strict=True):
        np.testing.assert_array_equal(array, MADE[f"{name}_{kind}"], err_msg=kind)
