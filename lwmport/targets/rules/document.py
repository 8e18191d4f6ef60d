"""The rules as pages for people, in English and in Chinese: ``python -m lwmport.targets.rules.document docs``."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport import atomic
from lwmport.targets.registry import TARGETS
from lwmport.targets.rules.rule import Rule


@dataclass(frozen=True, kw_only=True)
class Language:
    """What a page says around the cells that the rules themselves hold.

    Attributes:
        intro: title, link to the page in the other language, and what the page is.
        page: what leads to the page of a target, with its file's name for ``{}``.
        columns: the heads of the columns.
        words: a word in a cell -> how this language says it; all others stay.
    """

    intro: str
    page: str
    columns: tuple[str, ...]
    words: Mapping[str, str]


ENGLISH: Final = Language(
    intro="""\
# Rules

[简体中文](../zh/targets/rules.md)

What `lwmport check` looks for. An error: the vendor's tool fails, or its numbers are wrong. A warning: it
may. A note: good to know. `--fix` mends those that are marked, if the numbers stay. Made from the rules
themselves by `python -m lwmport.targets.rules.document`.

- rule: its name, in reports and in what `lwmport check` prints.
- severity: error, warning or note.
- about: what the rule looks at.
- formats: the formats of files that it is about.
- the vendor's tool: the code or the words of its message; where it says nothing, what happens.
- what to do: how to change the model, or which option to add.
- source: the vendor's document, code or run that the rule rests on.
""",
    page="Page: [{0}]({0}).",
    columns=("rule", "severity", "about", "formats", "the vendor's tool", "what to do", "`--fix`", "source"),
    words={},
)

CHINESE: Final = Language(
    intro="""\
# 规则

[English](../../targets/rules.md)

`lwmport check` 检查的内容。错误：厂商的工具会失败，或得出错误的数值。警告：有可能如此。提示：值得知道。
标有“是”的规则可以由 `--fix` 修复，前提是数值不变。本页由 `python -m lwmport.targets.rules.document` 从规则本身生成。
表格单元格保留英文：它们就是 `lwmport check` 打印的文字，其中引用的厂商报错可以直接搜索。各列的含义如下。

- 规则：编号，报告和 `lwmport check` 的输出都使用它。
- 级别：错误、警告或提示。
- 检查内容：这条规则看什么。
- 格式：适用于哪些文件格式。
- 厂商工具的表现：报错的代码或原文；如果不报错，则说明实际会发生什么。
- 处理方法：怎样修改模型，或应该加什么选项。
- 出处：规则所依据的厂商文档、源代码或实测。
""",
    page="说明页：[{0}]({0})。",
    columns=("规则", "级别", "检查内容", "格式", "厂商工具的表现", "处理方法", "`--fix`", "出处"),
    words={"error": "错误", "warning": "警告", "note": "提示", "yes": "是"},
)

PAGES: Final = {"targets/rules.md": ENGLISH, "zh/targets/rules.md": CHINESE}
"""A page, from the folder of the documents, and its language."""


def markdown(language: Language) -> str:
    """Return the page in a language: a table for each target."""
    parts = [language.intro.rstrip()]
    for name in TARGETS.table:  # those of other packages have pages of their own
        target = TARGETS[name]
        parts += [
            f"\n## {target.title}\n",
            f"{language.page.format(f'{name}.md')}\n",
            f"| {' | '.join(language.columns)} |",
            f"|{' --- |' * len(language.columns)}",
            *(_row(rule, language) for rule in target.rule_table),
        ]
    return "\n".join(parts) + "\n"


def _row(rule: Rule, language: Language) -> str:
    forms = ", ".join(rule.forms)
    severity, mark = (language.words.get(word, word) for word in (rule.severity, "yes" if rule.fixable else ""))
    cells = (rule.id, severity, rule.title, forms, rule.vendor, rule.fix, mark, rule.source)
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    for place, words in PAGES.items():
        with atomic.new_file(Path(sys.argv[1]) / place) as page:
            page.write(markdown(words).encode())
