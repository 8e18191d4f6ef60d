"""Every ``console`` block of the documents runs: what a reader types, works."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lwmport.cli.convert import convert
from lwmport.converters.dialects import DIALECTS
from lwmport.models.families import NAMES
from lwmport.pipeline.port.jobs import read_jobs
from lwmport.targets.dialects import ALL_DIALECTS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)\)")


def commands(document: Path) -> list[str]:
    blocks = BLOCK.findall(document.read_text(encoding="utf-8"))
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line.startswith("$ ")]


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if commands(path)], ids=lambda path: path.name)
def test_commands_run(document: Path, tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command in commands(document):
        done = subprocess.run(
            shlex.split(command),
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        if "pip install 'lwmport[" in done.stderr:
            pytest.skip(done.stderr.splitlines()[-1])
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_the_readme_has_commands() -> None:
    assert len(commands(ROOT / "README.md")) >= 4


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")) + DOCUMENTS[1:], ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / link).exists(), f"{document.name} links to {link}"


def test_the_document_on_converting_has_every_option_component_and_dialect() -> None:
    text = (ROOT / "docs" / "convert.md").read_text(encoding="utf-8")
    options = [option for param in convert.params for option in param.opts if option.startswith("--")]
    off = [option for param in convert.params for option in param.secondary_opts]
    left_out = [name for name in (*options, *off) if f"`{name}" not in text and name != "--resume"]
    dialects = {**DIALECTS, **ALL_DIALECTS}.values()
    left_out += [
        dialect.name for dialect in dialects if not re.search(rf"^\|.*\| `{dialect.name}`[ |]", text, re.MULTILINE)
    ]
    spans = [f"`{dialect.name}`.* {dialect.opsets[0]} to {dialect.opsets[1]}" for dialect in dialects
             if dialect.format == "onnx" and dialect.opsets[0] < dialect.opsets[1]]  # fmt: skip
    left_out += [span for span in spans if not re.search(span, text)]
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
