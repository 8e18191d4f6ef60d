"""What is printed of files of others: no terminal obeys it, and JSON keeps every value."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rule_cases import built, model, node, value
from safetensors.numpy import save_file

from lwmport.cli.main import cli
from lwmport.cli.output import print_json

NAME = "a\x1b[2J\x9b31m\u202egnp\x7f/权重"


def said(*words: str | Path) -> str:
    return CliRunner().invoke(cli, list(map(str, words)), standalone_mode=False).output


def is_plain(text: str) -> bool:
    return all(character.isprintable() or character in "\n\t" for character in text)


def test_tensors_are_listed_printably(tmp_path: Path) -> None:
    save_file({NAME: np.zeros(2, np.float32)}, tmp_path / "w.safetensors")
    text = said("inspect", tmp_path / "w.safetensors")
    assert is_plain(text)
    assert r"a\x1b[2J\x9b31m\u202egnp\x7f/权重" in text
    document = said("inspect", tmp_path / "w.safetensors", "--json")
    assert is_plain(document)
    assert json.loads(document)["tensor_list"][0]["name"] == NAME


@pytest.mark.parametrize("target", ["ascend", "aipu", "cpu", "migraphx"])
def test_findings_are_told_printably(target: str, tmp_path: Path) -> None:
    """A name of a node, an operator, a dimension, a domain, a value and a place of weights."""
    operands = [value(NAME, [1, NAME])]
    made = model([node(NAME, "x", "y", NAME, domain=NAME), node("Relu", "y", "z", NAME)], operands, opset=17)
    made.graph.node[1].input[0] = NAME * 1000
    tensor = made.graph.initializer.add(name=NAME, data_type=1, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value=NAME.replace("\x00", ""))
    text = said("check", built(made)(tmp_path), "--target", target)
    assert is_plain(text)
    assert max(map(len, text.splitlines())) < 2600
    assert is_plain(said("check", built(made)(tmp_path), "--target", target, "--json"))


def test_a_document_keeps_every_value(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({NAME: [NAME, "\ud800", "\U000e0001"]})
    text = capsys.readouterr().out
    assert is_plain(text)
    assert "权重" in text
    assert json.loads(text) == {NAME: [NAME, "\ud800", "\U000e0001"]}
