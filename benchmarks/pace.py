"""Our sessions against ik_llama.cpp at 4 and 8 bits, from the start on: ``python benchmarks/pace.py --help``.

One command for a quiet machine. It converts the same seeded weights of 7B's width (4 layers) for both, with groups of
32 and of more, and races in turns: opening beside reading the files, prefill, and single tokens behind it. What a token
at each length takes beside reading its weights and its cache, ``decode.py`` says of a folder that ``--keep`` leaves.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from interpreters import OWN
from measure import race, ratios
from pace_runners import OPEN, PREFILL, STAGES, Opening, Ours, Theirs
from processes import say
from tables import aligned
from workers import Worker

READING: Final = "reading"
FIELDS: Final = ("--component", "llama", "--config", "7b", "--no-validate")


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Options of ``lwmport convert``, what opens the result, and whose seconds are 1."""

    options: tuple[str, ...]
    opened: Callable[[Opening], Any]
    baseline: str


def _ours(kind: str, group: int, baseline: str) -> Contender:
    options = ("--to", "onnx", "--dialect", "ort", "--batch", "1", "--quantize", kind, "--group-size", str(group))
    return Contender(options=options, opened=Ours, baseline=baseline)


def _theirs(kind: str) -> Contender:
    options = ("--to", "gguf", "--tokenizer", "none", "--quantize", kind)
    return Contender(options=options, opened=Theirs, baseline=kind)


CONTENDERS: Final = {
    "q4_0": _theirs("q4_0"),
    "w4a8, groups of 32": _ours("w4a8", 32, "q4_0"),
    "w4a8, groups of 64": _ours("w4a8", 64, "q4_0"),
    "w4a8, groups of 128": _ours("w4a8", 128, "q4_0"),
    "q8_0": _theirs("q8_0"),
    "w8a8, groups of 32": _ours("w8a8", 32, "q8_0"),
    "w8a8, groups of 128": _ours("w8a8", 128, "q8_0"),
}
"""Who takes part. Groups of 64 are as many bits as Q4_0, those of 32 as fine: our scales are float32."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert, race, and print."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.work, prefix="lwmport-benchmark-") as scratch:
        work = options.keep or Path(scratch)
        rows = [["stage", "contender", "ms (best)", "seconds by llama.cpp's", "by reading"]]
        for baseline in dict.fromkeys(CONTENDERS[name].baseline for name in options.only):
            names = [name for name in options.only if CONTENDERS[name].baseline == baseline]
            folders = {name: _converted(name, work, options.layers) for name in names}
            rows += _raced(folders, baseline, options)
        print(aligned(rows))


def _converted(name: str, work: Path, layers: int) -> Path:
    """Return the folder of a contender's model, which is converted if it is not there."""
    out = work / name.replace(", ", "-").replace(" ", "-")
    if not out.exists():
        say(f"convert {name}")
        chosen = ("--set", f"num_hidden_layers={layers}", *CONTENDERS[name].options, "--out", str(out))
        command = [sys.executable, "-m", "lwmport", "convert", *FIELDS, *chosen]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out


def _raced(folders: Mapping[str, Path], baseline: str, options: argparse.Namespace) -> list[list[str]]:
    """Return the rows of all stages of some contenders: each in a process of its own, one at a time."""
    with ExitStack() as stack:
        workers = {name: stack.enter_context(closing(_worker(name, path, options))) for name, path in folders.items()}
        rows = []
        for stage in STAGES:
            say(f"race {stage} of {', '.join(workers)}")
            turns = {name: partial(_turn, worker, stage) for name, worker in workers.items()}
            if stage == OPEN:
                turns |= {f"{READING} {name}": partial(_turn, worker, READING) for name, worker in workers.items()}
            for turn in turns.values():
                turn()
            rows += _told(stage, race(turns, options.rounds), baseline)
    return rows


def _worker(name: str, folder: Path, options: argparse.Namespace) -> Worker:
    theirs = CONTENDERS[name].opened is Theirs
    case = Opening(path=str(folder), threads=options.threads, prompt=options.prefill, new=options.decode)
    return Worker(name, CONTENDERS[name].opened, case, options.llama_cpp if theirs else OWN)


def _turn(worker: Worker, stage: str) -> float:
    seconds: float = worker.run({stage: True}).outputs["seconds"]
    return seconds


def _told(stage: str, seconds: Mapping[str, Sequence[float]], baseline: str) -> list[list[str]]:
    """Return the rows of a stage; a ratio is of seconds within one round."""
    rows = []
    beside = ratios(seconds, baseline) if baseline in seconds else {}
    for name, own in seconds.items():
        reading = f"{READING} {name}"
        read = ratios({name: own, reading: seconds[reading]}, reading)[name] if reading in seconds else None
        times = f"{1e3 * median(own):.1f} ({1e3 * min(own):.1f})"
        told = [f"{one.median:.2f} ({one.low:.2f}-{one.high:.2f})" if one else "" for one in (beside.get(name), read)]
        rows.append([stage, name, times, *told])
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--llama-cpp", required=True, metavar="PYTHON", help="a Python with ik-llama-cpp-python 0.1.5")
    add("--only", nargs="+", choices=tuple(CONTENDERS), default=tuple(CONTENDERS), metavar="NAME")
    add("--layers", type=int, default=4, help="layers of 7B's width (default: 4)")
    add("--threads", type=int, default=2)
    add("--prefill", type=int, default=512, help=f"tokens of the {PREFILL} (default: 512)")
    add("--decode", type=int, default=32, help="single tokens behind it (default: 32)")
    add("--rounds", type=int, default=7)
    add("--work", type=Path, help="where the models are kept for as long as it runs: 6 GB")
    add("--keep", type=Path, metavar="FOLDER", help="keep them here, and use those that are here already")
    return parser


if __name__ == "__main__":
    main()
