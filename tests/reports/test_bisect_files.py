"""The folder of a bisection: four files, the page small, and nothing of the user's replaced."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from bisections import EQUAL, bisection, first, measured, taps

from lwmport.errors import UsageError
from lwmport.reports.bisect_files import NAMES, markdown, page, write_bisection
from lwmport.reports.bisect_words import answer, next_step
from lwmport.reports.bisection import Measured, Tap
from lwmport.types import Status

NOTHING = (
    "Nothing is wrong: 2 of 2 outputs are within tolerance, and no error beyond rounding enters at any of 45 taps."
)


def text_of(markup: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", markup).split())


def test_exactly_these_files_and_an_earlier_set_is_replaced(tmp_path: Path) -> None:
    write_bisection(bisection(), tmp_path / "out")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    write_bisection(bisection(wrong=None), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*NAMES, "mine.txt"])
    assert json.loads((tmp_path / "out" / "bisect.json").read_text())["status"] == "passed"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_the_users_is_not_replaced(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match=f"found {re.escape(name)}, which is not a file of an earlier run"):
        write_bisection(bisection(), tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_page_that_was_edited_is_the_users(tmp_path: Path) -> None:
    write_bisection(bisection(), tmp_path)
    (tmp_path / "bisect.md").write_text("my own words")
    with pytest.raises(UsageError, match=r"found bisect\.md"):
        write_bisection(bisection(), tmp_path)


def test_the_same_bisection_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_bisection(bisection(), tmp_path / name)
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes() for name in NAMES)


@pytest.mark.parametrize("layers", [32, 300])
def test_a_model_of_many_layers_gives_a_small_page(layers: int) -> None:
    assert len(page(bisection(layers, 17)).encode()) < 300_000
    assert len(markdown(bisection(layers, 17)).encode()) < 20_000


def test_long_names_and_many_places_give_a_small_page() -> None:
    long = "x" * 5000
    wrong = tuple(replace(tap, tap=f"{long}{tap.tap}", node=long, output=long, enters=True) for tap in taps(100, 3))
    place = replace(first(3), node=long, explanation=long)
    found = bisection(
        taps=wrong, first=place, others=(place,) * 500, notes=(long,) * 5000, outputs=((long, EQUAL, True),) * 400
    )
    assert len(page(found).encode()) < 1_000_000


def test_the_first_screen_says_what_where_why_and_what_next() -> None:
    said = text_of(page(bisection()).partition("<nav")[0])
    assert "An error enters at MatMul /model/layers.2/key/MatMul (layers.2.key)" in said
    assert "its output is 1.42 off (SQNR 9.0 dB)" in said
    assert "transpose the weight" in said
    assert "Mend it, convert again, and run the command below once more" in said
    assert "Inputs: text of 24 tokens; weights: params of lwm-7b." in said


def test_a_page_on_which_nothing_is_wrong_says_on_what() -> None:
    found = bisection(wrong=None)
    said = text_of(page(found).partition("<nav")[0])
    assert answer(found) == NOTHING
    assert NOTHING in said
    assert "Inputs: text of 24 tokens; weights: params of lwm-7b." in said
    assert 'id="first"' not in page(found)


def test_a_cause_that_is_not_known_is_said() -> None:
    found = bisection(first=replace(first(2), cause=None, explanation="No rule explains it."), others=(first(3),))
    assert "Cause: not known" in text_of(page(found))
    assert next_step(found) == (
        "Compare the operator, its neighbours and its worst places below with the reference. 1 further place where an "
        "error enters: see below."
    )


def test_outputs_that_are_wrong_without_a_wrong_operator_are_said() -> None:
    found = bisection(first=None, taps=taps(2, None))
    assert answer(found).startswith(
        "1 of 2 outputs are beyond tolerance (logits), but no operator gives a wrong output"
    )
    assert next_step(found) == ""


def test_errors_that_no_output_shows_are_said_where_it_passed() -> None:
    quiet = tuple(replace(tap, harmless=tap.enters) for tap in taps(4, 2))
    found = bisection(wrong=None, taps=quiet)
    assert answer(found).endswith("At 1 tap an error enters that none shows.")
    assert "--strict" in next_step(found)
    assert "enters, and no output shows it" in page(found)


def test_what_was_not_judged_says_why() -> None:
    found = bisection(status=Status.NOT_JUDGED, first=None, taps=(), outputs=(), reason="the runtime gave up")
    assert text_of(page(found)).count("Not judged: the runtime gave up.") == 1
    assert "**NOT JUDGED.** Not judged: the runtime gave up." in markdown(found)


def test_foreign_names_are_shown_and_do_nothing(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>\x1b[2J|\ud800"
    place = replace(first(2), tap=name, node=name, operator=name, output=name, explanation=name)
    found = bisection(first=place, taps=(replace(taps(1, None)[0], tap=name, node=name, enters=True),))
    write_bisection(found, tmp_path)
    assert "<script" not in (tmp_path / "bisect.html").read_text()
    assert not re.search(r"(?<!\\)<script", (tmp_path / "bisect.md").read_text())
    assert "\\x1b[2J" in page(found)
    ET.parse(tmp_path / "bisect.junit.xml")  # noqa: S314 - our own file


def test_numbers_that_are_not_finite_have_a_page() -> None:
    broken = Measured(max_abs=math.inf, relative=math.nan, sqnr_db=math.nan, cosine=math.nan)
    place = replace(first(2), whole=broken, own_inputs=broken, heat=((math.nan, math.inf), (0.0, 1.0)),
                    worst=(((0,), 1.0, math.nan),))  # fmt: skip
    one = Tap(tap="a", node="a", operator="Add", output="a", whole=broken, own=broken, enters=True)
    found = bisection(first=place, taps=(one,), outputs=(("y", broken, False),))
    assert "NaN" in text_of(page(found))
    assert "cyan is NaN or infinite" in page(found)
    assert "not finite</text>" in page(found)


@pytest.mark.parametrize("shape", [(1, 1), (1, 64), (64, 1), (3, 64), (64, 64)])
def test_a_heat_map_of_any_shape_is_a_picture_one_can_see(shape: tuple[int, int]) -> None:
    heat = tuple(tuple(float(row + column) for column in range(shape[1])) for row in range(shape[0]))
    (width, height) = re.findall(r'<img src="data:image/png;base64,[^"]*" width="(\d+)" height="(\d+)"',
                                 page(bisection(first=replace(first(2), heat=heat))))[0]  # fmt: skip
    assert 448 <= int(width) <= 512
    assert int(height) >= 100


def test_of_many_outputs_those_beyond_tolerance_are_shown() -> None:
    many = tuple((f"present.{number}", measured(100.0), number != 70) for number in range(80))
    shown, _, folded = page(bisection(outputs=many)).partition('id="outputs"')[2].partition("<details>")
    assert "present.70<" in shown
    assert "present.70<" not in folded
    assert "68 more outputs, all within tolerance" in folded
