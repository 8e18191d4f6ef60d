"""Tokens of two models behind the same prompts: how many agree, and the logits where they part."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import lwmport
from lwmport.cli.main import cli
from lwmport.errors import PortError
from lwmport.pipeline.evaluate.language.agreement import agreement


def call(*words: Any) -> Result:
    return CliRunner().invoke(cli, ["eval", "tokens", *(str(word) for word in words)])


def test_a_model_agrees_with_itself_by_another_runner(models: dict[str, Path]) -> None:
    found = agreement(a=models["model"], b=models["a"], prompts=2, new_tokens=5, against_runner="jax")
    assert (found.identical, found.smallest_gap) == (2, None)
    assert all(one.agreeing == one.new_tokens and one.difference is None for one in found.prompts)
    assert "JAX" in found.facts["models"]


def test_the_first_difference_and_its_gaps_are_those_of_the_sessions(models: dict[str, Path], tmp_path: Path) -> None:
    prompts = np.asarray([[1, 40, 50, 60], [0, 1, 70, 80]])
    np.savez(tmp_path / "p.npz", input_ids=prompts, attention_mask=np.asarray([[1, 1, 1, 1], [0, 1, 1, 1]]))
    found = agreement(a=models["a"], b=models["b"], text=tmp_path / "p.npz", new_tokens=8)
    assert [one.prompt_tokens for one in found.prompts] == [4, 3]
    one = found.prompts[0]
    assert one.difference is not None
    assert one.agreeing == one.difference.place < 8
    chosen, logits = [], {}
    for name in ("a", "b"):
        with lwmport.Session(models[name]) as session:
            last = session.prefill(prompts[:1])["logits"][0, -1]
            chosen = []
            while len(chosen) < one.agreeing:
                chosen.append(int(last.argmax()))
                last = session.step([[chosen[-1]]])["logits"][0, -1]
            logits[name] = last
    a, b = int(logits["a"].argmax()), int(logits["b"].argmax())
    assert (one.difference.a, one.difference.b) == (a, b)
    assert one.difference.a_gap == pytest.approx(float(logits["a"][a] - logits["a"][b]), rel=1e-4)
    assert one.difference.b_gap == pytest.approx(float(logits["b"][b] - logits["b"][a]), rel=1e-4)


def test_the_command_tells_both(models: dict[str, Path]) -> None:
    words = (models["model"], models["b"], "--prompts", 2, "--prompt-tokens", 8, "--new-tokens", 6)
    result = call(*words)
    assert result.exit_code == 0, result.output
    assert "logit gap" in result.stdout
    document = json.loads(call(*words, "--json").stdout)
    assert document["format"] == "lwmport-agreement/1"
    assert len(document["prompts"]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{a}", "{b}"], "expected a tokenizer for the text"),
        (["{model}", "{b}", "--mode", "song"], "mode"),
        (["{model}", "{model}", "--new-tokens", 4, "--prompt-tokens", 600], "expected at most 600 tokens"),
        (["{model}", "{model}", "--prompt-tokens", 60000], "expected at least 60000 tokens in alice.txt"),
        (["{model}", "{tokenizer}"], "expected"),
    ],
)
def test_what_cannot_be_compared_is_one_line(words: list[Any], said: str, models: dict[str, Path]) -> None:
    result = call(*(str(word).format(**models) for word in words))
    assert isinstance(result.exception, PortError), result.output
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)
