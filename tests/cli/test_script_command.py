"""Command lines of LWM's scripts, pasted: what becomes of each flag."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from lwmport.cli.main import cli
from lwmport.cli.script_flags import ScriptCommand
from lwmport.errors import PortError, UsageError


def call(*words: Any) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def parsed(*words: str) -> tuple[dict[str, Any], str]:
    """Return what a command gets, and what is said on standard error."""
    found: dict[str, Any] = {}
    names = ("--image", "--video", "--max-frames", "--temperature")
    command = ScriptCommand(
        "chat",
        params=[
            click.Argument(["model"]),
            click.Argument(["question"], default=""),
            *(click.Option([name]) for name in names),
        ],
        callback=lambda **values: found.update(values),
    )
    result = CliRunner().invoke(command, list(words))
    assert result.exit_code == 0, result.output
    return {name: value for name, value in found.items() if value}, result.stderr


def test_the_script_of_the_chat() -> None:
    found, said = parsed(
        "--prompt=--What is it?", "--input_file", "a.png", "M", "--max_n_frames=8", "--mesh_dim=!1,1,-1,1",
        "--temperature=0.5", "--load_checkpoint", "params::f", "--update_llama_config=dict(a=b())",
    )  # fmt: skip
    assert found == {
        "model": "M", "question": "--What is it?", "image": "a.png", "max_frames": "8", "temperature": "0.5"
    }  # fmt: skip
    lines = said.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("--mesh_dim !1,1,-1,1: left out; a converted model runs on one device")
    assert lines[1].startswith("--load_checkpoint params::f: left out; MODEL holds what was converted")


def test_what_stands_behind_two_dashes_is_no_flag() -> None:
    assert parsed("--input-file=b.mov", "--", "M", "--dtype=fp32")[0] == {
        "model": "M", "question": "--dtype=fp32", "video": "b.mov"
    }  # fmt: skip


def test_the_model_of_a_script_is_converted(tmp_path: Path) -> None:
    changes = "dict(theta=50000000, hidden_size=16, num_hidden_layers=1, scan_query_chunk_size=128, scan_layers=True)"
    result = call(
        "convert", "--component", "vision-llama", "--to", "onnx", "--out", tmp_path / "o", "--dtype=fp16",
        "--load_llama_config=debug", f"--update_llama_config={changes}", "--mesh-dim=1,1,1,1", "--dry-run", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("--mesh-dim 1,1,1,1: left out")
    (part,) = json.loads(result.stdout)["models"]
    assert part["weight_bytes"] == 2 * (2 * 16 * (32000 + 8448) + 4 * 16 * 16 + 3 * 16 * 256 + 3 * 16)


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (["--update_llama_config=dict(theta=f())"], UsageError, "--update_llama_config: expected dict(field=value"),
        (["--update_llama_config=dict(no_field=1)"], UsageError, "found 'no_field'"),
        (["--load_checkpoint=params::nothing"], PortError, "nothing: expected a checkpoint, found no such file"),
        (["--load_checkpoint=trainstate::nothing"], UsageError, "expected a checkpoint prefix out of"),
        (["--dtype=fp8"], UsageError, "found 'fp8'"),
    ],
)
def test_a_value_that_means_nothing_is_one_line(
    words: list[str], kind: type[PortError], said: str, tmp_path: Path
) -> None:
    result = call("convert", "--component", "vision-llama", "--to", "onnx", "--out", tmp_path / "o", *words)
    assert isinstance(result.exception, kind)
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_pictures_have_one_frame() -> None:
    result = call("generate", "image", "M", "--prompt", "a", "--output_file=a.png", "--n_frames=3")
    assert "expected 1 as n_frames of a picture, found 3" in str(result.exception)
