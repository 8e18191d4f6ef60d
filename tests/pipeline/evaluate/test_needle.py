"""The needle test: where needles go, what is asked, what is right, and a run that goes on with an earlier one."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lwmport.cli.main import cli
from lwmport.errors import PortError, UsageError
from lwmport.generation.tokenizer import Tokenizer
from lwmport.models.llama.prompts import PROMPTS
from lwmport.pipeline.evaluate.needle import run
from lwmport.pipeline.evaluate.needle.haystack import read_haystack
from lwmport.pipeline.evaluate.needle.request import NeedleRequest
from lwmport.pipeline.evaluate.needle.run import needle
from lwmport.pipeline.evaluate.needle.trial import trial

SENTENCES = "".join(f"This is sentence {number}. " for number in range(200))


@pytest.fixture(scope="module")
def tokenizer(models: dict[str, Path]) -> Tokenizer:
    return Tokenizer(models["tokenizer"])


@pytest.fixture
def haystack(tmp_path: Path) -> Path:
    path = tmp_path / "haystack.jsonl"
    path.write_text("".join(json.dumps({"text": SENTENCES[start : start + 500]}) + "\n" for start in (0, 500, 1000)))
    return path


def call(*words: Any) -> Result:
    return CliRunner().invoke(cli, ["eval", "needle", *(str(word) for word in words)])


def test_texts_are_joined_until_there_is_enough(tokenizer: Tokenizer, haystack: Path) -> None:
    found = read_haystack(haystack, tokenizer, 600)
    assert tokenizer.decode(found.ids) == SENTENCES[:1000]
    assert found.name == "haystack.jsonl"


@pytest.mark.parametrize("depth", [0, 50, 100])
def test_a_needle_stands_behind_a_full_stop_at_its_depth(tokenizer: Tokenizer, depth: int) -> None:
    ids = tokenizer.encode(SENTENCES, begins=False)
    one = trial(tokenizer, ids, 1000, depth, (1, 1), 7)
    before, _, rest = one.context.partition("\nThe special magic ")
    after = rest.partition("\n")[2]
    assert rest.partition("\n")[0].endswith(f" number is: {one.numbers[0]}")
    assert before + after == SENTENCES[: len(before + after)]
    assert len(tokenizer.encode(one.context, begins=False)) == 1000 - 200
    assert before == "" if depth == 0 else before.endswith(".") or depth == 100
    assert abs(len(before) - depth / 100 * len(before + after)) < len("This is sentence 10. ")
    assert one.question == f"What is the special magic {rest.split()[0]} number?"
    assert one == trial(tokenizer, ids, 1000, depth, (1, 1), 7) != trial(tokenizer, ids, 1000, depth, (1, 1), 8)


def test_of_several_needles_the_first_ones_are_asked_for(tokenizer: Tokenizer) -> None:
    one = trial(tokenizer, tokenizer.encode(SENTENCES, begins=False), 1500, 30, (4, 3), 7)
    cities = one.question.removeprefix("What are the special magic numbers for ").removesuffix("?")
    names = cities.replace(", and ", ", ").split(", ")
    assert cities == f"{names[0]}, {names[1]}, and {names[2]}"
    for city, number in zip(names, one.numbers, strict=True):
        assert f"\nThe special magic {city} number is: {number}\n" in one.context
    assert one.context.count("The special magic") == 4


def test_the_prompt_is_that_of_the_script(tokenizer: Tokenizer) -> None:
    written = PROMPTS.document(tokenizer.encode, "A text.", "What?")
    assert tokenizer.decode(written.ids[0].tolist()) == (
        "You are a helpful assistant. USER: A text. What? Don't give information outside the document or repeat your "
        "findings. Keep your response short and direct. ASSISTANT: "
    )
    assert written.ids[0, 0] == 1


def test_a_run_goes_on_with_the_trials_that_are_missing(
    models: dict[str, Path], haystack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {
        "model": models["model"], "haystack": haystack, "lengths": (400, 480, 2), "depths": 2, "new_tokens": 2,
        "out": tmp_path / "out",
    }  # fmt: skip
    first = needle(rounds=1, **asked)
    assert [row.key for row in first.results] == [(a, b, 1234) for a in (400, 480) for b in (0, 100)]
    made = []
    own = run.trial

    def counted(*given: Any) -> Any:
        made.append(given)
        return own(*given)

    monkeypatch.setattr(run, "trial", counted)
    second = needle(rounds=2, **asked)
    assert second.results[:4] == first.results
    assert len(second.results) == 8
    assert len(made) == 1 + 4
    third = needle(rounds=1, **asked | {"lengths": (520, 520, 1), "depths": 1})
    assert (third.lengths, third.depths, len(third.results)) == ((400, 480, 520), (0, 100), 9)
    rows = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(rows[0]) == {"context_length", "depth_percent", "response", "answer", "correct", "seed"}
    assert rows[0]["correct"] is False
    with pytest.raises(UsageError, match="found one with another new tokens; name another --out"):
        needle(rounds=2, **asked | {"new_tokens": 3})


def test_an_answer_with_the_number_is_right(
    models: dict[str, Path], haystack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: Tokenizer
) -> None:
    """The model is one that repeats the last number that it read."""

    def repeats(_: Any, prompt: Any, __: Any) -> Any:
        text = tokenizer.decode(prompt.ids[0].tolist())
        said = [part.partition("\n")[0] for part in text.split(" number is: ")[1:]][-1]
        return iter([[token] for token in tokenizer.encode(said, begins=False)])

    monkeypatch.setattr(run, "new_tokens", repeats)
    out = tmp_path / "out"
    words = (
        models["model"],
        "--haystack",
        haystack,
        "--lengths",
        "500,500,1",
        "--depths",
        1,
        "--rounds",
        1,
        "--out",
        out,
    )
    result = call(*words, "--needles", "2,2")
    assert result.exit_code == 0, result.output
    (row,) = json.loads((out / "results.json").read_text())
    assert sorted(row["correct"]) == [False, True]
    assert row["response"] in row["answer"]
    page = (out / "needle.html").read_text()
    assert '<td class="h5">50 %</td>' in page
    assert "the model&#39;s own tokenizer" in page
    assert "50 %" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lengths", "400,5000,2"], "expected at least 5,000 tokens in haystack.jsonl"),
        (["--lengths", "400,700,2"], "expected contexts of at most 600 tokens"),
        (["--lengths", "100,500,2"], "expected a context of more than"),
        (["--lengths", "500,400,2"], "expected lengths as SHORTEST,LONGEST,COUNT"),
        (["--needles", "1,2", "--lengths", "400,400,1"], "expected needles as TOTAL,ASKED"),
        (["--haystack", "none.jsonl"], "expected a text at none.jsonl"),
        (["--haystack", "other.jsonl"], 'other.jsonl, line 1: expected {"text": "..."}'),
        (["--lengths", "400,400,1", "--out", "taken"], "or what 'lwmport eval needle' wrote, found something else"),
    ],
)
def test_what_cannot_be_tried_is_one_line(
    words: list[str],
    said: str,
    models: dict[str, Path],
    haystack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.jsonl").write_text('{"title": 1}\n')
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "needle.html").write_text("mine")
    result = call(models["model"], "--haystack", haystack, "--out", "out", *words)
    assert isinstance(result.exception, PortError), result.output
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_lengths_and_depths_are_spread_as_the_script_spreads_them() -> None:
    request = NeedleRequest(model=Path("m"), out=Path("o"))
    assert request.context_lengths == (1000, 16500, 32000)
    assert request.depth_percents == (0, 50, 100)
