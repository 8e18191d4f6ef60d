"""The page of a bisection in a real browser, at a phone's width and a desk's."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from bisections import bisection, first
from browsing import open_at

from lwmport.reports.bisect_files import write_bisection

CASES = {"bad": bisection(32, 17, others=(first(20),)), "good": bisection(32, None), "small": bisection(1, 0)}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {name: tmp_path_factory.mktemp(name) for name in CASES}
    for name, folder in folders.items():
        write_bisection(CASES[name], folder)
    return {name: folder / "bisect.html" for name, folder in folders.items()}


@pytest.fixture(
    params=[("bad", 390), ("good", 390), ("bad", 1280), ("small", 1280)], ids=lambda case: f"{case[0]}-{case[1]}"
)
def opened(browser: Any, pages: dict[str, Path], request: pytest.FixtureRequest) -> Any:
    return open_at(browser, pages[request.param[0]], request.param[1])


def test_no_errors_and_no_requests(opened: Any) -> None:
    assert opened.get_log("browser") == []
    sent = [entry["message"] for entry in opened.get_log("performance") if "requestWillBeSent" in entry["message"]]
    assert sent
    assert not [message for message in sent if '"url":"http' in message]


def test_the_page_never_scrolls_sideways(opened: Any) -> None:
    wide = opened.execute_script(
        "return [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll') && !e.closest('pre') &&"
        " e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 90))"
    )
    assert wide == []


def test_the_answer_is_in_the_first_screen(opened: Any) -> None:
    box = opened.execute_script("return document.querySelector('.verdict').getBoundingClientRect().toJSON()")
    assert box["top"] >= 0
    assert box["bottom"] <= 740


def test_headings_tables_and_links_are_sound(opened: Any) -> None:
    tags = opened.execute_script("return [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => h.tagName)")
    levels = [int(tag[1]) for tag in tags]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    bare = "return [...document.querySelectorAll('th')].filter(t => !t.scope).length"
    dead = "return [...document.querySelectorAll('a')].filter(a => !document.querySelector(a.hash)).length"
    assert [opened.execute_script(script) for script in (bare, dead)] == [0, 0]


def test_labels_of_the_curve_do_not_touch(opened: Any) -> None:
    labels = opened.execute_script(
        "return [...document.querySelectorAll('.depth text')].filter(t => getComputedStyle(t).visibility == 'visible')"
        ".map(t => { const b = t.getBoundingClientRect(); return [b.left, b.right, b.top + 1, b.bottom - 1] })"
    )
    assert len(labels) > 5
    for one, other in itertools.combinations(labels, 2):
        assert one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2]


def test_names_of_layers_show_when_a_place_is_focused(browser: Any, pages: dict[str, Path]) -> None:
    """A key that is pressed stands for any keyboard: the names need no mouse and no script."""
    from selenium.webdriver.common.keys import Keys

    open_at(browser, pages["bad"], 1280)
    shown = (
        "return [...document.querySelectorAll('.depth .band text, .depth .hint')]"
        ".filter(t => getComputedStyle(t).visibility == 'visible').map(t => t.textContent)"
    )
    (hint,) = browser.execute_script(shown)
    assert hint.startswith("Point at the curve")
    browser.execute_script("document.querySelectorAll('.band')[17].focus()")
    assert browser.execute_script(shown)[0] == "layers.16"
    browser.switch_to.active_element.send_keys(Keys.TAB)
    name, numbers = browser.execute_script(shown)
    assert name == "layers.17"
    assert "enters at layers.17.key" in numbers
    right = "const b = document.activeElement.querySelector('text:last-child').getBBox(); return b.x + b.width"
    assert browser.execute_script(right) <= 720


def test_names_of_layers_show_under_the_mouse(browser: Any, pages: dict[str, Path]) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By

    open_at(browser, pages["bad"], 1280)
    band = browser.find_elements(By.CSS_SELECTOR, ".band")[17]
    ActionChains(browser).move_to_element(band.find_element(By.CSS_SELECTOR, "rect")).perform()
    assert [text.value_of_css_property("visibility") for text in band.find_elements(By.TAG_NAME, "text")] == [
        "visible"
    ] * 2


def test_dark_mode_is_dark(browser: Any, pages: dict[str, Path]) -> None:
    open_at(browser, pages["bad"], 1280)
    shades = []
    for scheme in ("light", "dark"):
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        script = "return getComputedStyle(document.querySelector('.mark.harmless, .mark.enters')).stroke"
        shades.append(browser.execute_script(script))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert shades == ["rgb(255, 255, 255)", "rgb(23, 27, 34)"]
