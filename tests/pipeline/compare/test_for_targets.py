"""What the targets say of a difference, without a weight: also where the file of the weights is not there."""

from pathlib import Path

import pytest

import lwmport
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.pipeline.compare.for_targets import meanings
from lwmport.pipeline.compare.sides import side_of
from lwmport.reports.comparison.meaning import UNLISTED, TargetMeaning
from lwmport.targets.operators import ABSENT
from lwmport.types import Array


def asked(a: object, b: object) -> dict[str, TargetMeaning]:
    return {meaning.target: meaning for meaning in meanings(side_of(str(a), "debug"), side_of(str(b), "debug"))}


def test_what_a_list_says_of_an_absent_operator_is_one_word_here_and_there() -> None:
    assert UNLISTED == ABSENT


def test_a_component_is_written_without_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def small(self: SeededWeights, name: str) -> Array:
        read.append(self.specs[name].nbytes)
        return whole(self, name)

    whole = SeededWeights.read
    monkeypatch.setattr(SeededWeights, "read", small)
    found = asked("llama-head", "llama-embed")
    assert all(meaning.status_a and meaning.status_b for meaning in found.values())
    assert max(read, default=0) < 1024


def test_an_operator_of_one_side_alone_is_held_against_the_list() -> None:
    found = asked("llama-head", "llama-embed")["migraphx"]
    of_b = {one.operator: one.listed for one in found.operators if one.side == "B"}
    assert of_b["Gather"] is True


def test_a_file_is_asked_about_without_the_file_of_its_weights(tmp_path: Path) -> None:
    lwmport.convert(component="llama-head", format="onnx", config="debug", validate=False, out=tmp_path / "a")
    (tmp_path / "a" / "llama-head.onnx.data").unlink()
    found = lwmport.compare(a="llama-head", b=str(tmp_path / "a" / "llama-head.onnx"), config="debug")
    assert found.same, found.sentence
    missing = [
        one.title for meaning in found.targets for one in meaning.objections if one.severity == "error" and one.b
    ]
    assert any("external" in title for title in missing), "that it is missing is told, and nothing else fails"
