"""Raw generation from files: the same tokens on every runner, guided, forced and drawn; bad prompts are one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import lwmport
from lwmport.cli.main import cli
from lwmport.errors import ArtifactError, PortError, UsageError
from lwmport.models.options import Options
from lwmport.types import Array

CONFIG = {
    "vocab_size": 48, "vision_vocab_size": 8448, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
    "num_attention_heads": 2, "max_sequence_length": 640, "scan_layers": False, "initializer_range": 0.5,
}  # fmt: skip
LLAMA = {name: value for name, value in CONFIG.items() if name != "vision_vocab_size"}
ROWS, TOKENS = 4, 9
CHOICES: dict[str, dict[str, Any]] = {
    "greedy words": {"new_tokens": 5},
    "guided codes": {"new_tokens": 5, "mode": "vision", "cfg_scale": 3.0, "top_k": 1},
    "drawn codes": {
        "new_tokens": 5, "mode": "vision", "cfg_scale": 2.0, "temperature": 0.7, "top_k": 60, "top_p": 0.9, "seed": 3
    },
    "LWM's draws": {"new_tokens": 5, "mode": "vision", "temperature": 1.0, "seed": 3, "own_random": True},
}  # fmt: skip
Generate = Callable[..., Array]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("generate") / "model"
    asked = lwmport.ConvertRequest(
        component="vision-llama",
        format="onnx",
        out=out,
        config=CONFIG,
        batch="dynamic",
        validate=False,
        options=Options(sample_mode="all"),
    )
    lwmport.convert(asked)
    return out


@pytest.fixture(scope="module")
def prompt(model: Path) -> Path:
    random = np.random.default_rng(0)
    mask = np.ones((ROWS, TOKENS), np.int64)
    mask[2:, :5] = 0
    path = model.parent / "prompt.npz"
    codes = np.zeros((ROWS, TOKENS), bool)
    np.savez(path, input_ids=random.integers(3, 48, (ROWS, TOKENS)), attention_mask=mask, vision_masks=codes)
    return path


@pytest.fixture
def generate(model: Path, prompt: Path, tmp_path: Path) -> Generate:
    def run(**fields: Any) -> Array:
        out = tmp_path / "out.npz"
        found = lwmport.generate(model=model, prompt=prompt, out=out, **fields)
        with np.load(out) as arrays:
            assert arrays["tokens"].dtype == np.int64
            assert np.array_equal(arrays["tokens"], found.tokens)
        return found.tokens

    return run


@pytest.mark.parametrize("choice", CHOICES)
def test_the_runtime_gives_the_tokens_of_the_reference(choice: str, generate: Generate) -> None:
    found = generate(**CHOICES[choice])
    assert found.shape == (ROWS, 5)
    assert np.array_equal(found, generate(**CHOICES[choice], runner="jax"))
    assert len(np.unique(found)) > 2


def test_both_halves_of_a_guided_batch_get_the_same_codes_and_frames_end(generate: Generate) -> None:
    found = generate(new_tokens=514, mode="vision", cfg_scale=2.0, top_k=1)
    assert np.array_equal(*np.split(found, 2))
    assert (found[:, 256] == 8192).all()
    assert (found[:, 513] == 8192).all()


def test_another_seed_gives_other_tokens_and_chunks_the_same(generate: Generate) -> None:
    drawn = {"new_tokens": 5, "temperature": 1.0}
    first = generate(**drawn)
    assert not np.array_equal(first, generate(**drawn, seed=1))
    assert np.array_equal(first, generate(**drawn, chunk=4))


def test_tokens_that_are_looked_up_are_the_same(model: Path, tmp_path: Path) -> None:
    said = np.tile(np.arange(3, 9), 4)[None]
    np.savez(tmp_path / "p.npz", input_ids=said, vision_masks=np.zeros(said.shape, bool))
    asked = {"model": model, "prompt": tmp_path / "p.npz", "out": tmp_path / "o.npz"}
    for choice in ({"new_tokens": 40}, {"new_tokens": 40, "temperature": 0.3, "seed": 2}):
        found = lwmport.generate(**asked, **choice).tokens
        assert np.array_equal(found, lwmport.generate(**asked, **choice, lookup=6).tokens)
    reference = lwmport.generate(**asked, new_tokens=8, lookup=1, runner="jax").tokens
    assert np.array_equal(reference, lwmport.generate(**asked, new_tokens=8).tokens)


@pytest.fixture(scope="module")
def narrower(model: Path) -> Callable[..., Path]:
    """Return what converts a narrower model of the same vocabulary, but for what is told."""

    def convert(name: str, **fields: int) -> Path:
        asked = lwmport.ConvertRequest(
            component="vision-llama",
            format="onnx",
            out=model.parent / name,
            config={**CONFIG, "hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 1, **fields},
            validate=False,
            options=Options(sample_mode="all"),
        )
        lwmport.convert(asked)
        return asked.out

    return convert


@pytest.fixture(scope="module")
def draft(narrower: Callable[..., Path]) -> Path:
    return narrower("draft")


def test_tokens_that_a_draft_proposes_are_the_same(model: Path, draft: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", input_ids=np.arange(3, 12)[None], vision_masks=np.zeros((1, 9), bool))
    asked = {"model": model, "prompt": tmp_path / "p.npz", "out": tmp_path / "o.npz", "new_tokens": 7}
    drawn = {"temperature": 0.6, "seed": 2}
    for choice in ({}, drawn, {"mode": "vision", **drawn}):
        found = lwmport.generate(**asked, **choice).tokens
        for folder in (draft, model):
            made = lwmport.generate(**asked, **choice, draft=folder, draft_tokens=2)
            assert np.array_equal(found, made.tokens)
            assert made.guessed is not None
            right, count = made.guessed.accepted, made.guessed.proposed
            assert right == count == 4 if folder == model else right < count  # the model is its own draft
    reference = lwmport.generate(**asked, **drawn, draft=model, draft_tokens=1, runner="jax")
    assert np.array_equal(reference.tokens, lwmport.generate(**asked, **drawn).tokens)
    assert reference.guessed is not None
    assert reference.guessed.accepted == 3


def test_a_draft_with_other_codes_is_refused_before_the_first_token(
    model: Path, narrower: Callable[..., Path], tmp_path: Path
) -> None:
    np.savez(tmp_path / "p.npz", input_ids=[[3, 4]], vision_masks=np.zeros((1, 2), bool))
    few = narrower("few", vision_vocab_size=CONFIG["vision_vocab_size"] // 2)
    with pytest.raises(UsageError, match=r"a draft that takes the model's ids, up to \d+, in .*few, found one"):
        lwmport.generate(model=model, prompt=tmp_path / "p.npz", out=tmp_path / "o.npz", new_tokens=2, draft=few)


def test_a_draft_of_another_vocabulary_is_refused(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    asked = lwmport.ConvertRequest(
        component="llama", format="onnx", out=other, config={**LLAMA, "vocab_size": 64}, validate=False
    )
    lwmport.convert(asked)
    np.savez(tmp_path / "p.npz", input_ids=[[3, 4]], vision_masks=np.zeros((1, 2), bool))
    fields = {"model": model, "prompt": tmp_path / "p.npz", "out": tmp_path / "o.npz", "new_tokens": 2}
    with pytest.raises(
        UsageError, match=r"a draft with the model's vocabulary of 48 tokens in .*other, found one of 64"
    ):
        lwmport.generate(**fields, draft=other)
    with pytest.raises(UsageError, match=r"a draft that makes codes in .*other, found one of text"):
        lwmport.generate(**fields, draft=other, mode="vision")
    with pytest.raises(UsageError, match="expected lookup or a draft, found both"):
        lwmport.generate(**fields, draft=other, lookup=2)
    with pytest.raises(UsageError, match="expected a draft beside 9 tokens of it, found none"):
        lwmport.generate(**fields, draft_tokens=9)
    assert not (tmp_path / "o.npz").exists()


def test_the_command_tells_what_it_wrote(model: Path, prompt: Path, tmp_path: Path) -> None:
    words = ["generate", "tokens", str(model), "--prompt", str(prompt), "--new-tokens", "3", "--json"]
    result = CliRunner().invoke(cli, [*words, "--out", str(tmp_path / "o.npz"), "--stop", "5"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["rows"], facts["tokens"], facts["runner"]) == (ROWS, 3, "ONNX Runtime")
    assert "guessed" not in facts


@pytest.mark.parametrize(
    ("arrays", "fields", "kind", "said"),
    [
        ({"ids": np.ones((1, 3), int)}, {}, UsageError, "expected input_ids, .* found ids"),
        ({"input_ids": np.ones((1, 3), int)}, {}, UsageError, "expected vision_masks beside the ids"),
        ({"input_ids": np.ones((1, 3))}, {}, UsageError, "expected input_ids as integers"),
        ({"input_ids": np.ones(3, int)}, {}, UsageError, "expected input_ids as integers"),
        ({}, {"out": "p.npz"}, UsageError, "expected nothing at .*p.npz, or what this command wrote"),
        ({}, {"new_tokens": 700}, UsageError, "expected at most 640 tokens"),
        ({}, {"cfg_scale": 2.0, "rows": 3}, UsageError, "expected an even number of rows with guidance"),
        ({}, {"mode": "visions"}, UsageError, "mode out of .*vision.*found 'visions'"),
        ({}, {"new_tokens": 0}, UsageError, "expected at least 1 new token, found 0"),
        ({}, {"cfg_scale": float("nan")}, UsageError, r"expected a finite number as guidance \(cfg_scale\), found nan"),
        ({}, {"stop": (2, -1)}, UsageError, "expected numbers of tokens as stop, found -1"),
        ({}, {"out": Path("o.txt")}, UsageError, "expected a name that ends in .npz"),
        ({}, {"model": Path("nowhere")}, ArtifactError, "nowhere"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_and_nothing_is_written(
    arrays: dict[str, Array], fields: dict[str, Any], kind: type[PortError], said: str, model: Path, tmp_path: Path
) -> None:
    rows = fields.pop("rows", 2)
    usual = {"input_ids": np.ones((rows, 3), int), "vision_masks": np.zeros((rows, 3), bool)}
    np.savez(tmp_path / "p.npz", **(arrays or usual))
    asked = {"model": model, "prompt": tmp_path / "p.npz", "out": tmp_path / "o.npz", "new_tokens": 2, **fields}
    asked["out"] = tmp_path / asked["out"] if asked["out"] == "p.npz" else asked["out"]
    with pytest.raises(kind, match=said) as caught:
        lwmport.generate(**asked)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["p.npz"]
