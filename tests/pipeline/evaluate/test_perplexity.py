"""Perplexity, and what ``llama-perplexity --kl-divergence`` prints, of tiny models, beside numbers made by hand."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from language_config import CONFIG

import lwmport
from lwmport.cli.main import cli
from lwmport.errors import PortError
from lwmport.models.options import Options
from lwmport.pipeline.evaluate.language.perplexity import perplexity

pytest.importorskip("tokenizers", reason="tokenizers is not installed")

TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness."


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def call(*words: Any) -> Result:
    return CliRunner().invoke(cli, ["eval", "perplexity", *(str(word) for word in words)])


def log_softmax(logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    wide = logits.astype(np.float64)
    return wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True))


def test_the_second_half_of_each_window_counts_behind_the_first_token_of_texts(
    models: dict[str, Path], text: Path
) -> None:
    found = perplexity(model=models["model"], text=text, context=32, chunk=5)
    ids = np.asarray([1, *(byte_token(one) for one in TEXT.encode())])
    assert (found.tokens, found.windows, found.positions) == (len(ids), len(ids) // 32, len(ids) // 32 * 15)
    losses = []
    with lwmport.Session(models["a"]) as session:
        for start in range(0, len(ids) // 32 * 32, 32):
            window = np.concatenate([[1], ids[start + 1 : start + 32]])
            logits = log_softmax(session.prefill(window[None], keep=None)["logits"][0])
            losses += [-logits[place, window[place + 1]] for place in range(16, 31)]
    assert found.perplexity.value == pytest.approx(math.exp(np.mean(losses)), rel=1e-5)
    error = math.exp(np.mean(losses)) * np.std(losses) / math.sqrt(len(losses) - 1)
    assert found.perplexity.error == pytest.approx(error, rel=1e-4)


def byte_token(byte: int) -> int:
    from tokenizers import pre_tokenizers

    from lwmport.generation.byte_tokenizer import SPECIAL

    printable = chr(byte) if 33 <= byte <= 126 else chr(256 + byte)
    return len(SPECIAL) + sorted(pre_tokenizers.ByteLevel.alphabet()).index(printable)


def test_a_stride_counts_every_token_behind_the_first_window_once(models: dict[str, Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", input_ids=np.arange(10, 90)[None])
    found = perplexity(model=models["a"], text=tmp_path / "t.npz", context=30, stride=10)
    assert (found.windows, found.positions, found.stride) == (6, 60, 10)


def test_beside_itself_a_model_is_at_no_distance(models: dict[str, Path], text: Path) -> None:
    found = perplexity(model=models["model"], against=models["a"], text=text, context=32, windows=2)
    beside = found.comparison
    assert beside is not None
    assert (beside.ratio.value, beside.ratio.error, beside.kl.largest, beside.same_top.value) == (1.0, 0.0, 0.0, 1.0)
    assert beside.greedy == 15.0
    assert beside.correlation == pytest.approx(1.0)


def test_the_numbers_beside_a_reference(models: dict[str, Path], text: Path) -> None:
    found = perplexity(model=models["b"], against=models["model"], text=text, tokenizer=models["tokenizer"], context=24)
    beside = found.comparison
    assert beside is not None
    assert beside.ratio.value == pytest.approx(found.perplexity.value / beside.reference.value)
    assert beside.difference.value == pytest.approx(found.perplexity.value - beside.reference.value)
    assert 0 < beside.kl.smallest < beside.kl.median < beside.kl.quantiles["0.99"] <= beside.kl.largest
    assert beside.same_top.value < 0.5
    assert beside.greedy < 5
    rounded = perplexity(
        model=models["half"], against=models["model"], text=text, tokenizer=models["tokenizer"], context=24
    )
    assert rounded.comparison is not None
    assert 0 < rounded.comparison.kl.mean.value < 1e-4 < beside.kl.mean.value


def test_the_command_tells_what_llama_perplexity_tells(models: dict[str, Path]) -> None:
    words = (models["model"], "--against", models["half"], "--context", 16, "--windows", 3)
    result = call(*words)
    assert result.exit_code == 0, result.output
    for name in (
        "Mean PPL(Q)",
        "Cor(ln(PPL(Q)), ln(PPL(base)))",
        "99.9 % KLD",
        "Median KLD",
        "Same top p",
        "alice.txt",
    ):
        assert name in result.stdout
    document = json.loads(call(*words, "--json").stdout)
    assert document["format"] == "lwmport-perplexity/1"
    assert document["context"] == 16
    assert document["positions"] == 3 * 7
    folders = f"{models['model']} --against {models['half']}"
    assert document["facts"]["command"] == f"lwmport eval perplexity {folders} --context 16 --windows 3"


def test_a_model_of_fixed_sizes_gives_the_same(models: dict[str, Path], text: Path, tmp_path: Path) -> None:
    fixed = Options(static=True, sequence=8, max_length=40)
    lwmport.convert(
        component="llama", format="onnx", validate=False, out=tmp_path / "fixed", config=CONFIG, options=fixed, batch=2
    )
    asked: dict[str, Any] = {"text": text, "tokenizer": models["tokenizer"], "context": 30}
    found = perplexity(model=tmp_path / "fixed", against=models["a"], **asked)
    assert found.comparison is not None
    assert found.comparison.kl.largest < 1e-9
    with pytest.raises(PortError, match="expected a context of at most 40 tokens, as many as the model takes"):
        perplexity(model=tmp_path / "fixed", **{**asked, "context": 41})


def test_runners_agree_and_no_jax_is_imported(models: dict[str, Path], text: Path) -> None:
    words = ["eval", "perplexity", str(models["model"]), "--text", str(text), "--context", "32", "--json"]
    code = (
        "import sys\nfrom lwmport.cli.main import cli\n"
        f"cli.main({words!r}, standalone_mode=False)\n"
        "assert not {name.partition('.')[0] for name in sys.modules} & {'jax', 'flax', 'tensorflow'}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["perplexity"]["value"]
    reference = perplexity(model=models["model"], text=text, context=32, runner="jax")
    assert reference.perplexity.value == pytest.approx(found, rel=1e-5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{model}", "--text", "nothing.txt"], "expected a text at nothing.txt, found: No such file or directory"),
        (["{model}", "--text", "latin"], "expected UTF-8 in latin, found another byte at 3"),
        (["{model}", "--text", "short"], "expected at least 512 tokens in short, found 4"),
        (["{model}", "--text", "lines.jsonl"], "lines.jsonl, line 1: expected some text, or input_ids"),
        (["{model}", "--context", 601], "expected a context of at most 600 tokens"),
        (["{model}", "--context", 2], "expected a context of at least 4 tokens, found 2"),
        (["{model}", "--context", 32, "--stride", 31], "expected a stride from 1 to 30"),
        (["{a}"], "expected a tokenizer for the text, found none beside"),
        (["{tokenizer}"], "expected"),
        (["{model}", "--against-runner", "onnxruntime"], "expected a reference beside its runner"),
        (["{model}", "--text", "large.npz", "--context", 8], "expected"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: list[Any], said: str, models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    (tmp_path / "short").write_text("abc")
    (tmp_path / "lines.jsonl").write_text('{"input_ids": "abc"}\n')
    np.savez(tmp_path / "large.npz", input_ids=np.full((1, 8), 4000))
    result = call(*(str(word).format(**models) for word in words))
    assert isinstance(result.exception, PortError), result.output
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)
