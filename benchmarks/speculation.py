"""What guessing tokens is worth on real texts: tokens a second with and without, and how many guesses are right.

``python benchmarks/speculation.py MODEL [--draft MODEL]``; both are folders of ``lwmport assemble``.

Each text is answered by everyone in turn, greedily, and each round starts with the next one: ratios are of the same
round. Seconds are those behind the first token; what a draft reads of the prompt is within them.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
from measure import race, ratios
from tables import aligned

from lwmport.generation.guesses import Guesses
from lwmport.generation.tokenizer import Tokenizer
from lwmport.generation.tokens import Prompt, Wish, new_tokens
from lwmport.pipeline.assemble.package import open_package
from lwmport.pipeline.generate.guessing import Guessing, open_guesses
from lwmport.pipeline.session import Session

PLAIN: Final = "plain"
CODE: Final = '''def total_price(items, tax_rate):
    """Return the price of all items with tax."""
    subtotal = 0.0
    for item in items:
        if item.quantity < 0:
            raise ValueError("quantity must not be negative")
        subtotal += item.price * item.quantity
    discount = 0.1 * subtotal if subtotal > 100 else 0.0
    return (subtotal - discount) * (1 + tax_rate)
'''
TEXTS: Final[Mapping[str, str]] = {
    "edits code": f"Rename the variable subtotal to amount in this code and print the whole code again.\n\n{CODE}",
    "free text": "Write a short story about a lighthouse keeper who finds a letter in a bottle.",
    "a list": "List the twelve months of the year, each with its number of days and its season, one a line.",
}
CHAT: Final = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
"""ChatML, which SmolLM2-Instruct was trained on; ``--template`` has another one."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What guesses were worth for one text: rates and processor time by those of `PLAIN` in the same round."""

    text: str
    way: str
    rate: float
    lowest: float
    highest: float
    processor: float
    proposed: int
    accepted: int
    per_run: float
    same: bool


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    package = open_package(options.model)
    tokenizer, mode = Tokenizer(package.tokenizer), package.family.modes["text"]
    ways = {f"lookup {count}": Guessing(lookup=count) for count in options.lookup}
    if options.draft:
        ways |= {f"draft {n}": Guessing(draft=options.draft, draft_tokens=n) for n in options.draft_tokens}
    with Session(package.language, threads=options.threads) as session, ExitStack() as stack:
        opened = {
            name: open_guesses(way, session, mode, threads=options.threads, tokenizer=tokenizer)
            for name, way in ways.items()
        }
        for guesses in filter(None, opened.values()):
            stack.callback(guesses.close)
        wish = Wish(count=options.new_tokens, mode=mode)
        rows = [
            row
            for name, text in TEXTS.items()
            for row in _rows(name, _prompt(tokenizer, options.template, text), session, wish, opened, options.rounds)
        ]
    head = ["text", "way", "rate by plain, median (min-max)", "processor", "accepted", "tokens a run", "same text"]
    print(aligned([head, *map(_cells, rows)]))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def _prompt(tokenizer: Tokenizer, template: str, text: str) -> Prompt:
    return Prompt(ids=np.asarray([tokenizer.encode(template.format(text))], np.int64))


def _rows(
    name: str,
    prompt: Prompt,
    session: Session,
    wish: Wish,
    ways: Mapping[str, Guesses | None],
    rounds: int,
) -> list[Row]:
    """Return what each way of guessing is worth for one text."""
    said: dict[str, list[int]] = {}
    work: dict[str, list[float]] = {}

    def answer(way: str) -> float:
        guesses, times = ways.get(way), list[float]()
        if guesses is not None:
            guesses.forget()
        tokens = []
        for ids in new_tokens(session, prompt, wish, guesses=guesses):
            tokens.append(int(ids[0]))
            if len(tokens) == 1:
                times += [time.perf_counter(), time.process_time()]
        said[way] = tokens
        work.setdefault(way, []).append(time.process_time() - times[1])
        return time.perf_counter() - times[0]

    turns: dict[str, Callable[[], float]] = {way: partial(answer, way) for way in (PLAIN, *ways)}
    for turn in turns.values():
        turn()
    taken = race(turns, rounds)
    found = ratios(taken, PLAIN)
    rows = []
    for way, guesses in ways.items():
        told = guesses.guessed if guesses is not None else None
        if told is None:
            continue
        rows.append(
            Row(
                text=name,
                way=way,
                rate=1 / found[way].median,
                lowest=1 / found[way].high,
                highest=1 / found[way].low,
                processor=median(work[way]) / median(work[PLAIN]),
                proposed=told.proposed,
                accepted=told.accepted,
                per_run=told.per_run,
                same=said[way] == said[PLAIN],
            )
        )
    return rows


def _cells(row: Row) -> list[str]:
    rate = f"{row.rate:.2f} ({row.lowest:.2f}-{row.highest:.2f})"
    accepted = f"{row.accepted} of {row.proposed}"
    return [
        row.text,
        row.way,
        rate,
        f"{row.processor:.2f}",
        accepted,
        f"{row.per_run:.2f}",
        "yes" if row.same else "no",
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add: Any = parser.add_argument
    add("model", type=Path, help="a folder of lwmport assemble")
    add("--draft", type=Path, help="a smaller one with the same tokenizer")
    add("--lookup", type=int, nargs="*", default=[4, 7], help="tokens of a guess from the text")
    add("--draft-tokens", type=int, nargs="*", default=[2, 4], help="tokens of a guess of the draft")
    add("--new-tokens", type=int, default=128, help="tokens of an answer")
    add("--rounds", type=int, default=5)
    add("--threads", type=int, default=2)
    add("--template", default=CHAT, help="how a question is written, with {} for it")
    add("--json", type=Path, help="the rows as a file")
    return parser


if __name__ == "__main__":
    main()
