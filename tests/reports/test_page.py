"""The page in a real browser, at a phone's width and a desk's."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from browsing import open_at
from test_ports import matrix

from lwmport.reports.files import write_report
from lwmport.reports.port_index import write_index
from lwmport.reports.ports import PortReport, PortRow, StageFact
from lwmport.types import Status


@pytest.fixture(scope="module")
def pages(good, bad, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:  # noqa: ANN001
    samples = {"good": good, "bad": bad}
    folders = {name: sample.write(tmp_path_factory.mktemp(name)) for name, sample in samples.items()}
    return {name: (folder / "report.html").as_uri() for name, folder in folders.items()}


@pytest.fixture(params=[("good", 360), ("bad", 360), ("bad", 1280)], ids=lambda case: f"{case[0]}-{case[1]}")
def opened(browser: Any, pages: dict[str, str], request: pytest.FixtureRequest) -> Any:
    name, width = request.param
    metrics = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(pages[name])
    return browser


def test_no_errors_and_no_requests(opened: Any) -> None:
    assert opened.get_log("browser") == []
    sent = [entry["message"] for entry in opened.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert sent
    assert not [message for message in sent if '"url":"http' in message]
    fetched = "return performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith('data:'))"
    assert opened.execute_script(fetched) == []


def test_the_page_never_scrolls_sideways(opened: Any) -> None:
    widths = opened.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert widths[0] <= widths[1]
    wide = opened.execute_script(
        "return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') && !e.closest('pre') &&"
        " e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 90))"
    )
    assert wide == []


def test_the_verdict_is_in_the_first_screen(opened: Any) -> None:
    box = opened.execute_script("return document.querySelector('.verdict').getBoundingClientRect().toJSON()")
    assert box["top"] >= 0
    assert box["bottom"] <= 740
    word = opened.execute_script("return document.querySelector('.verdict h2').textContent")
    assert word == opened.execute_script("return document.title").partition(":")[0]
    assert word in {"Passed", "Failed"}


def test_every_picture_is_decoded_and_described(opened: Any) -> None:
    pictures = opened.execute_script("return [...document.images].map(i => [i.complete, i.naturalWidth, i.alt])")
    assert len(pictures) == 2 * 5 + 2 * 4
    assert all(complete and width > 0 and alt for complete, width, alt in pictures)


def test_headings_go_down_one_step_at_a_time(opened: Any) -> None:
    tags = opened.execute_script("return [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => h.tagName)")
    levels = [int(tag[1]) for tag in tags]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_tables_and_links_are_sound(opened: Any) -> None:
    bare = "return [...document.querySelectorAll('th')].filter(t => !t.scope).length"
    dead = "return [...document.querySelectorAll('a')].filter(a => !document.querySelector(a.hash)).length"
    twice = "const i = [...document.querySelectorAll('[id]')].map(e => e.id); return i.length - new Set(i).size"
    assert [opened.execute_script(script) for script in (bare, dead, twice)] == [0, 0, 0]


def test_chart_labels_do_not_touch(opened: Any) -> None:
    charts = opened.execute_script(
        "return [...document.querySelectorAll('.chart')].map(c => [...c.querySelectorAll('text')].map(t => {"
        " const b = t.getBoundingClientRect(); return [b.left, b.right, b.top + 1, b.bottom - 1] }))"
    )
    assert len(charts) == 2
    for labels in charts:
        for one, other in itertools.combinations(labels, 2):
            beside = one[1] <= other[0] or other[1] <= one[0]
            above = one[3] <= other[2] or other[3] <= one[2]
            assert beside or above


def test_dark_mode_is_dark(opened: Any) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    shades = []
    for scheme in ("light", "dark"):
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        shades.append(opened.execute_script(ground))
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert shades == ["rgb(245, 246, 248)", "rgb(14, 17, 22)"]


@pytest.mark.parametrize("width", [390, 1280])
def test_a_large_report_is_short_with_everything_folded(browser: Any, good: Any, tmp_path: Path, width: int) -> None:
    from test_large_report import large

    write_report(large(good.report), tmp_path)
    metrics = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get((tmp_path / "report.html").as_uri())
    assert browser.execute_script("return document.documentElement.scrollHeight") < 8000
    verdicts = "return [...document.querySelectorAll('.cases .pill')].map(e => e.getBoundingClientRect().right)"
    assert all(0 < right <= width for right in browser.execute_script(verdicts))


@pytest.mark.parametrize("width", [390, 1280])
def test_the_index_shows_its_verdicts(browser: Any, tmp_path: Path, width: int) -> None:
    stages = tuple(StageFact(name=name, status=Status.PASSED, reason="") for name in ("convert", "check", "compile"))
    row = PortRow(
        name="a", title="vision-llama-prefill to ascend (onnx in ascend-npu, float16)", target="ascend",
        status=Status.NOT_JUDGED, sentence="Said.", stages=stages, seconds=1.0, peak_bytes=None, estimate_bytes=1,
    )  # fmt: skip
    write_index(PortReport(jobs=(row,), workers=1, memory=1), tmp_path)
    metrics = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get((tmp_path / "index.html").as_uri())
    pill = "return document.querySelector('.jobs .pill').getBoundingClientRect().right"
    assert 0 < browser.execute_script(pill) <= width - 16
    assert browser.execute_script("return document.querySelector('.jobs .pill').textContent") == "Not judged"
    colour = "return getComputedStyle(document.querySelector('.verdict')).backgroundColor"
    assert browser.execute_script(colour) == "rgb(116, 73, 0)"


VISIBLE = (
    "return [...document.querySelectorAll('{}')].filter(e => getComputedStyle(e).display != 'none')"
    ".map(e => e.querySelector('{}').textContent)"
)
ROWS = VISIBLE.format("tr.job", "th")


@pytest.fixture
def index(browser: Any, tmp_path: Path) -> Any:
    write_index(matrix(), tmp_path)
    return open_at(browser, tmp_path / "index.html", 1280)


def test_filters_hide_rows_and_sections_without_a_script(index: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    assert index.get_log("browser") == []
    assert index.execute_script("return document.scripts.length") == 0
    names = [label.text.split()[0] for label in index.find_elements(By.CSS_SELECTOR, ".filters label")]
    assert names == ["Verdict", "Component", "Precision", "Target"], "all are of one format"
    Select(index.find_element(By.ID, "by-target")).select_by_visible_text("ascend")
    assert index.execute_script(ROWS) == ["encoder to ascend in float32", "encoder to ascend in float16",
                                          "decoder to ascend in float32", "decoder to ascend in float16"]  # fmt: skip
    Select(index.find_element(By.ID, "by-component")).select_by_visible_text("encoder")
    Select(index.find_element(By.ID, "by-verdict")).select_by_visible_text("failed")
    assert index.execute_script(ROWS) == ["encoder to ascend in float16"]
    assert index.execute_script(VISIBLE.format("div.job", "h2")) == ["encoder to ascend in float16"]
    index.find_element(By.CSS_SELECTOR, ".filters button").click()
    assert len(index.execute_script(ROWS)) == 8


def test_a_printed_index_has_every_row_and_no_filters_on_a4(index: Any) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import Select

    Select(index.find_element(By.ID, "by-target")).select_by_visible_text("ascend")
    width = int((210 - 2 * 14) / 25.4 * 96)
    metrics = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    index.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    index.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert len(index.execute_script(ROWS)) == 8
        assert index.execute_script("return getComputedStyle(document.querySelector('.filters')).display") == "none"
        assert index.execute_script(VISIBLE.format("div.job", "h2")) == ["encoder to ascend in float16"]
        right = (
            "return Math.max(...[...document.querySelectorAll('.jobs *')].map(e => e.getBoundingClientRect().right))"
        )
        assert index.execute_script(right) <= width + 1
    finally:
        index.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
