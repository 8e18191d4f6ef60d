"""Compiling for this processor and running the result beside the artifact: in a process of its own, for models die."""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lwmport import child
from lwmport.errors import ChildError, RunnerError
from lwmport.runtime.memory_footprint import held_bytes
from lwmport.runtime.registry import open_runner
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.compile.job import CompileJob
from lwmport.targets.fix.trials import HINT
from lwmport.types import Array, Runner


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What came of it: the artifact's outputs of each run, those of what was made of it, the seconds of one more."""

    expected: list[Mapping[str, Array]]
    found: list[Mapping[str, Array]]
    seconds: float


def attempt(job: CompileJob, engine: str, scratch: Path, trials: list[dict[str, Array]]) -> Attempt:
    """Compile into a folder and run the result on the first of some inputs that the artifact takes; on all of a user's.

    Raises:
        ChildError: a runtime died, or took more memory or time than it may.
        MissingExtraError: the engine is not installed.
        RunnerError: a runtime refused the model.
    """
    arguments = {
        "path": job.path.absolute(),
        "name": job.name,
        "engine": engine,
        "precision": job.precision,
        "here": job.here,
        "public": dict(job.public),
        "scratch": scratch.absolute(),
        "trials": trials,
        "every": bool(job.given),
    }
    given = sum(array.nbytes for trial in trials for array in trial.values())
    bounds = child.Bounds.of(2 * held_bytes(job.path), given)
    try:
        made = child.call(work, arguments, bounds, about=f"the compilation and the runs of {job.path.name}").value
    except ChildError as error:
        raise ChildError(f"{error}; or {HINT}", error.cause) from error
    if "refused" in made:
        raise ChildError(f"{made['refused']}; {HINT}")
    return Attempt(expected=made["expected"], found=made["found"], seconds=made["seconds"])


def work(  # noqa: PLR0913, PLR0917 - keywords that go to another process
    path: Path,
    name: str,
    engine: str,
    precision: str,
    here: bool,  # noqa: FBT001 - as above
    public: Mapping[str, str],
    scratch: Path,
    trials: list[dict[str, Array]],
    every: bool,  # noqa: FBT001 - as above
) -> dict[str, Any]:
    """Return outputs and seconds as `attempt` does, or what the artifact said to the inputs that it refused first."""
    refused: list[str] = []
    taken, expected = [], []
    with contextlib.closing(open_runner(path)) as runner:
        for inputs in trials:
            try:
                expected.append(runner.run(inputs))
                taken.append(inputs)
            except RunnerError as error:
                refused.append(str(error))
            if taken and not every:
                break
    if not taken or (every and refused):
        return {"refused": refused[0]}
    with contextlib.closing(
        _opened(path, name, (engine, precision), public, scratch, set(taken[0]), here=here)
    ) as runner:
        found = [runner.run(inputs) for inputs in taken]
        start = time.perf_counter()
        runner.run(taken[0])
        return {"expected": expected, "found": found, "seconds": time.perf_counter() - start}


def _opened(  # noqa: PLR0913 - as above
    path: Path,
    name: str,
    way: tuple[str, str],
    public: Mapping[str, str],
    scratch: Path,
    inputs: set[str],
    *,
    here: bool,
) -> Runner:
    """Return what an engine makes of a model, ready to run; it writes it into a folder if it is a file of its own."""
    engine, precision = way
    context = RunnerContext(precision=precision)
    if engine == "onnxruntime":
        from lwmport.runtime.runners.onnxruntime_optimised import write_optimised
        from lwmport.targets.fix.unique_names import keep_inputs, mend_shadows

        target = scratch / f"{name}.optimised.onnx"
        graph, _ = write_optimised(path, target, rounded=precision == "int8", here=here)
        mend_shadows(graph)
        keep_inputs(graph, inputs)
        return open_runner(graph, context, engine)
    if engine == "openvino":
        from lwmport.runtime.runners.openvino import write_ir

        xml, _ = write_ir(path, scratch / f"{name}.xml", public)
        return open_runner(xml, context, engine)
    return open_runner(path, name=engine)
