"""This machine's processor: ONNX Runtime's optimised model, OpenVINO's IR, or the file as it is."""

import math
import os
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport import atomic, memory
from lwmport.errors import MissingExtraError, RunnerError, UsageError
from lwmport.runtime import RUNNERS
from lwmport.runtime.weighing import held_bytes
from lwmport.targets.compile.job import Job, check_gears, check_job
from lwmport.targets.compile.samples import samples
from lwmport.types import Array, Compilation, Runner, Status

ENGINES: Final = {
    "onnx": ("onnxruntime", "openvino"),
    "tflite": ("litert", "openvino"),
    "saved_model": ("tensorflow",),
    "frozen_graph": ("tensorflow",),
}
"""Format -> what may run it here, the usual one first; ``--soc`` names another."""

LEAST_DB: Final = {"float32": 60.0, "bfloat16": 20.0}
"""The least signal-to-noise ratio against the artifact itself, on samples. Another order of sums costs float32 some
digits of its 140 dB, bfloat16 has 8 bits; what is lost beyond is a compiler's mistake. How accurate the result is, is
for ``lwmport validate`` to say."""

LEAST_EQUAL: Final = {"float32": 1.0, "bfloat16": 0.9}
"""The least share of integers that are equal: 8 bits move values over the edge between two codes, now and then."""


@dataclass(frozen=True, kw_only=True)
class _Made:
    files: tuple[Path, ...]
    open: Callable[[], Runner]


@dataclass(frozen=True, kw_only=True)
class _Verdict:
    """Why an output is wrong, if it is. ``moved``: some integers differ; ``follows``: numbers that may follow."""

    detail: str
    reason: str = ""
    moved: bool = False
    follows: bool = False


def compile_artifact(job: Job, out: Path) -> Compilation:
    """Compile for this processor, run the result beside the artifact, and return the verdict.

    Raises:
        UsageError: the format has no such engine, the engine no such precision, or the model no such dimensions.
    """
    check_job(job, "cpu", tuple(ENGINES), tuple(LEAST_DB))
    if job.gears:
        check_gears(job, (1, 1))
    engine = job.soc or ENGINES[job.format][0]
    if engine not in ENGINES[job.format]:
        raise UsageError(
            f"expected --soc out of {', '.join(ENGINES[job.format])} for {job.format} on the cpu, found {engine}"
        )
    if job.precision != "float32" and engine != "openvino":
        raise UsageError(f"expected float32 for {engine}, found {job.precision}; use --soc openvino")
    with atomic.new_folder(out) as scratch:
        status, reason, details = _attempt(job, engine, scratch)
        if status is Status.FAILED:
            for path in scratch.iterdir():
                path.unlink()
        files = tuple(sorted(path.name for path in scratch.iterdir()))
    return Compilation(
        component=job.name,
        artifact=job.path.name,
        target="cpu",
        tool=engine,
        status=status,
        reason=reason,
        folder=os.path.relpath(job.path.parent, out),
        commands=(_command(job, engine, out),),
        files=files,
        products=files,
        details={"precision": job.precision, **details},
    )


def _attempt(job: Job, engine: str, scratch: Path) -> tuple[Status, str, dict[str, Any]]:
    if not job.run:
        return Status.SKIPPED, "not run: --dry-run", {}
    size = held_bytes(job.path)
    if memory.is_scarce(size):
        return Status.SKIPPED, _scarcity(job, engine, size), {}
    given = samples(job.signature.inputs, job.gears[0] if job.gears else {})
    try:
        expected, _ = _timed(RUNNERS[job.path.suffix](job.path, 1), given)
        made = _make(job, engine, scratch)
        found, seconds = _timed(made.open(), given)
    except MissingExtraError as error:
        return Status.SKIPPED, str(error), {}
    except RunnerError as error:
        return Status.FAILED, str(error), {}
    details = {"seconds": f"{seconds:.4f}"}
    verdicts = {name: _compare(name, array, found.get(name), job.precision) for name, array in expected.items()}
    changed = [name for name, verdict in verdicts.items() if verdict.moved]
    for name, verdict in verdicts.items():
        follows = changed and verdict.follows
        details[name] = f"not judged: {verdict.detail}" if follows else verdict.detail
        if verdict.reason and not follows:
            return Status.FAILED, verdict.reason, details
    kept = ", ".join(path.name for path in made.files)
    word = f"{kept} runs" if kept else f"{job.path.name} needs no compilation: it loads and runs"
    left = [name for name, verdict in verdicts.items() if verdict.follows]
    return Status.PASSED, f"{word} in {engine}{_agreement(job, changed, left)}", details


def _scarcity(job: Job, engine: str, size: int) -> str:
    return (
        f"expected at least {2 * size:,} bytes of memory for {engine} to rewrite {job.path.name}, found "
        f"{memory.total_bytes():,}; run the command on a larger machine, or run {job.path.name} as it is"
    )


def _agreement(job: Job, changed: list[str], left: list[str]) -> str:
    """Return how near the outputs are, in words: those that follow changed integers were not judged."""
    if left:
        return f"; not judged: {', '.join(left)}, for integers of {', '.join(changed)} changed that they may follow"
    but = f", but for some integers of {', '.join(changed)}" if changed else ""
    return f" and agrees with {job.path.name} on samples{but}"


def _make(job: Job, engine: str, scratch: Path) -> _Made:
    if engine == "onnxruntime":
        from lwmport.runtime.optimised import write_optimised
        from lwmport.targets.fix.shadows import mend_shadows

        graph, data = write_optimised(job.path, scratch / f"{job.name}.optimised.onnx")
        mend_shadows(graph)
        files = (graph, data) if data.exists() else (graph,)
        return _Made(files=files, open=lambda: RUNNERS[".onnx"](graph, 1))
    if engine == "openvino":
        from lwmport.runtime.openvino import OpenVinoRunner, write_ir

        xml, weights = write_ir(job.path, scratch / f"{job.name}.xml", job.public)
        return _Made(files=(xml, weights), open=lambda: OpenVinoRunner(xml, 1, job.precision))
    return _Made(files=(), open=lambda: RUNNERS[job.path.suffix](job.path, 1))


def _timed(runner: Runner, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], float]:
    """Return the outputs of a first run and the seconds of a second one, on one thread."""
    outputs = runner.run(inputs)
    start = time.perf_counter()
    runner.run(inputs)
    return outputs, time.perf_counter() - start


def _compare(name: str, expected: Array, found: Array | None, precision: str) -> _Verdict:
    """Return how near an output is to the artifact's own."""
    if found is None or found.shape != expected.shape or found.dtype != expected.dtype:
        shape = "nothing" if found is None else f"{found.dtype}{list(found.shape)}"
        wanted = f"{expected.dtype}{list(expected.shape)}"
        return _Verdict(reason=f"expected {name} as {wanted}, found {shape}", detail="wrong")
    if not np.issubdtype(expected.dtype, np.floating):
        share = float(np.mean(expected == found)) if expected.size else 1.0
        low = share < LEAST_EQUAL[precision]
        wanted = f", expected at most {1 - LEAST_EQUAL[precision]:.0%}"
        reason = f"{name}: {1 - share:.2%} of the integers differ{wanted}" if low else ""
        return _Verdict(reason=reason, detail=f"{share:.2%} equal", moved=share < 1)
    ratio, least = sqnr(expected, found), LEAST_DB[precision]
    detail = "equal" if ratio == math.inf else f"{ratio:.1f} dB"
    if ratio >= least:
        return _Verdict(detail=detail)
    reason = f"{name}: {ratio:.1f} dB from the artifact's own output, expected at least {least:.0f} dB"
    return _Verdict(reason=reason, detail=detail, follows=bool(np.isfinite(found).all()))


def sqnr(expected: Array, found: Array) -> float:
    """Return the ratio of signal to error in dB, in float64; a NaN in either gives NaN."""
    wide = expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        error = float(np.square(wide - found.astype(np.float64)).sum())
    signal = float(np.square(wide).sum())
    if error == 0:
        return math.inf
    return 10 * math.log10(signal / error) if signal > 0 and error > 0 else math.nan if math.isnan(error) else -math.inf


def _command(job: Job, engine: str, out: Path) -> str:
    words = ["lwmport", "compile", job.path.name, "--target", "cpu", "--soc", engine, "--precision", job.precision]
    return shlex.join([*words, "--out", os.path.relpath(out, job.path.parent)])
