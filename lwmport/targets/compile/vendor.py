"""One way to compile for every vendor whose compiler is a program: plan, write, run where it is installed, judge."""

import contextlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport.targets.compile.job import CompileJob
from lwmport.targets.compile.plan import CompilePlan, Judge, Place, Run, Step, lines_of
from lwmport.targets.compile.process import run_logged
from lwmport.targets.compile.record import results
from lwmport.targets.compile.script import script
from lwmport.targets.compile.toolchain import Sdk, Tool, find
from lwmport.targets.compile.verdict import quote
from lwmport.targets.compile.way import HERE, folder_of, is_apart, results_of
from lwmport.types import Compilation, Status

PASSED: Final = "passed"
MOST_SAID: Final = 16 * 2**20
"""Bytes of a log that are judged: the end of it."""


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """One vendor's compiler: ``vendor(job, out)`` compiles one artifact.

    ``programs`` are all that a plan may ask for; ``sdk`` is how the vendor installs them. They run in the model's
    folder, or (``beside_results``) in the folder for results.
    ``litter`` are files that the tool leaves in the folder it runs in: they are moved to the results, into
    ``NAME.STEP``.
    ``telling`` are words of the lines that a person looks for in a log, and a record keeps.
    """

    target: str
    sdk: Sdk
    programs: tuple[str, ...]
    plan: Callable[[CompileJob, Place], CompilePlan]
    judge: Judge
    beside_results: bool = False
    telling: tuple[str, ...] = ()
    litter: tuple[str, ...] = ()

    def __call__(self, job: CompileJob, out: Path) -> Compilation:
        """Return what `compile_with` does."""
        return compile_with(self, job, out)


@dataclass(frozen=True, kw_only=True)
class _Outcome:
    status: Status
    reason: str
    said: dict[str, str]
    products: tuple[str, ...] = ()


def compile_with(vendor: Vendor, job: CompileJob, out: Path) -> Compilation:
    """Write script and configuration into ``out``, run the tool where it is found, and return the verdict.

    What lies in ``out`` afterwards is whole: a compiler that fails leaves its log, none of its products.

    Raises:
        UsageError: the artifact or the options do not suit the target.
    """
    relative = vendor.plan(job, _place(vendor, job, out, relative=True))
    folder = HERE if vendor.beside_results else folder_of(job, out)
    commands = tuple(shlex.join([step.tools[0], *step.options]) for step in _road(vendor, job, relative))
    title = f"{job.path.name} for {vendor.target}" + (f" ({job.soc})" if job.soc else "")
    with results(out, job.name, job.finish) as (scratch, done):
        for name, make in relative.data.items():
            (scratch / name).write_bytes(make())
        found = _attempt(vendor, job, scratch)
        for name, content in relative.files.items():
            (scratch / name).write_bytes(content)
        text = script(title, "" if is_apart(job, out) else folder, relative, vendor.sdk)
        (scratch / f"{job.name}.sh").write_bytes(text)
        (scratch / f"{job.name}.sh").chmod(0o755)
        return done(
            Compilation(
                component=job.name,
                artifact=job.path.name,
                target=vendor.target,
                tool=_road(vendor, job, relative)[0].tools[0],
                status=found.status,
                reason=found.reason,
                folder=os.path.relpath(job.path.parent, out) if found.status is Status.PASSED else folder,
                commands=commands,
                files=tuple(sorted(path.name for path in scratch.iterdir())),
                products=found.products,
                details={**relative.details, **found.said},
            )
        )


def _road(vendor: Vendor, job: CompileJob, plan: CompilePlan) -> tuple[Step, ...]:
    """Return the steps to run here: the parts only where they are installed and the one tool is not.

    What is not run is written the same on every machine.
    """
    if not job.run or not plan.parts or find(plan.steps[0].tools, vendor.sdk, job.toolchain):
        return plan.steps
    return plan.parts if find(plan.parts[0].tools, vendor.sdk, job.toolchain) else plan.steps


def _place(vendor: Vendor, job: CompileJob, out: Path, *, relative: bool) -> Place:
    if not relative:
        model = str(job.path.absolute()) if vendor.beside_results else job.path.name
        return Place(model=model, out="." if vendor.beside_results else str(out.absolute()))
    if vendor.beside_results:
        return Place(model=os.path.normpath(f"{folder_of(job, out)}/{job.path.name}"), out=HERE)
    return Place(model=job.path.name, out=results_of(job, out))


def _attempt(vendor: Vendor, job: CompileJob, scratch: Path) -> _Outcome:
    """Run the steps in a scratch folder, up to the first that fails or whose tool is not installed."""
    plan = vendor.plan(job, _place(vendor, job, scratch, relative=False))
    if not job.run:
        return _Outcome(status=Status.SKIPPED, reason="not run: --dry-run", said={})
    for name, content in plan.files.items():
        (scratch / name).write_bytes(content)
    said: dict[str, str] = {}
    products: list[str] = []
    for step in _road(vendor, job, plan):
        tool = find(step.tools, vendor.sdk, job.toolchain)
        if tool is None:
            done = f"{_summary(said)}; " if said else ""
            where = f"in {job.toolchain}" if job.toolchain else "on the path or where the SDK installs it"
            reason = f"{done}expected {' or '.join(step.tools)}, found none {where}; run {job.name}.sh where it is"
            return _Outcome(status=Status.SKIPPED, reason=reason, said=said, products=tuple(products))
        run = _run(vendor, job, step, tool, scratch)
        reason = vendor.judge(run)
        if reason and step.absent and step.absent in run.said:
            _remove(plan, scratch)
            reason = f"{reason}; run {job.name}.sh where it is"
            return _Outcome(status=Status.SKIPPED, reason=reason, said=said, products=tuple(products))
        if reason:
            _remove(plan, scratch)
            return _Outcome(status=Status.FAILED, reason=reason, said=said)
        said[step.name] = _told(vendor, run)
        products += [path.name for path in run.products]
    return _Outcome(
        status=Status.PASSED,
        reason=_summary(said) + (f": {', '.join(products)}" if products else ""),
        said=said,
        products=tuple(products),
    )


def _run(vendor: Vendor, job: CompileJob, step: Step, tool: Tool, scratch: Path) -> Run:
    log = scratch / f"{job.name}.{step.name}.log"
    folder = scratch if vendor.beside_results else job.path.parent
    before = _litter(vendor, folder)
    try:
        code = run_logged(tool.words(step.options), folder, log)
    except (OSError, subprocess.SubprocessError) as error:
        log.write_text(f"{error}\n", encoding="utf-8")
        code = 126
    for path in _litter(vendor, folder) - before:
        target = scratch / f"{job.name}.{step.name}"
        target.mkdir(exist_ok=True)
        with contextlib.suppress(OSError):  # another run in the same folder may take its own away
            shutil.move(path, target)
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - MOST_SAID, 0))
        said = file.read().decode(errors="replace")
    found = {glob: _whole(scratch, glob) for glob in step.products}
    return Run(
        step=step,
        code=code,
        said=said,
        products=tuple(path for paths in found.values() for path in paths),
        missing=tuple(glob for glob, paths in found.items() if not paths),
    )


def _litter(vendor: Vendor, folder: Path) -> set[Path]:
    return {path for name in vendor.litter for path in folder.glob(name)}


def _matching(folder: Path, globs: str) -> list[Path]:
    """Return the files that match one of some globs with ``|`` between them."""
    return sorted({path for glob in globs.split("|") for path in folder.glob(glob)})


def _whole(folder: Path, globs: str) -> list[Path]:
    """Return the files that match and are not empty."""
    return [path for path in _matching(folder, globs) if path.is_file() and path.stat().st_size]


def _remove(plan: CompilePlan, scratch: Path) -> None:
    """Remove what the compilers of a run that failed have made."""
    products = [globs for step in (*plan.steps, *plan.parts) for globs in step.products]
    for path in (path for globs in products for path in _matching(scratch, globs)):
        path.unlink(missing_ok=True)


def _summary(said: Mapping[str, str]) -> str:
    """Return the steps that passed, each with what its tool says of its numbers."""
    return ", ".join(name if told == PASSED else f"{name} ({told})" for name, told in said.items()) + " passed"


def _told(vendor: Vendor, run: Run) -> str:
    """Return what a person would look for, from its word to the end of its line, or that the step passed."""
    found = [line[line.index(word) :] for line in lines_of(run.said) for word in vendor.telling if word in line]
    return quote(found[-1]) if found else PASSED
