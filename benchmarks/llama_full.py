"""The conversion of a whole checkpoint beside ``cp`` of the same bytes, in turns, each from a cold disk cache."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from measure import Ratio, race, ratios
from processes import watch
from tables import aligned, gigabytes

HEADINGS = ("run", "seconds, median (best)", "ratio, median (min-max)", "bytes", "RssAnon, peak", "predicted")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One turn: wall seconds of the whole command with its fsync, bytes written, and memory, sampled and predicted."""

    seconds: float
    written_bytes: int
    peak_anonymous_bytes: int
    predicted_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Full:
    """All turns of ``cp`` and of the conversion; the ratio is of the conversion's seconds to those of ``cp``."""

    runs: Mapping[str, tuple[Run, ...]]
    ratio: Ratio


def measure_full(checkpoint: Path, config: str, work: Path, rounds: int) -> Full:
    """Return what converting a LLaMA's stream to float16 ONNX takes beside copying it; each output is deleted again.

    Args:
        checkpoint: LWM's stream.
        config: its configuration, by name or as a file.
        work: a folder on the disk to measure, with room for one output.
        rounds: how often both run.
    """
    turns = {"cp": partial(_copy, checkpoint, work), "lwmport": partial(_convert, checkpoint, config, work)}
    runs = {name: tuple(found) for name, found in race(turns, rounds).items()}
    seconds = {name: [run.seconds for run in found] for name, found in runs.items()}
    return Full(runs=runs, ratio=ratios(seconds, "cp")["lwmport"])


def full_markdown(full: Full) -> str:
    """Return the turns as a table."""
    return aligned([list(HEADINGS), *(_row(name, runs, full.ratio) for name, runs in full.runs.items())])


def _row(name: str, runs: tuple[Run, ...], ratio: Ratio) -> list[str]:
    seconds = [run.seconds for run in runs]
    predicted = runs[-1].predicted_bytes
    own = name != "cp"
    return [
        "lwmport convert --precision float16" if own else "cp, fsync",
        f"{median(seconds):.1f} ({min(seconds):.1f})",
        f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})" if own else "1.00",
        f"{runs[-1].written_bytes:,}",
        gigabytes(max(run.peak_anonymous_bytes for run in runs)),
        "" if predicted is None else gigabytes(predicted),
    ]


def _copy(checkpoint: Path, work: Path) -> Run:
    copy = work / "copy"
    _settle(checkpoint)
    start = time.perf_counter()
    process = subprocess.Popen([_tool("cp"), str(checkpoint), str(copy)])
    peak = watch(process).anonymous_bytes
    _check(process.returncode, "cp")
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    seconds = time.perf_counter() - start
    written = copy.stat().st_size
    copy.unlink()
    return Run(seconds=seconds, written_bytes=written, peak_anonymous_bytes=peak)


def _convert(checkpoint: Path, config: str, work: Path) -> Run:
    out, log = work / "onnx", work / "found.json"
    arguments = ["--component", "llama", "--config", config, "--to", "onnx", "--precision", "float16"]
    arguments += ["--no-validate", "--json", "--checkpoint", f"params::{checkpoint}", "--out", str(out)]
    _settle(checkpoint)
    start = time.perf_counter()
    with log.open("wb") as stream:
        process = subprocess.Popen([sys.executable, "-m", "lwmport", "convert", *arguments], stdout=stream)
        peak = watch(process).anonymous_bytes
    seconds = time.perf_counter() - start
    _check(process.returncode, "lwmport convert")
    found: dict[str, Any] = json.loads(log.read_text(encoding="utf-8"))
    written = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    shutil.rmtree(out)
    predicted = (found["plan"] or {}).get("peak_bytes")
    return Run(seconds=seconds, written_bytes=written, peak_anonymous_bytes=peak, predicted_bytes=predicted)


def _settle(checkpoint: Path) -> None:
    """Write out what is still to be written, and forget the checkpoint's pages: nobody reads it from memory."""
    os.sync()
    with checkpoint.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"expected {name} on the path, found none")
    return found


def _check(code: int, what: str) -> None:
    if code:
        raise RuntimeError(f"{what} ended with exit code {code}")
