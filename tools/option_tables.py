"""Write the tables of options in the documents anew: ``python tools/option_tables.py``.

A table stands between the lines ``<!-- options: COMMAND -->`` and ``<!-- end of options -->``.
"""

import re
from pathlib import Path
from typing import Final

from lwmport.options import OPTIONS, Kind, Option

DOCUMENTS: Final = {"convert": "docs/convert.md", "port": "docs/port.md"}
"""Command -> the document that lists its options; those that an earlier document lists are left out."""

END: Final = "<!-- end of options -->"


def table(command: str) -> str:
    """Return the rows of a command's own options as Markdown."""
    earlier = list(DOCUMENTS)[: list(DOCUMENTS).index(command)]
    own = [item for item in OPTIONS if command in item.commands and not set(earlier) & set(item.commands)]
    return "\n".join(["| option | meaning |", "| --- | --- |", *map(_row, own)])


def filled(text: str, command: str) -> str:
    """Return a document with the table of a command in its place."""
    start = f"<!-- options: {command} -->"
    pattern = re.compile(f"{re.escape(start)}\n.*?{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{start}\n\n{table(command)}\n\n{END}", text)


def _row(option: Option) -> str:
    words = [option.flag, option.off] if option.kind is Kind.SWITCH else [f"{option.flag} {option.form}".strip()]
    shown = ", ".join(f"`{word}`" for word in words).replace("|", r"\|")
    told = option.kind not in (Kind.SWITCH, Kind.FLAG) and option.default not in (None, "", ())
    usual = f" (`{option.default}` by default)" if told else ""
    also = "".join(f" `{command}`: {sentence}" for command, sentence in option.also.items())
    more = f" {option.more}." if option.more else ""
    return f"| {shown} | {option.help.removesuffix('.')}{usual}.{also}{more} |"


def main() -> None:
    """Write every document."""
    for command, name in DOCUMENTS.items():
        path = Path(__file__).parents[1] / name
        path.write_text(filled(path.read_text(encoding="utf-8"), command), encoding="utf-8")


if __name__ == "__main__":
    main()
