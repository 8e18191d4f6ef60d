"""A LLaVA and a MiniGPT-4 that run: the answers of LLaVA are those of transformers, token by token, without JAX."""

import base64
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import published
import pytest
from click.testing import CliRunner
from PIL import Image
from small_tokenizer import write_tokenizer

import lwmport
from lwmport.cli.main import cli
from lwmport.errors import PortError
from lwmport.generation.choosing import Choosing
from lwmport.generation.tokenizer import Tokenizer
from lwmport.generation.tokens import Prompt
from lwmport.models.options import Options
from lwmport.pipeline.assemble.package import open_package
from lwmport.pipeline.assemble.run import assemble
from lwmport.pipeline.talk.pictures import Pictures
from lwmport.pipeline.talk.talk import Talk

pytest.importorskip("tokenizers", reason="tokenizers is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[torch]'")
transformers = pytest.importorskip("transformers", reason="run: pip install 'lwmport[torch]'")

IMAGE, PATCHES, VOCABULARY, NEW = 259, 4, 300, 12
END = 2
GREEDY: dict[str, Any] = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": END, "pad_token_id": 0}
ANY: dict[str, Any] = {"format": "onnx", "batch": "dynamic", "validate": False}
PAIR: dict[str, Any] = {"format": "onnx", "dialect": "migraphx", "validate": False}
EMBEDS = Options(input_form="embeds")
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions. "
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spliced")


@pytest.fixture(scope="module")
def llava(root: Path) -> Any:
    """Return a seeded LLaVA of transformers; the folder ``llava`` holds it."""
    vision = {name: value for name, value in published.VISION.items() if name != "model_type"}
    text = {name: value for name, value in published.TEXT.items() if name not in {"model_type", "architectures"}}
    text |= {"vocab_size": VOCABULARY, "num_hidden_layers": 2, "max_position_embeddings": 1024}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = transformers.LlavaConfig(
            vision_config=transformers.CLIPVisionConfig(**vision),
            text_config=transformers.LlamaConfig(**text),
            image_token_index=IMAGE,
            vision_feature_layer=-2,
        )
        made = transformers.LlavaForConditionalGeneration(config).eval()
        torch.manual_seed(7)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.normal_(0, 0.6)
        made.save_pretrained(root / "llava")
    return made


@pytest.fixture(scope="module")
def parts(root: Path, llava: Any) -> dict[str, Path]:  # noqa: ARG001 - what writes the folder
    """Return folders of the parts: ``language`` of any length, ``pair`` of fixed ones, and the others."""
    given = {"checkpoint": str(root / "llava")}
    pair = Options(input_form="embeds", sequence=288, max_length=320)
    lwmport.convert(component="llama", out=root / "language", options=EMBEDS, **ANY, **given)
    lwmport.convert(component="llama", out=root / "pair", options=pair, **PAIR, **given)
    lwmport.convert(component="llama-embed", out=root / "embed", **ANY, **given)
    lwmport.convert(component="llama-embed", out=root / "embed-64", options=Options(sequence=64), **PAIR, **given)
    lwmport.convert(component="llava-image", out=root / "pictures", **ANY, **given)
    lwmport.convert(component="minigpt4-image", out=root / "minigpt4", config="debug", **ANY)
    names = ("language", "pair", "embed", "embed-64", "pictures", "minigpt4")
    return {**{name: root / name for name in names}, "tokenizer": write_tokenizer(root / "tokenizer")}


@pytest.fixture(scope="module")
def model(parts: dict[str, Path], root: Path) -> Path:
    words = [f"--{name}={parts[name]}" for name in ("language", "embed", "tokenizer")]
    result = CliRunner().invoke(cli, ["assemble", *words, f"--llava={parts['pictures']}", f"--out={root / 'model'}"])
    assert result.exit_code == 0, result.output
    return root / "model"


@pytest.fixture(scope="module")
def picture(root: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / "picture.png")
    return root / "picture.png"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list that tokens of answers go into."""
    found: list[int] = []

    def pieces(_: Tokenizer, tokens: Iterator[int]) -> Iterator[str]:
        for token in tokens:
            found.append(token)
            yield ""

    monkeypatch.setattr(Tokenizer, "pieces", pieces)
    return found


def ids_of(tokenizer: Path, text: str) -> list[int]:
    """Return the tokens of a text by transformers; a picture has as many as it has patches."""
    words = transformers.PreTrainedTokenizerFast(tokenizer_file=str(tokenizer / "tokenizer.json"))
    words.add_special_tokens({"additional_special_tokens": ["<image>"]})
    assert words.convert_tokens_to_ids("<image>") == IMAGE
    ids: list[int] = words(text.replace("<image>", "<image>" * PATCHES)).input_ids
    return ids


def transformers_answer(llava: Any, ids: list[int], picture: Path | None) -> list[int]:
    """Return the tokens that transformers generates, by its own pixels and model; the end left out."""
    given = {}
    if picture is not None:
        size = {"size": {"shortest_edge": published.SIDE}, "crop_size": published.SIDE, "do_pad": True}
        with Image.open(picture) as image:
            given = dict(transformers.LlavaImageProcessorPil(**size)(image, return_tensors="pt"))
    asked = torch.tensor([ids])
    with torch.no_grad():
        found = llava.generate(input_ids=asked, attention_mask=torch.ones_like(asked), **GREEDY, **given)
    return ended(found[0, len(ids) :].tolist())


def ended(tokens: list[int]) -> list[int]:
    """Return the tokens in front of the one that ends an answer."""
    return tokens[: tokens.index(END)] if END in tokens else tokens


@pytest.mark.parametrize("names", [("language", "embed"), ("pair", "embed-64")])
def test_an_answer_is_that_of_transformers(
    names: tuple[str, str], parts: dict[str, Path], llava: Any, picture: Path, said: list[int], tmp_path: Path
) -> None:
    language, embed = (parts[name] for name in names)
    folders = {name: parts[name] for name in ("pictures", "tokenizer")}
    package = assemble(language=language, embed=embed, **folders, out=tmp_path / "model")
    expected = []
    for place, text in ((picture, "<image>\nWhat is it?"), (None, "What is it?")):
        ids = ids_of(parts["tokenizer"], f"<s>{SYSTEM}USER: {text} ASSISTANT:")
        expected.append(transformers_answer(llava, ids, place))
        frames = [] if place is None else Pictures(package).codes([place])
        for seen in (frames, [-one for one in frames]):
            del said[:]
            with Talk(package) as talk:
                list(talk.ask("What is it?", seen, choosing=Choosing(), most=NEW))
            assert (said == expected[-1]) is (seen is frames or not frames), "other features, another answer"
    assert min(len(set(tokens)) for tokens in expected) > NEW // 3


def test_a_further_question_stands_behind_the_answer(
    model: Path, parts: dict[str, Path], llava: Any, picture: Path, said: list[int]
) -> None:
    package, tokenizer = open_package(model), parts["tokenizer"]
    with Talk(package) as talk:
        list(talk.ask("One?", Pictures(package).codes([picture]), choosing=Choosing(), most=3))
        first = said[:]
        del said[:]
        list(talk.ask("Two?", choosing=Choosing(), most=NEW))
    ids = ids_of(tokenizer, f"<s>{SYSTEM}USER: <image>\nOne? ASSISTANT:")
    ids += [*first, *ids_of(tokenizer, "</s>USER: Two? ASSISTANT:")]
    assert said == transformers_answer(llava, ids, picture)


def test_an_answer_of_minigpt4_is_that_of_transformers_on_the_same_embeddings(
    parts: dict[str, Path], llava: Any, picture: Path, said: list[int], tmp_path: Path
) -> None:
    folders = {name: parts[name] for name in ("language", "embed", "tokenizer")}
    package = assemble(pictures=parts["minigpt4"], **folders, out=tmp_path / "model")
    (features,) = Pictures(package).codes([picture])
    assert features.shape == (published.QUERIES, published.LANGUAGE)
    with Talk(package) as talk:
        list(talk.ask("Q?", [features], choosing=Choosing(), most=NEW))
    start = (
        "<s>Give the following image: <Img>ImageContent</Img>. You will be able to see the image once I provide it to "
        "you. Please answer my questions.###Human: <Img>"
    )
    with torch.no_grad():
        before, behind = (
            llava.get_input_embeddings()(torch.tensor([ids_of(parts["tokenizer"], text)]))
            for text in (start, "</Img> Q?###Assistant: ")
        )
        embeds = torch.cat([before, torch.tensor(features)[None], behind], dim=1)
        found = llava.generate(inputs_embeds=embeds, **GREEDY)
    assert said == ended(found[0].tolist())


SAID = "a cat###"


def scripted(session: Any, prompt: Prompt, _: Any, **_guesses: None) -> Iterator[Any]:
    """Feed a prompt, and yield the tokens of an answer that is made up."""
    run = session.step if prompt.goes_on else session.prefill
    given = (prompt.ids, prompt.codes) if prompt.goes_on else (prompt.ids, None, prompt.codes)
    PROMPTS.append(prompt)
    for token in Tokenizer(FOLDERS["tokenizer"]).encode(SAID, begins=False):
        run(*given)
        run, given = session.step, ([[token]], np.asarray([[False]]))
        yield np.asarray([token])


PROMPTS: list[Prompt] = []
FOLDERS: dict[str, Path] = {}


def test_minigpt4_ends_an_answer_and_begins_a_question_with_its_signs(
    parts: dict[str, Path], picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lwmport.pipeline.talk.talk.new_tokens", scripted)
    FOLDERS.update(parts)
    folders = {name: parts[name] for name in ("language", "embed", "tokenizer")}
    package = assemble(pictures=parts["minigpt4"], **folders, out=tmp_path / "model")
    with Talk(package) as talk:
        frames = Pictures(package).codes([picture])
        answers = ["".join(talk.ask("Q?", frames, choosing=Choosing(), most=9)) for _ in range(2)]
        assert answers == ["a cat", "a cat"]
        words = [talk.tokenizer.decode(prompt.ids[~prompt.codes].tolist()) for prompt in PROMPTS]
    assert words[0].startswith("Give the following image: <Img>ImageContent</Img>. You will be able")
    assert words[0].endswith("Please answer my questions.###Human: <Img></Img> Q?###Assistant: ")
    assert words[1] == "#Human: Q?###Assistant: ", "the last sign is the token that the session does not hold"
    assert PROMPTS[0].ids[PROMPTS[0].codes].tolist() == [0, 1, 2]


def test_the_command_answers_and_imports_no_jax(model: Path, picture: Path) -> None:
    words = ["chat", str(model), "What?", "--image", str(picture), "--new-tokens", "2", "--json"]
    code = (
        "import sys\nfrom lwmport.cli.main import cli\n"
        f"cli.main({words!r}, standalone_mode=False)\n"
        "assert not {name.partition('.')[0] for name in sys.modules} & {'jax', 'flax', 'tensorflow', 'torch'}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tokens"] in (1, 2)


def test_the_server_answers_as_the_talk_and_paints_nothing(model: Path, picture: Path) -> None:
    for name in ("fastapi", "uvicorn", "prometheus_client", "httpx"):
        pytest.importorskip(name, reason=f"{name} is not installed: pip install 'lwmport[serve]' httpx")
    from fastapi.testclient import TestClient

    from lwmport.pipeline.serve.run import Server, ServeRequest

    package = open_package(model)
    with Talk(package) as talk:
        frames = Pictures(package).codes([picture])
        text = "".join(talk.ask("What?", frames, choosing=Choosing(), most=6))
    url = f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What?"}]
    asked = {"messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": 6}
    server = Server(ServeRequest(model=model, port=0))
    server._socket.close()
    with TestClient(server.app, base_url="http://127.0.0.1") as client:
        found = client.post("/v1/chat/completions", json=asked).json()
        refused = client.post("/v1/images/generations", json={"prompt": "a cat"})
        facts = client.get("/health").json()
    assert found["choices"][0]["message"]["content"] == text
    assert (refused.status_code, facts["pictures"], facts["paints"]) == (400, True, False)
    assert "found one that only sees them" in refused.json()["error"]["message"]


@pytest.fixture(scope="module")
def others(root: Path) -> dict[str, Path]:
    """Return parts that fit no other: of other widths, of other kinds."""
    wide = ("text_hidden_size=24",)
    lwmport.convert(component="llava-image", out=root / "wide", config="debug", options=Options(settings=wide), **ANY)
    lwmport.convert(component="llava-projector", out=root / "projector", config="debug", **ANY)
    given = {"checkpoint": str(root / "llava")}
    lwmport.convert(component="llama", out=root / "ids", **ANY, **given)
    few = {"vocab_size": 280, "hidden_size": published.LANGUAGE, "intermediate_size": 24, "num_hidden_layers": 1,
           "num_attention_heads": 2, "scan_layers": False}  # fmt: skip
    lwmport.convert(component="llama-embed", out=root / "few", config=few, **ANY)
    return {name: root / name for name in ("wide", "projector", "ids", "few")}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--language {language} --pictures {wide} --embed {embed}", "expected one width of all embeddings"),
        ("--language {language} --pictures {pictures}", "expected --embed, the table of its embeddings"),
        ("--language {language} --embed {embed}", "expected --pictures, an image side, which says how it is asked"),
        ("--language {language} --pictures {projector} --embed {embed}",
         "expected a component of pixel_values to image_features"),
        ("--language {language} --pictures {pictures} --embed {ids}", "a component of input_ids to embeddings"),
        ("--language {pair} --pictures {pictures} --embed {few}", "expected 300 embeddings"),
        ("--language {language} --pictures {embed} --embed {embed}", "expected an image side, whose features"),
        ("--language {ids} --pictures {pictures}", "convert it with --inputs embeds"),
        ("--language {ids} --embed {embed}", "convert it with --inputs embeds"),
    ],
)  # fmt: skip
def test_parts_of_different_models_are_one_line(
    words: str, said: str, parts: dict[str, Path], others: dict[str, Path], tmp_path: Path
) -> None:
    named = [word.format(**parts, **others) for word in words.split()]
    given = [*named, "--tokenizer", str(parts["tokenizer"]), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(cli, ["assemble", *given])
    assert isinstance(result.exception, PortError)
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_a_model_that_only_sees_makes_no_pictures(model: Path, tmp_path: Path) -> None:
    words = ["generate", "image", str(model), "--prompt", "a cat", "--out", str(tmp_path / "cat.png")]
    for more in ([], ["--strict-codes"]):
        result = CliRunner().invoke(cli, [*words, *more])
        assert "expected a model that makes pictures" in str(result.exception)
