"""The answer of a report that passed, in Chinese: the sentences of `lwmport.reports.answer` by their patterns."""

import re
from collections.abc import Callable, Mapping
from typing import Final

SENTENCES: Final = re.compile(r"(?<=\.) (?=[A-Z])|(?<=\.) (?=\S+(?:, \S+)*: numerically )")
"""Where one sentence ends and the next one begins; a number with a point in it is not such a place."""

WORDS: Final[Mapping[str, str]] = {
    r"(\d+) photographs?": r"\1 张照片",
    r"(\d+) golden samples?": r"\1 个 golden 样本",
    r"(\d+) samples?": r"\1 个样本",
    r"(\d+) cases?": r"\1 个用例",
    r"a text, (\d+) tokens at once": r"一段文本，一次 \1 个 token",
    "seeded numbers": "由种子生成的数值",
    "a CPU": "CPU",
}
"""What models were run on, as a pattern -> in Chinese; anything else stays as it is."""


def in_chinese(answer: str) -> str:
    """Return an answer in Chinese; nothing where a sentence is none of those that a passed report has."""
    found = [_sentence(text) for text in SENTENCES.split(answer)] if answer else []
    return "".join(found) if all(found) else ""


def _sentence(text: str) -> str:
    for pattern, write in _WRITTEN.items():
        match = re.fullmatch(pattern, text)
        if match:
            return write(match)
    return ""


def _equal(match: re.Match[str]) -> str:
    whose = f"{_list(match['whose'])}：" if match["whose"] else ""
    places = " 和".join(map(_place, match["places"].split(" and on ")))
    count, reference = match["count"], match["reference"].replace(" and ", "、")
    return f"{whose}在{places}上数值一致：{count} 个输出中有 {count} 个与 {reference} 一致，每个值都在容差之内。"


def _place(text: str) -> str:
    match = re.fullmatch(r"(?P<where>.+?)(?: \((?P<words>.+)\))?", text.removeprefix("on "))
    where, words = (match["where"], match["words"]) if match else (text, None)
    return f" {_word(where)}" + (f"（{'；'.join(map(_word, words.split(' and ')))}）" if words else " ")


def _word(text: str) -> str:
    found = ((pattern, chinese) for pattern, chinese in WORDS.items() if re.fullmatch(pattern, text))
    return next((re.sub(pattern, chinese, text) for pattern, chinese in found), text)


def _list(names: str) -> str:
    return re.sub(r"and (\d+) more", r"等（另有 \1 个）", names).replace(", ", "、")


_WRITTEN: Final[Mapping[str, Callable[[re.Match[str]], str]]] = {
    r"(?:(?P<whose>.+): n|N)umerically equal (?P<places>on .+): (?P<count>\d+) of \d+ outputs agree with "
    r"(?P<reference>.+), every value within tolerance\.": _equal,
    r"Not judged here: (.+)\.": lambda match: f"此处未判定：{_list(match[1])}。",
    r"Not compiled for, not run on (.+)\.": lambda match: f"尚未针对 {match[1]} 编译，也未在其上运行。",
    r"Compiled for (.+), not run on it\.": lambda match: f"已针对 {match[1]} 编译，尚未在其上运行。",
    r"Compiled for (.+), run on it and equal\.": lambda match: f"已针对 {match[1]} 编译，已在其上运行，数值一致。",
}
"""A sentence of a passed report, as a pattern -> what writes it in Chinese."""
