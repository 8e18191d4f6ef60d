"""``lwmport port``: what is asked for is heard, or refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lwmport.cli.main import cli

JOBS = '[[jobs]]\ncomponent = "vqgan-decoder"\ntarget = "cpu"\nconfig = "debug"\n'


def run(*words: Any) -> Result:
    return CliRunner().invoke(cli, ["port", *map(str, words)])


@pytest.mark.parametrize("option", [("--checkpoint", "w"), ("--precision", "float16"), ("--target", "ascend")])
def test_options_of_a_job_are_not_left_unheard_beside_a_file(option: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "jobs.toml").write_text(JOBS)
    found = run(tmp_path / "jobs.toml", *option)
    assert found.exit_code == 2
    assert f"expected {option[0]} in jobs.toml, found on the command line" in found.output


def test_options_of_a_file_are_refused_without_one() -> None:
    found = run("--component", "vqgan", "--target", "cpu", "--memory", "8GB")
    assert found.exit_code == 2
    assert "expected --memory beside JOBS.toml" in found.output


def test_neither_a_file_nor_a_component_is_refused() -> None:
    found = run("--target", "cpu")
    assert found.exit_code == 2
    assert "expected JOBS.toml, or --component, found neither" in found.output


@pytest.mark.parametrize("more", [(), ("--target", "cpu")])
def test_a_component_in_the_place_of_a_file_is_told_where_it_belongs(more: tuple[str, ...]) -> None:
    found = run("vqgan", *more)
    assert found.exit_code == 2
    assert "expected a file JOBS.toml, found 'vqgan'; a component is named by --component" in found.output


def test_a_file_of_jobs_ends_in_one_page_and_one_document(tmp_path: Path) -> None:
    (tmp_path / "jobs.toml").write_text(JOBS)
    found = run(tmp_path / "jobs.toml", "--out", tmp_path / "all", "--workers", 1, "--json")
    assert found.exit_code == 0, found.output
    value = json.loads(found.stdout)
    assert (value["status"], value["sentence"]) == ("passed", "1 of 1 ports passed.")
    assert (tmp_path / "all" / "index.html").is_file()
    (row,) = value["jobs"]
    facts = {name: row[name] for name in ("component", "format", "dialect", "precision", "soc")}
    assert facts == {
        "component": "vqgan-decoder", "format": "onnx", "dialect": "cpu", "precision": "float32", "soc": "",
    }  # fmt: skip
    assert row["files"].keys() == {"models", "compiled", "bundle"}
    assert [(one["name"], one["status"]) for one in row["outputs"]] == [("pixel_values", "passed")]
    assert 0 < row["outputs"][0]["error"] < 1e-3
    again = run(tmp_path / "jobs.toml", "--out", tmp_path / "all", "--against", tmp_path / "all")
    assert again.exit_code == 0, again.output
    assert f"\nAgainst {tmp_path / 'all'}: nothing changed (1 port compared).\n" in again.output


def test_an_earlier_run_that_is_not_there_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "jobs.toml").write_text(JOBS)
    found = run(tmp_path / "jobs.toml", "--out", tmp_path / "all", "--against", tmp_path / "nowhere")
    assert "expected the index.json of an earlier run" in str(found.exception)
    assert not (tmp_path / "all").exists()
