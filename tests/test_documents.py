"""Every ``console`` block of the documents runs: what a reader types, works."""

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from lwmport.cli.convert import convert
from lwmport.cli.main import cli
from lwmport.cli.port import port
from lwmport.converters.dialects import DIALECTS
from lwmport.errors import MissingExtraError
from lwmport.models.families import NAMES
from lwmport.pipeline.port.jobs import read_jobs
from lwmport.runtime import timed
from lwmport.targets.dialects import ALL_DIALECTS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
CHINESE = ROOT / "docs" / "zh"
"""The pages here have the same commands (`test_chinese_documents`), which need not run twice."""
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)\)")


def commands(document: Path) -> list[str]:
    blocks = BLOCK.findall(document.read_text(encoding="utf-8"))
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.mark.parametrize(
    "document",
    [path for path in DOCUMENTS if commands(path) and CHINESE not in path.parents],
    ids=lambda path: path.name,
)
def test_commands_run(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of ours run in this process, but for the README's first: a process of its own costs the imports.

    No model is run again for the clock alone: LWM's own VQGAN, at its full size, takes seconds each time.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(timed, "REPEATS", 1)
    for command in commands(document):
        words = shlex.split(command)
        ours = words[0] == "lwmport" and not (document.name == "README.md" and command == commands(document)[0])
        try:
            code, said = in_process(words[1:]) if ours else as_typed(words)
        except MissingExtraError as error:
            pytest.skip(str(error))
        assert code == 0, f"{command}\n{said}"


def in_process(words: list[str]) -> tuple[int, str]:
    found = cli.main(words, standalone_mode=False)
    return found if isinstance(found, int) else 0, ""


def as_typed(words: list[str]) -> tuple[int, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(words, check=False, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    if "pip install 'lwmport[" in done.stderr:
        raise MissingExtraError(done.stderr.splitlines()[-1])
    return done.returncode, done.stdout + done.stderr


def test_the_readme_has_commands() -> None:
    assert len(commands(ROOT / "README.md")) >= 4


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")) + DOCUMENTS[1:], ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / link).exists(), f"{document.name} links to {link}"


TABLES = runpy.run_path(str(ROOT / "tools" / "option_tables.py"))


@pytest.mark.parametrize(("command", "name"), TABLES["DOCUMENTS"].items())
def test_the_options_in_a_document_are_those_of_the_table(command: str, name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == TABLES["filled"](text, command), "run: python tools/option_tables.py"
    assert TABLES["table"](command) in text


def test_every_option_of_the_commands_is_in_a_table() -> None:
    rows = "\n".join(map(TABLES["table"], TABLES["DOCUMENTS"]))
    words = [word for command in (convert, port) for param in command.params if isinstance(param, click.Option)
             for word in (*param.opts, *param.secondary_opts)]  # fmt: skip
    assert len(words) > 30
    assert [word for word in words if not re.search(f"`{word}[ `]", rows)] == []


def test_the_document_on_converting_has_every_component_and_dialect() -> None:
    text = (ROOT / "docs" / "convert.md").read_text(encoding="utf-8")
    left_out: list[str] = []
    dialects = {**DIALECTS, **ALL_DIALECTS}.values()
    left_out += [
        dialect.name for dialect in dialects if not re.search(rf"^\|.*\| `{dialect.name}`[ |]", text, re.MULTILINE)
    ]
    ranges = [dialect for dialect in dialects if dialect.format == "onnx" and dialect.opsets[0] < dialect.opsets[1]]
    opsets = [f"`{one.name}` .*; opset {one.opset}, or {one.opsets[0]} to {one.opsets[1]}[ ;]" for one in ranges]
    assert opsets
    left_out += [line for line in opsets if not re.search(line, text)]
    parts = [re.sub("-(prefill|decode)$", "", name) for name in NAMES]
    left_out += [name for name in parts if f"`{name}`" not in text]
    assert not left_out


def test_the_jobs_in_the_document_on_porting_fit_together(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "port.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "jobs.toml").write_text(example)
    found = [job.request.conversion for job in read_jobs(tmp_path / "jobs.toml").jobs]
    assert len(found) == 2 * 4 * 2 - 2 + 1
    for conversion in found:
        vqgan = conversion.component.startswith("vqgan")
        assert conversion.checkpoint == (str(tmp_path / "vqgan") if vqgan else None)
