"""``lwmport bisect``: one verdict in words, in JSON, as JUnit XML and as an exit code; bad input costs one line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Change, weight

from lwmport.cli.main import cli
from lwmport.errors import ArtifactError, UsageError

BIAS = "encoder/Conv_0/bias"


def command(*words: str | Path) -> int:
    return int(cli.main(["bisect", *map(str, words)], standalone_mode=False))


def test_the_verdict_is_the_same_everywhere(
    encoder: Path, planted: Callable[[Path, Change], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = planted(encoder, weight(BIAS, lambda a: 2 * a))
    assert command(path, "--samples", "1", "--json", "--junit", tmp_path / "found.xml") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["status"], document["first"]["cause"]) == ("failed", "doubled-bias")
    assert "doubled bias" in document["first"]["explanation"].lower()
    assert "<failure" in (tmp_path / "found.xml").read_text()
    assert any("no longer as it was converted" in note for note in document["notes"])


def test_words_for_a_person(encoder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(encoder, "--samples", "1") == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1].startswith("PASSED  Nothing is wrong")
    assert "weights: seeded random weights" in said


def test_nothing_at_a_path_and_a_cut_file_cost_one_line(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="found nothing at"):
        command(tmp_path / "none.onnx")
    other = tmp_path / "other.onnx"
    other.write_bytes(encoder.read_bytes()[:100])
    with pytest.raises(ArtifactError, match="expected a whole ONNX file"):
        command(other)
    other.write_bytes(encoder.read_bytes())
    with pytest.raises(UsageError, match="--reference or --checkpoint"):
        command(other)


def test_a_runner_that_does_not_take_the_file_is_refused(encoder: Path) -> None:
    with pytest.raises(UsageError, match="litert"):
        command(encoder, "--samples", "1", "--runner", "litert")
