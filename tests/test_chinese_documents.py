"""The Chinese pages are in step with the English ones: same headings, commands, tables, numbers, code words and links.

A test names the page, the section, and what one side has and the other has not. To mend it, bring the Chinese page
to what the English one says. What only words say, no test can hold: read the section whose English text changed.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES = (
    "README.md",
    "docs/convert.md",
    "docs/precision.md",
    "docs/quantisation.md",
    "docs/ring.md",
    "docs/tflite_quantisation.md",
    "docs/targets/ascend.md",
    "docs/targets/aipu.md",
    "docs/targets/migraphx.md",
    "docs/targets/cpu.md",
    "docs/targets/adding.md",
    "docs/targets/rules.md",
)
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
SWITCH = re.compile(r"^\[(?:English|简体中文)\]\(([^)]+)\)$", re.MULTILINE)


def chinese_of(name: str) -> str:
    return "README.zh-CN.md" if name == "README.md" else name.replace("docs/", "docs/zh/", 1)


PAIRS = {name: chinese_of(name) for name in NAMES}


@dataclass
class Section:
    """What stands under one heading: blocks of code, rows of tables, and the lines of its text."""

    level: int
    title: str
    blocks: list[list[str]] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    @property
    def heading(self) -> str:
        return f"{'#' * self.level} {self.title}"

    @property
    def anchor(self) -> str:
        """Return the name by which a link finds the heading: small letters, no punctuation, hyphens for spaces."""
        return re.sub(r"[^\w\- ]", "", self.title.lower()).replace(" ", "-")

    @property
    def items(self) -> int:
        return sum(line.startswith("- ") for line in self.text)

    @property
    def paragraphs(self) -> int:
        return len(re.findall(r"(?:.+\n?)+", "\n".join(self.text)))

    @property
    def words(self) -> str:
        return "\n".join([self.title, *self.text])


def sections(name: str) -> list[Section]:
    found: list[Section] = []
    inside: list[str] | None = None
    for line in SWITCH.sub("", (ROOT / name).read_text(encoding="utf-8")).splitlines():
        if line.startswith("```"):
            if inside is None:
                inside = [line]
                found[-1].blocks.append(inside)
            else:
                inside = None
        elif inside is not None:
            inside.append(re.sub(r"(^|\s)#\s.*", "", line).rstrip())  # comments may be in Chinese
        elif heading := re.match(r"(#+) (.*)", line):
            found.append(Section(len(heading[1]), heading[2]))
        elif line.startswith("|"):
            found[-1].rows.append(line)
        elif not line.startswith("<!--"):
            found[-1].text.append(line)
    assert inside is None, f"{name}: a block of code is not closed"
    return found


def both(name: str) -> Iterable[tuple[str, Section, Section]]:
    """Yield where, the English section and the Chinese one."""
    for english, chinese in zip(sections(name), sections(PAIRS[name]), strict=True):
        yield f"{PAIRS[name]}, '{chinese.heading}' (in {name} '{english.heading}')", english, chinese


def differ(what: str, english: Iterable[str], chinese: Iterable[str]) -> list[str]:
    """Return what one side has and the other has not, in a line; nothing if they are the same."""
    here, there = Counter(english), Counter(chinese)
    if here == there:
        return []
    return [
        f"{what}: in English only {list((here - there).elements())}, in Chinese only {list((there - here).elements())}"
    ]


def numbers(text: str) -> list[str]:
    return NUMBER.findall(CODE.sub("", LINK.sub(r"\1", text)))


def codes(text: str) -> set[str]:
    """Return the code words but those that are the text of a link."""
    return set(CODE.findall(LINK.sub(r"\1", text)))


def marks(row: str) -> str:
    """Return what a row has in every language: its code words and numbers."""
    return " ".join([*sorted(codes(row)), *numbers(row)]) or "(words alone)"


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def told(problems: list[str]) -> str:
    return "\n".join(["", *problems])


def test_each_page_that_is_asked_for_is_there_and_no_other() -> None:
    there = {"README.zh-CN.md", *(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "zh").rglob("*.md"))}
    assert there == set(PAIRS.values())


@pytest.mark.parametrize("name", NAMES)
def test_each_page_links_to_the_other(name: str) -> None:
    for one, other in ((name, PAIRS[name]), (PAIRS[name], name)):
        link = os.path.relpath(other, Path(one).parent)
        found = SWITCH.findall((ROOT / one).read_text(encoding="utf-8"))
        assert found == [link], f"{one}: expected one line that links to {link} alone, found {found}"


@pytest.mark.parametrize("name", NAMES)
def test_headings_are_the_same(name: str) -> None:
    english, chinese = sections(name), sections(PAIRS[name])
    for number, (here, there) in enumerate(zip(english, chinese, strict=False), 1):
        assert here.level == there.level, (
            f"heading {number} of {name} is '{here.heading}', in Chinese '{there.heading}'"
        )
    more = [f"'{section.heading}'" for section in (english[len(chinese) :] or chinese[len(english) :])]
    assert not more, f"{name} has {len(english)} headings, {PAIRS[name]} has {len(chinese)}; without a pair: {more}"


@pytest.mark.parametrize("name", NAMES)
def test_blocks_of_code_are_the_same(name: str) -> None:
    problems = []
    for where, english, chinese in both(name):
        if len(english.blocks) != len(chinese.blocks):
            problems.append(
                f"{where}: {len(english.blocks)} blocks of code in English, {len(chinese.blocks)} in Chinese"
            )
        for number, (here, there) in enumerate(zip(english.blocks, chinese.blocks, strict=False), 1):
            problems += differ(f"{where}, block {number}", here, there)
            if sorted(here) == sorted(there) and here != there:
                problems.append(f"{where}, block {number}: the lines stand in another order")
    assert not problems, told(problems)


@pytest.mark.parametrize("name", NAMES)
def test_tables_have_the_same_rows_code_words_and_numbers(name: str) -> None:
    problems = []
    for where, english, chinese in both(name):
        if len(english.rows) != len(chinese.rows):
            problems += [f"{where}: {len(english.rows)} rows in English, {len(chinese.rows)} in Chinese"]
            problems += differ(f"{where}, rows by their code words", map(marks, english.rows), map(marks, chinese.rows))
            continue
        for here, there in zip(english.rows, chinese.rows, strict=True):
            row = f"{where}, row '{cells(here)[0] or here[:60]}'"
            if len(cells(here)) != len(cells(there)):
                problems.append(f"{row}: {len(cells(here))} cells in English, {len(cells(there))} in Chinese")
            problems += differ(f"{row}, code words", codes(here), codes(there))
            problems += differ(f"{row}, numbers", numbers(here), numbers(there))
            for one, other in zip(cells(here), cells(there), strict=False):
                if bool(one) != bool(other):
                    problems.append(f"{row}: the cell '{one or other}' is empty in {'Chinese' if one else 'English'}")
    assert not problems, told(problems)


@pytest.mark.parametrize("name", NAMES)
def test_texts_have_the_same_numbers_code_words_and_items(name: str) -> None:
    problems = []
    for where, english, chinese in both(name):
        problems += differ(f"{where}, numbers", numbers(english.words), numbers(chinese.words))
        problems += differ(f"{where}, code words", codes(english.words), codes(chinese.words))
        for what in ("paragraphs", "items"):
            here, there = getattr(english, what), getattr(chinese, what)
            if here != there:
                problems.append(f"{where}: {here} {what} of text in English, {there} in Chinese")
    assert not problems, told(problems)


def leads_to(page: str, link: str) -> str:
    """Return the page and the heading that a link on an English page leads to, in Chinese where there is a page."""
    place, _, anchor = link.partition("#")
    if "://" in place:
        return link
    target = os.path.normpath(Path(page).parent / place) if place else page
    if target in PAIRS:
        headings = [section.anchor for section in sections(target)]
        assert not anchor or anchor in headings, f"{page} links to {link}: no such heading in {target}"
        anchor = sections(PAIRS[target])[headings.index(anchor)].anchor if anchor else ""
    return f"{PAIRS.get(target, target)}{f'#{anchor}' if anchor else ''}"


def lies_at(page: str, link: str) -> str:
    """Return where a link on a Chinese page leads to."""
    place, _, anchor = link.partition("#")
    if "://" in place:
        return link
    target = os.path.normpath(Path(page).parent / place) if place else page
    return f"{target}{f'#{anchor}' if anchor else ''}"


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_the_chinese_page_where_there_is_one(name: str) -> None:
    problems = []
    for where, english, chinese in both(name):
        here = (leads_to(name, link) for _, link in LINK.findall("\n".join([english.words, *english.rows])))
        there = (lies_at(PAIRS[name], link) for _, link in LINK.findall("\n".join([chinese.words, *chinese.rows])))
        problems += differ(f"{where}, links", here, there)
    assert not problems, told(problems)


@pytest.mark.parametrize("name", NAMES)
def test_the_text_is_chinese(name: str) -> None:
    """At least a quarter of what is no code, link or table is in Chinese characters: the page is no copy."""
    text = CODE.sub("", LINK.sub(r"\1", "\n".join(section.words for section in sections(PAIRS[name]))))
    count = sum("一" <= char <= "鿿" for char in text)
    assert count > len(text) / 4, f"{PAIRS[name]}: {count} of {len(text)} characters are Chinese"


@pytest.mark.parametrize(
    ("edit", "check", "said"),
    [
        (("$ lwmport list\n", "$ lwmport lst\n"), test_blocks_of_code_are_the_same, "lwmport lst"),
        (("24 GB", "32 GB"), test_texts_have_the_same_numbers_code_words_and_items, "'24'"),
        (("`--taps`", "`--tap`"), test_texts_have_the_same_numbers_code_words_and_items, "'--taps'"),
        (("`ascend-npu`, ", ""), test_tables_have_the_same_rows_code_words_and_numbers, "'ascend-npu'"),
        (("不区分大小写", "\n\n不区分大小写"), test_texts_have_the_same_numbers_code_words_and_items, "paragraphs"),
        (("| LLaMA、", "LLaMA、"), test_tables_have_the_same_rows_code_words_and_numbers, "6 rows in English, 5 in"),
        (("\n## ", "\n### "), test_headings_are_the_same, "heading 2"),
        (("](docs/port.md)", "](docs/session.md)"), test_links_lead_to_the_chinese_page_where_there_is_one, "port.md"),
    ],
)  # fmt: skip
def test_what_is_out_of_step_is_named(
    edit: tuple[str, str], check: Callable[[str], None], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in {*PAIRS, *PAIRS.values()}:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text((ROOT / path).read_text(encoding="utf-8"), encoding="utf-8")
    page = tmp_path / "README.zh-CN.md"
    page.write_text(page.read_text(encoding="utf-8").replace(*edit, 1), encoding="utf-8")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    with pytest.raises(AssertionError, match=re.escape(said)):
        check("README.md")
