"""What it is worth to make pictures beside tokens: both at once, by both one after the other.

``python benchmarks/overlap.py LANGUAGE PICTURES``: folders of ``lwmport convert`` of a language model and of a VQGAN.

``decode``: a frame becomes a picture while the language model makes new tokens, as `lwmport generate video` does.
``encode``: a frame becomes codes while the language model reads as many tokens as a frame has, as a question about a
video might. The two ways take turns; ratios are of the same round, and below 1 both at once are faster.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from threading import Thread
from typing import Any

import numpy as np
from measure import race, ratios
from tables import aligned

import lwmport
from lwmport.types import Array

FRAME = 257
"""Tokens of a frame."""

Work = Callable[[], None]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    halves = {"decode": "vqgan-decoder.onnx", "encode": "vqgan-encoder.onnx"}
    rows = [["beside tokens", "both at once, median (min-max)", "processor time", "picture alone", "tokens alone"]]
    with lwmport.Session(options.language, threads=options.threads) as session:
        for name, file in halves.items():
            with lwmport.load(options.pictures / file) as model:
                (spec,) = model.signature.inputs
                picture = partial(_run, model, {spec.name: np.zeros((1, *map(int, spec.shape[1:])), spec.dtype)})
                tokens = partial(_steps, session, options.steps) if name == "decode" else partial(_prefill, session)
                rows.append([name, *_row(picture, tokens, options.rounds)])
    print(aligned(rows))


def _row(picture: Work, tokens: Work, rounds: int) -> list[str]:
    """Return the ratio of seconds and of processor time, and the share of each kind of work alone."""
    work: dict[str, list[float]] = {}

    def timed(name: str, run: Work) -> float:
        start, before = time.perf_counter(), time.process_time()
        run()
        work.setdefault(name, []).append(time.process_time() - before)
        return time.perf_counter() - start

    def one_after_the_other() -> None:
        tokens()
        picture()

    def at_once() -> None:
        beside = Thread(target=picture)
        beside.start()
        tokens()
        beside.join()

    runs = {"apart": one_after_the_other, "at once": at_once, "picture": picture, "tokens": tokens}
    turns = {name: partial(timed, name, run) for name, run in runs.items()}
    for turn in turns.values():
        turn()
    found = ratios(race(turns, rounds), "apart")
    both = found["at once"]
    processor = median(work["at once"]) / median(work["apart"])
    shares = [f"{found[name].median:.2f}" for name in ("picture", "tokens")]
    return [f"{both.median:.2f} ({both.low:.2f}-{both.high:.2f})", f"{processor:.2f}", *shares]


def _run(model: lwmport.Model, inputs: dict[str, Array]) -> None:
    model.run(**inputs)


def _steps(session: Any, count: int) -> None:
    marks = {"vision_masks": np.zeros((1, 1), bool)} if session.has_codes else {}
    session.prefill(np.ones((1, 1), np.int64), **marks)
    for _ in range(count):
        session.step(np.ones((1, 1), np.int64), **marks)


def _prefill(session: Any) -> None:
    marks = {"vision_masks": np.zeros((1, FRAME), bool)} if session.has_codes else {}
    session.prefill(np.ones((1, FRAME), np.int64), **marks)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("language", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--steps", type=int, default=FRAME, help="new tokens that a frame is decoded beside")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    return parser


if __name__ == "__main__":
    main()
