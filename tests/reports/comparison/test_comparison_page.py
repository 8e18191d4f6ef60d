"""The page: self-contained, escaped, collapsed; the files appear as a set, and only over what we wrote."""

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from lwmport.errors import PortError
from lwmport.reports.comparison.boxes import MOST
from lwmport.reports.comparison.document import document
from lwmport.reports.comparison.drawing import drawing
from lwmport.reports.comparison.facts import Facts, Tensor
from lwmport.reports.comparison.files import check_pages, write_pages
from lwmport.reports.comparison.meaning import Objection, TargetMeaning
from lwmport.reports.comparison.record import Change, Comparison, ModuleDiff, Sameness, SideFacts
from lwmport.reports.comparison.repeats import collapsed
from lwmport.reports.comparison.rows import amount, differing, totals

EVIL = '<script>alert("x")</script>\u202e'


def facts(size: int = 4) -> Facts:
    tensor = Tensor(name="kernel", shape=(size, size), dtype="float32")
    return Facts(parameters=(tensor,), operators={"MatMul": 1}, kinds={"contraction": 1}, flop=2 * size**3)


def leaf(*path: str, status: Sameness = Sameness.SAME, size: int = 4) -> ModuleDiff:
    a = None if status is Sameness.ONLY_B else path
    b = None if status is Sameness.ONLY_A else path
    changes = (Change(what="shape", name="kernel", a="[4, 4]", b="[8, 8]"),) if status is Sameness.CHANGED else ()
    return ModuleDiff(
        path=path, a=a, b=b, matched_by="path", status=status, changes=changes, facts_a=facts(size), facts_b=facts(size)
    )


def holder(*path: str, children: tuple[ModuleDiff, ...]) -> ModuleDiff:
    return ModuleDiff(path=path, a=path, b=path, matched_by="path", status=Sameness.SAME, children=children)


def comparison(*layers: ModuleDiff) -> Comparison:
    root = holder(children=(holder("h", children=layers),))
    side = SideFacts(text=EVIL, kind="a test", vocabulary="ONNX", inputs=(), outputs=(), total=facts(), modules=3)
    objection = Objection(rule="Q1", severity="error", title=EVIL, operator="Op", a=0, b=2, vendor="no", fix="do")
    meaning = TargetMeaning(target="some", status_a="passed", status_b="failed", objections=(objection,))
    places = [(layer.path, 0) for layer in layers]
    edges = frozenset(pairwise(places))
    return Comparison(
        a=side, b=side, root=root, compared_by="operators", targets=(meaning,), edges_a=edges, edges_b=edges
    )


LAYERS = tuple(leaf("h", str(number)) for number in range(32))


def test_alike_layers_are_one_and_a_changed_one_stands_alone() -> None:
    middle = (*LAYERS[:5], leaf("h", "5", status=Sameness.CHANGED), *LAYERS[6:])
    (group,) = collapsed(comparison(*middle).root).children
    assert [(child.name, child.repeats) for child in group.children] == [("0 .. 4", 5), ("5", 1), ("6 .. 31", 26)]
    assert group.totals[0].parameters == 32 * 16


def test_numbers_that_leave_one_out_are_not_neighbours() -> None:
    (group,) = collapsed(comparison(LAYERS[0], LAYERS[2]).root).children
    assert [child.repeats for child in group.children] == [1, 1]


def test_a_number_behind_a_name_is_told_once() -> None:
    several = tuple(leaf("h", f"Block_{number}") for number in range(3))
    (group,) = collapsed(comparison(*several).root).children
    assert [child.name for child in group.children] == ["Block_0 .. 2"]


def test_rows_tell_what_differs_once() -> None:
    rows = differing(collapsed(comparison(*(leaf("h", str(n), status=Sameness.CHANGED) for n in range(4))).root))
    assert [(row.title, row.words) for row in rows] == [("h/0 .. 3 ×4", ("shape of kernel: [4, 4] → [8, 8]",))]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999, "999"), (1000, "1 k"), (999_999, "1 M"), (6_738_415_616, "6.74 G"), (1_709_199_934_208, "1.71 T")],
)
def test_amounts_have_three_digits(value: int, text: str) -> None:
    assert amount(value) == text


def test_totals_of_a_file_without_shapes_are_told_as_lower_bounds() -> None:
    found = comparison(*LAYERS)
    bound = replace(found, b=replace(found.b, total=replace(found.b.total, uncounted=3)))
    (flop,) = [row for row in totals(bound) if row.name == "FLOP of a run"]
    assert flop.b.startswith("at least")
    assert flop.difference == ""


def test_the_answer_counts_and_the_sentence_of_a_target_says_whose() -> None:
    found = comparison(leaf("h", "0", status=Sameness.ONLY_B))
    assert not found.same
    assert "1 only in B" in found.sentence
    assert found.targets[0].sentence == "B has 1 error that the other has not"


def test_what_one_side_alone_has_is_marked_beside_its_colour() -> None:
    pytest.importorskip("fast_sugiyama")
    found = comparison(leaf("h", "a", status=Sameness.ONLY_A), leaf("h", "b", status=Sameness.ONLY_B), LAYERS[0])
    made = drawing(found, collapsed(found.root))
    marks = {rect.style: rect.texts[-1].text for rect in made.rects if rect.style.startswith("leaf only")}
    assert marks == {"leaf only-a": "A", "leaf only-b": "B"}
    assert any(rect.lines for rect in made.rects)


def test_thousands_of_modules_are_folded_those_that_differ_last() -> None:
    pytest.importorskip("fast_sugiyama")
    several = tuple(
        holder("h", f"m{number}x", children=tuple(leaf("h", f"m{number}x", name) for name in "abc"))
        for number in range(100)
    )
    changed = holder("h", "last", children=(leaf("h", "last", "a", status=Sameness.CHANGED),))
    found = comparison(*several, changed)
    made = drawing(found, collapsed(found.root))
    assert len(made.rects) <= MOST
    assert made.folded == 300
    assert any(rect.style == "leaf changed" for rect in made.rects)


def test_a_page_is_whole_in_itself_and_runs_nothing_of_a_name(tmp_path: Path) -> None:
    pytest.importorskip("fast_sugiyama")
    check_pages(tmp_path)
    write_pages(comparison(*LAYERS, leaf("h", EVIL[:20], status=Sameness.ONLY_B)), tmp_path)
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "\u202e" not in page
    assert not re.search(r"(src|href)=\"(?!#|data:,)", page)
    assert " style=" not in page, "the policy lets the one style sheet in"
    assert "0 .. 31 ×32" in page
    assert page.count("<svg") == page.count("</svg>") == 1


def test_the_record_vouches_for_the_page_and_a_second_run_takes_its_place(tmp_path: Path) -> None:
    pytest.importorskip("fast_sugiyama")
    found = comparison(*LAYERS)
    write_pages(found, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    value = json.loads(first["compare.json"])
    assert {key: value[key] for key in document(found)} == json.loads(json.dumps(document(found)))
    check_pages(tmp_path)
    write_pages(found, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_a_file_of_the_user_is_not_replaced(tmp_path: Path) -> None:
    pytest.importorskip("fast_sugiyama")
    (tmp_path / "compare.html").write_text("mine")
    with pytest.raises(PortError):
        check_pages(tmp_path)
    assert (tmp_path / "compare.html").read_text() == "mine"
