"""A layer of a language model in ONNX Runtime, float32 and quantised: ``python benchmarks/quantised_block.py --help``.

It reports ratios. It asserts nothing about seconds, for they are the machine's and the minute's.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measure import race, ratios
from tables import aligned

COMPONENT = "llama-block"
BASELINE = "float32"
KINDS = {BASELINE: "", "w4a16": "w4a16", "w4a8": "w4a8", "w8a8": "w8a8"}
"""Contender -> its kind of quantisation; ``w8a16`` is left out, for ONNX Runtime has no fast kernel for it."""

PAST = 63
"""Tokens in the cache of the one that is decoded."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert, race and print."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.work) as work, ExitStack() as stack:
        runners = {kind: stack.enter_context(closing(_opened(kind, options, Path(work)))) for kind in KINDS}
        cases = {"one token": (1, PAST), f"{options.tokens} tokens": (options.tokens, 0)}
        rows = [row for name, case in cases.items() for row in _rows(name, runners, case, options.rounds)]
        print(aligned([["run", "kind", "ms, median", "ratio, median (min-max)"], *rows]))


def _opened(kind: str, options: argparse.Namespace, work: Path) -> Any:
    """Return one contender, converted and open."""
    import lwmport
    from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner

    chosen = lwmport.Options(quantize=KINDS[kind])
    out = work / kind
    lwmport.convert(component=COMPONENT, format="onnx", config=options.config, options=chosen, validate=False, out=out)
    return OnnxRuntimeRunner(out / f"{COMPONENT}.onnx", options.threads)


def _rows(name: str, runners: Mapping[str, Any], case: tuple[int, int], rounds: int) -> Iterator[list[str]]:
    """Yield a row of the table for each contender."""
    turns: dict[str, Callable[[], float]] = {
        kind: partial(_timed, runner, _inputs(runner, *case)) for kind, runner in runners.items()
    }
    for turn in turns.values():
        turn()
    seconds = race(turns, rounds)
    for kind, ratio in ratios(seconds, BASELINE).items():
        told = f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
        yield [name, kind, f"{median(seconds[kind]) * 1e3:.1f}", told]


def _inputs(runner: Any, tokens: int, past: int) -> dict[str, np.ndarray[Any, Any]]:
    """Return seeded states, an open mask, positions, and an empty or a zero cache."""
    sizes = {"batch": 1, "sequence": tokens, "past": past, "past + sequence": past + tokens}
    found = {}
    for spec in runner.inputs:
        shape = [size if isinstance(size, int) else sizes[size] for size in spec.shape]
        array: Any = np.ones(shape) if "mask" in spec.name else np.zeros(shape)
        if spec.name == "hidden_states":
            array = np.random.default_rng(0).standard_normal(shape)
        if spec.name == "position_ids":
            array = past + np.arange(tokens)[None]
        found[spec.name] = array.astype(spec.dtype)
    return found


def _timed(runner: Any, inputs: Mapping[str, Any]) -> float:
    start = time.perf_counter()
    runner.run(inputs)
    return time.perf_counter() - start


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="7b", help="the configuration of the language model")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of the prompt")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--work", type=Path, help="where the models lie meanwhile: 1.5 GB for 7b")
    return parser


if __name__ == "__main__":
    main()
