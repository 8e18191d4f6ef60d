"""Every cell of docs/readers.md that says something is true; the programs are in programs_that_read.py."""

import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs_that_read import READERS, Sample

from lwmport.converters.dialects import DIALECTS
from lwmport.models.options import Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.processors import processors
from lwmport.runtime.registry import open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.dialects import ALL_DIALECTS
from lwmport.types import Array

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "readers.md").read_text(encoding="utf-8")
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8")
EVERY = {**DIALECTS, **ALL_DIALECTS}
UNTRIED = "–"
CELL = re.compile(r"(reads|refuses)(?: \[(\d+)\])?")
SIZES = {"batch": 2, "sequence": 5, "past": 3, "past + sequence": 8}
LENGTH = 16
"""Tokens in a static cache."""


@dataclass(frozen=True)
class Cell:
    """One claim: a reader, a dialect, a kind of model, and whether it reads it, with a remark or none."""

    kind: str
    reader: str
    dialect: str
    verdict: str
    remark: str

    def __str__(self) -> str:
        return f"{self.kind}-{self.reader}-{self.dialect}"


def tables() -> list[tuple[str, list[list[str]]]]:
    """Return the heading and the rows of each table of readers."""
    found = []
    for part in re.split(r"^## ", DOCUMENT, flags=re.MULTILINE)[1:]:
        lines = [line for line in part.splitlines() if line.startswith("|")]
        rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
        if rows and rows[0][0] == "reader":
            found.append((part.splitlines()[0], rows))
    return found


def remarks() -> dict[str, str]:
    """Return the numbered remarks of the document."""
    return dict(re.findall(r"^(\d+)\. (.*)$", DOCUMENT, flags=re.MULTILINE))


def cells() -> list[Cell]:
    """Return every cell that says something."""
    told, found = remarks(), []
    for kind, (head, _, *rows) in tables():
        for reader, *line in rows:
            for dialect, text in zip(head[1:], line, strict=True):
                if text == UNTRIED:
                    continue
                said = CELL.fullmatch(text)
                assert said, f"expected reads or refuses, with a remark or none, found {text!r}"
                remark = told[said[2]] if said[2] else ""
                found.append(Cell(kind, reader, dialect.strip("`"), said[1], remark))
    return found


CELLS = cells()


@cache
def request_of(kind: str, dialect: str) -> dict[str, Any]:
    """Return what to convert for a table and a dialect, beside the dialect."""
    static = EVERY[dialect].static
    if kind == "Pictures":
        return {"component": "vqgan-encoder", "batch": 1 if static else "dynamic"}
    if kind == "Language models, one token with a static cache":
        return {"component": "llama-decode", "options": Options(max_length=LENGTH)}
    if EVERY[dialect].format == "hf":
        return {"component": "llama"}
    if EVERY[dialect].format == "gguf":
        return {"component": "llama", "tokenizer": "none"}
    precision = "float16" if "float16" in kind else "float32"
    if static:
        sizes = Options(sequence=8, max_length=LENGTH, precision=precision)
        return {"component": "llama-prefill", "options": sizes}
    return {"component": "llama", "batch": "dynamic", "options": Options(precision=precision)}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Return ``model(kind, dialect)``: the file of a small random model, converted once."""

    @cache
    def converted(kind: str, dialect: str) -> Path:
        out = tmp_path_factory.mktemp(f"{dialect}-model") / "out"
        form = EVERY[dialect].format
        given = request_of(kind, dialect)
        request = ConvertRequest(format=form, dialect=dialect, config="debug", out=out, validate=False, **given)
        convert(request)
        return next(path for path in out.iterdir() if path.suffix == request.suffix)

    return converted


@cache
def inputs_of(path: Path) -> Mapping[str, Array]:
    """Return seeded inputs for a model: a prompt without padding, behind a filled cache where there is one."""
    random = np.random.default_rng(0)
    given: dict[str, Array] = {}
    # TensorFlow settles its threads once in a process: as many as every other test asks for.
    with closing(open_runner(path, RunnerContext(threads=processors()))) as runner:
        for spec in runner.inputs:
            shape = tuple(SIZES.get(size, 2) if isinstance(size, str) else size for size in spec.shape)
            known = {"attention_mask": np.ones(shape), "cache_position": np.full(shape, 3)}
            known["position_ids"] = np.broadcast_to(np.arange(shape[-1]) if shape else 0, shape)
            integers = "int" in spec.dtype
            drawn = random.integers(0, 24, shape) if integers else random.normal(size=shape)
            given[spec.name] = np.asarray(known.get(spec.name, drawn), spec.dtype)
    return given


@pytest.mark.filterwarnings("ignore")  # what others warn of in their own code is theirs
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_cell_is_true(
    cell: Cell, model: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = READERS[cell.reader]
    if missing := reader.missing():
        pytest.skip(missing)
    monkeypatch.chdir(tmp_path)  # some leave files where they run
    path = model(cell.kind, cell.dialect)
    inputs = inputs_of(path)
    shutil.copytree(path.parent, tmp_path / "model")  # a copy: onnx refuses files with two links
    sample = Sample(tmp_path / "model" / path.name, inputs)
    if cell.verdict == "reads":
        reader.read(sample)
        return
    (word,) = re.findall(r"`([^`]+)`\.$", cell.remark)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # what is raised is the reader's own
        reader.read(sample)
    assert word in f"{caught.type.__name__}: {caught.value}"


def test_the_tables_hold_every_reader_and_every_dialect() -> None:
    named = {dialect.strip("`") for _, (head, *_) in tables() for dialect in head[1:]}
    left_out = set(re.findall(r"`([a-z0-9-]+)`", DOCUMENT.split("Left out")[1].split("\n\n")[0]))
    assert named | left_out == set(EVERY)
    rows = {row[0] for _, (_, _, *found) in tables() for row in found}
    assert set(READERS) <= rows
    assert {cell.reader for cell in CELLS} <= set(READERS)


def test_every_remark_is_used() -> None:
    used = {number for _, (_, _, *rows) in tables() for row in rows for number in re.findall(r"\[(\d+)\]", str(row))}
    assert used == set(remarks())


def test_the_versions_are_those_of_the_constraints() -> None:
    versions = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (\S+) \|", DOCUMENT, flags=re.MULTILINE))
    assert {reader.package for reader in READERS.values() if reader.package.islower()} <= set(versions)
    pinned = dict(re.findall(r"^([A-Za-z0-9_-]+)==([^\s;]+)", CONSTRAINTS, flags=re.MULTILINE))
    assert {name: pinned[name] for name in versions if name in pinned} == {
        name: version for name, version in versions.items() if name in pinned
    }
