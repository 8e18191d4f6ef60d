"""This machine's processor: ONNX Runtime's optimised model, OpenVINO's IR, or the file as it is."""

import contextlib
import os
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport import disk, memory
from lwmport.errors import MissingExtraError, RunnerError, UsageError
from lwmport.runtime.error_lines import ReportedError
from lwmport.runtime.memory_footprint import held_bytes
from lwmport.runtime.registry import open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.compile.agreement import agreement, together
from lwmport.targets.compile.job import CompileJob, check_gears, check_job
from lwmport.targets.compile.record import results
from lwmport.targets.compile.samples import samples
from lwmport.targets.cpu.target import CPU
from lwmport.types import Array, Compilation, Runner, Status

ENGINES: Final = {
    "onnx": ("onnxruntime", "openvino"),
    "tflite": ("litert", "openvino"),
    "saved_model": ("tensorflow",),
    "frozen_graph": ("tensorflow",),
}
"""Format -> the runners (`lwmport.runtime.registry.RUNNERS`) that may run it here, the usual one first; ``--soc`` names
another."""

PRECISIONS: Final = ("float32", "bfloat16")


class _NotJudgedError(RunnerError):
    """The artifact does not run, so that nothing can be held against it."""


@dataclass(frozen=True, kw_only=True)
class _Made:
    files: tuple[Path, ...]
    open: Callable[[], Runner]


def compile_artifact(job: CompileJob, out: Path) -> Compilation:
    """Compile for this processor, run the result beside the artifact, and return the verdict.

    Raises:
        UsageError: the format has no such engine, the engine no such precision, or the model no such dimensions.
    """
    check_job(job, CPU, tuple(ENGINES), PRECISIONS)
    if job.gears:
        check_gears(job, (1, 1))
    engine = job.soc or ENGINES[job.format][0]
    if engine not in ENGINES[job.format]:
        raise UsageError(
            f"expected --soc out of {', '.join(ENGINES[job.format])} for {job.format} on the cpu, found {engine}"
        )
    if job.precision != "float32" and engine != "openvino":
        raise UsageError(f"expected float32 for {engine}, found {job.precision}; use --soc openvino")
    with results(out, job.name) as (scratch, done):
        status, reason, details = _attempt(job, engine, scratch)
        if status is Status.FAILED:
            for path in scratch.iterdir():
                path.unlink()
        files = tuple(sorted(path.name for path in scratch.iterdir()))
        return done(
            Compilation(
                component=job.name,
                artifact=job.path.name,
                target=CPU.name,
                tool=engine,
                status=status,
                reason=reason,
                folder=os.path.relpath(job.path.parent, out),
                commands=(_command(job, engine, out),),
                files=files,
                products=files,
                details={"precision": job.precision, **details},
            )
        )


def _attempt(job: CompileJob, engine: str, scratch: Path) -> tuple[Status, str, dict[str, Any]]:
    if not job.run:
        return Status.SKIPPED, "not run: --dry-run", {}
    size = held_bytes(job.path)
    if memory.is_scarce(size):
        return Status.SKIPPED, _scarcity(job, engine, size), {}
    try:
        given, expected = _expected(job)
        with disk.blamed(scratch, size, RunnerError):
            made = _make(job, engine, scratch)
        with contextlib.closing(made.open()) as runner:
            first, seconds = _timed(runner, given[0])
            found = together([first, *(runner.run(feed) for feed in given[1:])])
    except (MissingExtraError, ReportedError, _NotJudgedError) as error:
        return Status.SKIPPED, str(error), {}
    except RunnerError as error:
        return Status.FAILED, str(error), {}
    precision = "int8" if job.quantised else job.precision
    agrees = agreement(job.path.name, together(expected), found, precision, job.scales)
    details = {"seconds": f"{seconds:.4f}", **agrees.details}
    if agrees.reason:
        return Status.FAILED, agrees.reason, details
    kept = ", ".join(path.name for path in made.files)
    word = f"{kept} runs" if kept else f"{job.path.name} needs no compilation: it loads and runs"
    return Status.PASSED, f"{word} in {engine}{agrees.words}", details


def _expected(job: CompileJob) -> tuple[list[Mapping[str, Array]], list[dict[str, Array]]]:
    """Return samples, the user's or some of our own, and the artifact's own outputs on each.

    Where a stranger's model refuses them, an integer may be the place of a table's only row: then all integers without
    a range are 0. The ranges of our own models are known.

    Raises:
        _NotJudgedError: it runs on none of them.
    """
    if job.given:
        with contextlib.closing(open_runner(job.path)) as runner:
            return list(job.given), [runner.run(feed) for feed in job.given]
    gear = job.gears[0] if job.gears else {}
    reason = ""
    with contextlib.closing(open_runner(job.path)) as runner:
        for masks in (True,) if job.own else (True, False):
            given = samples(job.signature.inputs, gear, masks=masks)
            try:
                return [given], [runner.run(given)]
            except RunnerError as error:
                reason = reason or str(error)
    raise _NotJudgedError(f"not judged, for {job.path.name} itself does not run on samples: {reason}")


def _scarcity(job: CompileJob, engine: str, size: int) -> str:
    return (
        f"expected at least {2 * size:,} bytes of memory for {engine} to rewrite {job.path.name}, found "
        f"{memory.total_bytes():,}; run the command on a larger machine, or run {job.path.name} as it is"
    )


def _make(job: CompileJob, engine: str, scratch: Path) -> _Made:
    if engine == "onnxruntime":
        from lwmport.runtime.runners.onnxruntime_optimised import write_optimised
        from lwmport.targets.fix.unique_names import mend_shadows

        graph, data = write_optimised(job.path, scratch / f"{job.name}.optimised.onnx")
        mend_shadows(graph)
        files = (graph, data) if data.exists() else (graph,)
        return _Made(files=files, open=lambda: open_runner(graph, name=engine))
    if engine == "openvino":
        from lwmport.runtime.runners.openvino import write_ir

        context = RunnerContext(precision=job.precision)
        xml, weights = write_ir(job.path, scratch / f"{job.name}.xml", job.public)
        return _Made(files=(xml, weights), open=lambda: open_runner(xml, context, engine))
    return _Made(files=(), open=lambda: open_runner(job.path, name=engine))


def _timed(runner: Runner, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], float]:
    """Return the outputs of a first run and the seconds of a second one, on one thread."""
    outputs = runner.run(inputs)
    start = time.perf_counter()
    runner.run(inputs)
    return outputs, time.perf_counter() - start


def _command(job: CompileJob, engine: str, out: Path) -> str:
    words = ["lwmport", "compile", job.path.name, "--target", CPU.name, "--soc", engine]
    return shlex.join([*words, "--compile-precision", job.precision, "--out", os.path.relpath(out, job.path.parent)])
