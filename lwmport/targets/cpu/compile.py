"""This machine's processor: ONNX Runtime's optimised model, OpenVINO's IR, or the file as it is."""

import os
import shlex
from pathlib import Path
from typing import Any

from lwmport import disk, memory
from lwmport.errors import ChildError, MissingExtraError, RunnerError, UsageError
from lwmport.runtime.error_lines import ReportedError
from lwmport.runtime.memory_footprint import held_bytes
from lwmport.targets.compile.agreement import agreement, together
from lwmport.targets.compile.job import CompileJob, check_gears, check_job, has_integers
from lwmport.targets.compile.record import results
from lwmport.targets.compile.trials import trials
from lwmport.targets.compile.way import folder_of, results_of
from lwmport.targets.cpu.attempt import attempt
from lwmport.targets.cpu.engines import ENGINES, PRECISIONS
from lwmport.targets.cpu.target import CPU
from lwmport.types import Compilation, Status


def compile_artifact(job: CompileJob, out: Path) -> Compilation:
    """Compile for this processor, run the result beside the artifact, and return the verdict.

    Raises:
        ChildError: a runtime died, took more memory or time than it may, or refused all samples.
        UsageError: the format has no such engine, the engine no such precision, or the model no such dimensions.
    """
    check_job(job, CPU, tuple(ENGINES), tuple(dict.fromkeys(name for own in PRECISIONS.values() for name in own)))
    if job.gears:
        check_gears(job, (1, 1))
    engine = job.soc or ENGINES[job.format][0]
    if engine not in ENGINES[job.format]:
        raise UsageError(
            f"expected --soc out of {', '.join(ENGINES[job.format])} for {job.format} on the cpu, found {engine}"
        )
    if job.precision not in PRECISIONS[engine]:
        wanted = " or ".join(PRECISIONS[engine])
        raise UsageError(f"expected {wanted} for {engine}, found {job.precision}; use --soc openvino")
    if job.precision == "int8" and not has_integers(job):
        raise UsageError(
            f"expected weights of integers for int8, found none in {job.path.name}; convert with --quantize"
        )
    with results(out, job.name, job.finish) as (scratch, done):
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
                folder=os.path.relpath(job.path.parent, out) if status is Status.PASSED else folder_of(job, out),
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
        with disk.blamed(scratch, size, RunnerError):
            made = attempt(job, engine, scratch, trials(job))
    except (MissingExtraError, ReportedError) as error:
        return Status.SKIPPED, str(error), {}
    except ChildError:
        raise
    except RunnerError as error:
        return Status.FAILED, str(error), {}
    precision = "int8" if job.quantised else job.precision
    agrees = agreement(job.path.name, together(made.expected), together(made.found), precision, job.scales)
    details = {"seconds": f"{made.seconds:.4f}", **agrees.details}
    if agrees.reason:
        return Status.FAILED, agrees.reason, details
    kept = ", ".join(sorted(path.name for path in scratch.iterdir()))
    word = f"{kept} runs" if kept else f"{job.path.name} needs no compilation: it loads and runs"
    return Status.PASSED, f"{word} in {engine}{agrees.words}", details


def _scarcity(job: CompileJob, engine: str, size: int) -> str:
    return (
        f"expected at least {2 * size:,} bytes of memory for {engine} to rewrite {job.path.name}, found "
        f"{memory.total_bytes():,}; run the command on a larger machine, or run {job.path.name} as it is"
    )


def _command(job: CompileJob, engine: str, out: Path) -> str:
    words = ["lwmport", "compile", job.path.name, "--target", CPU.name, "--soc", engine]
    return shlex.join([*words, "--compile-precision", job.precision, "--out", results_of(job, out)])
