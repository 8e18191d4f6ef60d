"""The page as text: nothing foreign runs, nothing is fetched, and every number says what it was measured with."""

import base64
import dataclasses
import hashlib
import html
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from lwmport.models.specs import tolerances_of
from lwmport.reports import numbers, render
from lwmport.reports.glossary import TERMS
from lwmport.reports.record import Report
from lwmport.reports.view import allowed, headline, rows
from lwmport.types import Kind, Quantized, TensorDiff, TensorSpec
from lwmport.validators.outputs import compare_outputs

SCRIPT = "</style><script>alert(1)</script><img src=x onerror=alert(1)>\"' | `x` [l](javascript:1)"


def page(sample) -> str:  # noqa: ANN001
    return render.html(sample.report, sample.files)


def text(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<style>.*?</style>", "", markup)))


def hostile(report: Report) -> Report:
    """Return the report with the hostile text wherever text can be."""

    def diff(one: TensorDiff) -> TensorDiff:
        tolerance = dataclasses.replace(one.tolerance, why=SCRIPT)
        return dataclasses.replace(one, name=SCRIPT, reason=SCRIPT, tolerance=tolerance)

    part = report.components[0]
    picture = dataclasses.replace(part.galleries[0].pictures[0], alt=SCRIPT, caption=SCRIPT)
    gallery = dataclasses.replace(part.galleries[0], title=SCRIPT, credit=SCRIPT, pictures=(picture,))
    validation = dataclasses.replace(
        part.validation,
        diffs=tuple(map(diff, part.validation.diffs)),
        **dict.fromkeys(("component", "artifact", "reason", "reference", "runner", "inputs"), SCRIPT),
    )
    artifact = dataclasses.replace(part.artifact, format=SCRIPT, dialect=SCRIPT, operators={SCRIPT: 1})
    prepared = {SCRIPT: SCRIPT}
    part = dataclasses.replace(part, validation=validation, artifact=artifact, galleries=(gallery,), prepared=prepared)
    return dataclasses.replace(
        report, title=SCRIPT, sentence=SCRIPT, machine=SCRIPT, components=(part,), versions={SCRIPT: SCRIPT},
        commands=(SCRIPT, "```\n# x"),
    )  # fmt: skip


def test_a_report_says_how_a_picture_becomes_an_input(good) -> None:  # noqa: ANN001
    told = {"pixel_values": "padded with the colour (122, 116, 104)"}
    first, *others = good.report.components
    report = dataclasses.replace(good.report, components=(dataclasses.replace(first, prepared=told), *others))
    assert "pixel_values : padded with the colour (122, 116, 104)" in text(render.html(report, good.files))
    lines = render.markdown(report).splitlines()
    assert r"- Picture pixel\_values: padded with the colour (122, 116, 104)" in lines
    assert not any(line.startswith("- Picture ") for line in render.markdown(good.report).splitlines())


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attributes)


def test_hostile_text_stays_text(good) -> None:  # noqa: ANN001
    found = Tags()
    found.feed(render.html(hostile(good.report), good.files))
    assert "script" not in found.tags
    assert not {name for name in found.attributes if name.startswith("on") or name == "style"}


def test_hostile_text_stays_text_in_markdown(good) -> None:  # noqa: ANN001
    found = render.markdown(hostile(good.report))
    outside = re.sub(r"(?ms)^(`{3,})\n.*?^\1$", "", found)
    assert re.search(r"(?<!\\)<script", outside) is None
    assert re.search(r"(?<!\\)\]\(javascript", outside) is None
    lines = outside.splitlines()
    heads = [index for index, line in enumerate(lines) if line.startswith("| --- ")]
    for head in heads:
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in lines[head - 1 :] if line.startswith("|")}
        assert columns
    assert "````\n```\n# x\n````" in found


def test_every_table_of_markdown_has_as_many_cells_in_every_row(good, bad) -> None:  # noqa: ANN001
    for sample in (good, bad):
        for table in re.findall(r"(?m)(?:^\|.*\n)+", render.markdown(sample.report)):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_nothing_is_fetched(good) -> None:  # noqa: ANN001
    markup = page(good)
    sources = re.findall(r"""(?:src|href)=["']?([^"'\s>]{1,20})""", markup)
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "url(" not in markup
    assert "@import" not in markup


def test_the_policy_allows_our_style_and_no_script(good) -> None:  # noqa: ANN001
    markup = page(good)
    style = re.search(r"(?s)<style>(.*?)</style>", markup)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', markup)
    assert style is not None
    assert policy is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    rules = html.unescape(policy[1]).split("; ")
    assert rules == [
        "default-src 'none'", "img-src data:", f"style-src 'sha256-{digest}'", "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip


def test_seeded_weights_are_said_wherever_a_number_is(good) -> None:  # noqa: ANN001
    markup, note = page(good), "Seeded random weights, not trained"
    blocks = re.split(r'<(?:div|details) class="(?:block|verdict)', markup)[1:]
    exempt = ("Compared with", "10 log", "Digests of", "lwmport convert")
    measured = [block for block in blocks if not any(words in block for words in exempt)]
    assert len(measured) == 1 + 3 + 2 * 3 + 1
    assert all(note in block for block in measured)
    described = render.markdown(good.report)
    assert described.count(note) >= 1 + 3 + 2 * 4


def test_trained_weights_are_not_called_random(good) -> None:  # noqa: ANN001
    weights = dataclasses.replace(good.report.weights, kind="file", description="vqgan.pkl")
    markup = render.html(dataclasses.replace(good.report, weights=weights), good.files)
    assert "not trained" not in markup
    assert "Weights: vqgan.pkl" in markup


def test_every_number_of_every_output_is_on_the_page(bad) -> None:  # noqa: ANN001
    shown, described = text(page(bad)), render.markdown(bad.report)
    for part in bad.report.components:
        for diff in part.validation.diffs:
            assert diff.tolerance.why in shown
            for row in rows(diff):
                assert row.value in shown
                assert render.escape_markdown(row.value) in described


def test_every_label_has_a_formula(bad) -> None:  # noqa: ANN001
    known = {term.name for term in TERMS}
    plain = {"Out of tolerance", "Reference spread", "Not finite", "Worst place", "First out of tolerance",
             "Distinct values"}  # fmt: skip
    labels = {row.label for part in bad.report.components for diff in part.validation.diffs for row in rows(diff)}
    assert labels - known == plain


def test_a_mismatch_shows_both_codes_and_its_tie(bad) -> None:  # noqa: ANN001
    listed = bad.report.components[0].validation.diffs[0].metrics["listed"]
    shown = " ".join(text(page(bad)).split())
    tie = numbers.number(listed[0]["tie_distance"])
    assert f"[0, 3, 4] {listed[0]['reference']} {listed[0]['candidate']} {tie}" in shown


def test_near_ties_are_shown_beside_what_is_allowed() -> None:
    spec = TensorSpec(name="codebook_indices", shape=(1, 32), dtype="int32", kind=Kind.INDICES)
    states = TensorSpec(name="states", shape=(1, 32, 1), dtype="float32")
    codes, codebook = np.zeros((1, 32), np.int32), np.array([[-1.0], [1.0]], np.float32)
    made_of = Quantized(states="states", vectors=np.r_[[-1e-3], [1.0] * 31].reshape(1, 32, 1), codebook=codebook)
    other = codes.copy()
    other[0, 0] = 1
    reference, candidate = ({"codebook_indices": found, "states": codebook[found]} for found in (codes, other))
    found, _ = compare_outputs(
        tolerances_of("vqgan"),
        (spec, states),
        reference,
        candidate,
        precision="float16",
        quantized={"codebook_indices": made_of},
    )
    assert (headline(found).remark, headline(found).used) == ("near ties: 1, 1 allowed", 0)
    assert allowed(found) == "exact but for near ties, at a distance ≤ 0.01, at most 3.12 %"
    near = {row.label: row.value for row in rows(found)}
    assert (near["Mismatches"], near["Near ties"]) == ("1 of 32", "1")


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_equal_reports_give_equal_bytes(good, form: str) -> None:  # noqa: ANN001
    once, again = [(page(good) if form == "html" else render.markdown(good.report)) for _ in range(2)]
    assert once == again


def test_an_output_that_was_not_compared_says_why(good) -> None:  # noqa: ANN001
    part = good.report.components[0]
    lost = dataclasses.replace(part.validation.diffs[0], metrics={}, status="failed", reason="missing: found 'x'")
    validation = dataclasses.replace(part.validation, diffs=(lost,))
    report = dataclasses.replace(good.report, components=(dataclasses.replace(part, validation=validation),))
    assert "Not compared" in text(render.html(report, good.files))
    assert "Not compared" in render.markdown(report)


def test_a_component_that_was_not_judged_shows_its_reason(good) -> None:  # noqa: ANN001
    part = good.report.components[0]
    validation = dataclasses.replace(part.validation, diffs=(), status="not judged", reason="run: pip install x")
    report = dataclasses.replace(good.report, components=(dataclasses.replace(part, validation=validation),))
    assert "run: pip install x" in text(render.html(report, good.files))
    assert "run: pip install x" in render.markdown(report)
