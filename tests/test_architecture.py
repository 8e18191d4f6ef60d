"""What ARCHITECTURE.md claims: files that exist, layers, records, and the road that a request takes."""

import ast
import importlib
import re
import sys
from pathlib import Path
from types import FrameType

import pytest
from test_layers import LAYERS, PACKAGE

import lwmport

ROOT = PACKAGE.parent
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
WORD = re.compile(r"`([^`]+)`")
TEXT = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
PATHS = sorted({word for word in WORD.findall(TEXT) if re.fullmatch(r"[\w./]+/[\w.]*(:\w+)?|[\w/]+\.py(:\w+)?", word)})


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table below a title, without its head."""
    lines = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0].splitlines()
    cells = [line.strip("|").split("|") for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in cells[2:]]


def file_of(path: str) -> Path:
    inside = PACKAGE / path
    return inside if inside.exists() else ROOT / path


@pytest.mark.parametrize("path", PATHS)
def test_every_place_that_is_named_exists(path: str) -> None:
    place, _, name = path.partition(":")
    assert file_of(place).exists()
    if name:
        module = file_of(place).relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        assert hasattr(importlib.import_module(module.removesuffix(".__init__")), name)


def test_the_layers_are_those_of_the_law() -> None:
    found = {room: int(layer) for layer, rooms in rows("Layers") for room in WORD.findall(rooms)}
    ground = {path.stem for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    assert found == {**LAYERS, **dict.fromkeys(ground, 0)}


@pytest.mark.parametrize(("record", "registry"), [(row[0], row[2]) for row in rows("The records")], ids=str)
def test_each_record_is_where_the_page_says(record: str, registry: str) -> None:
    name, path = WORD.findall(record)
    tree = ast.parse(file_of(path).read_text(encoding="utf-8"))
    assert any(isinstance(node, ast.ClassDef) and node.name == name for node in tree.body)
    assert all(file_of(word).exists() for word in WORD.findall(registry))


def test_a_request_takes_the_road_of_the_page(tmp_path: Path) -> None:
    calls: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        place = frame.f_code.co_filename
        if event == "call" and place.startswith(str(PACKAGE)):
            calls.append(f"{Path(place).relative_to(PACKAGE).as_posix()}:{frame.f_code.co_name}")

    sys.setprofile(note)
    try:
        lwmport.convert(component="llama-head", format="onnx", config="debug", out=tmp_path)
    finally:
        sys.setprofile(None)
    road = [(WORD.findall(start)[0], WORD.findall(below)) for _, start, below in rows("The road of a request")]
    starts = [calls.index(start) for start, _ in road]
    assert starts == sorted(starts)
    for (_, below), start, end in zip(road, starts, [*starts[1:], len(calls)], strict=True):
        entered = {call.partition(":")[0] for call in calls[start:end]}
        assert set(below) <= entered


def test_the_page_is_one_page() -> None:
    assert len(PAGE.splitlines()) <= 140
