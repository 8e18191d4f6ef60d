"""One fault, or one clean conversion, before the validators, bisect and Polygraphy; in a process that may end."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import sabotage_polygraphy
from faults import KINDS, Planted, plant
from faults.distance import distance
from faults.planting import DRAFTS
from interpreters import command
from sabotage_cases import Case
from sabotage_exports import export
from sabotage_results import Clean, Fault, Search

from lwmport import manifest
from lwmport.errors import PortError
from lwmport.models.specs import tolerances_of
from lwmport.pipeline.reopen import Converted, reopen
from lwmport.pipeline.validate.judge import judge, open_runner
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather, held_against, trial_batch
from lwmport.types import Array, Signature, Status
from lwmport.validators.tolerances import is_exact, tolerance_for

JAX = "jax"
PEER = Path(sabotage_polygraphy.__file__)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What a process needs: a folder of its own, threads, whether bisect is asked, the peer's Python if it is.

    ``compiled`` is where JAX keeps what it compiles, so that the reference of a conversion is compiled once.
    """

    work: str
    threads: int
    bisects: bool = True
    peer: str = ""
    compiled: str = ""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One fault to plant in a conversion; ``kind`` is empty for a clean one."""

    case: Case
    kind: str = ""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A clean conversion, and the reference's answer for it, which all faults in it share."""

    model: Path
    converted: Converted
    run: ReferenceRun
    foreign: bool = False

    @property
    def reference(self) -> str:
        """What bisect holds a model against."""
        return str(self.converted.folder) if self.foreign else JAX

    @property
    def signature(self) -> Signature:
        """Inputs and outputs of the model."""
        return self.converted.parts[0].signature

    def status(self, model: Path) -> Status:
        """Return the validators' verdict on a model; one that does not run is failed here."""
        found = judge(model, self.signature, self.run, self.converted.precision).validation.status
        return Status.PASSED if found is Status.PASSED else Status.FAILED


class Bench:
    """Makes attempts, one after the other (`workers.Worker` opens it)."""

    def __init__(self, setup: Setup) -> None:
        self._setup, self._work = setup, Path(setup.work)
        if setup.compiled:
            _keep_compiled(setup.compiled)
        self._ready: dict[str, Ready] = {}

    def run(self, attempt: Attempt) -> Mapping[str, Any]:
        """Return what became of an attempt, as ``result``; None where the model has no place for the kind."""
        ready = self._of(attempt.case)
        return {"result": self._faulty(ready, attempt) if attempt.kind else self._clean(ready, attempt.case)}

    def _of(self, case: Case) -> Ready:
        if case.name not in self._ready:
            out = self._work / case.name.replace("/", "-").replace(" ", "-")
            shutil.rmtree(out, ignore_errors=True)
            model = case.convert(out)
            converted = reopen(model)
            part = converted.parts[0]
            weights = converted.component_weights(part.name)
            run = gather(converted.component(part.name), weights, trial_batch(part.signature))
            if case.foreign:
                model = export(converted)
                with contextlib.closing(open_runner(model)) as runner:  # its caches lie as that tool has them
                    outputs = [runner.run(one.fed(part.signature.inputs)) for one in run.all]
                run = held_against(run, outputs, (), "the clean export")
            self._ready[case.name] = Ready(model=model, converted=converted, run=run, foreign=case.foreign)
        return self._ready[case.name]

    def _clean(self, ready: Ready, case: Case) -> Clean:
        if ready.status(ready.model) is not Status.PASSED:
            return Clean(case=case.name, alarm="the validators fail it")
        if not self._setup.bisects:
            return Clean(case=case.name)
        found = searched(ready, ready.model, None, strict=True)  # it counts whatever bisect alone would
        alarm = (
            f"bisect --strict: {found.node or found.error}: {found.explanation}" if found.node or found.error else ""
        )
        return Clean(case=case.name, alarm=alarm, search=found)

    def _faulty(self, ready: Ready, attempt: Attempt) -> Fault | None:
        folder = self._work / "planted"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(ready.model.parent, folder)
        model = folder / ready.model.name
        planted = plant(model, attempt.kind, attempt.seed)
        if planted is None:
            return None
        if not ready.foreign:
            sign(model)
        beyond, caught = is_beyond(ready, model), ready.status(model) is not Status.PASSED
        shown = beyond or caught
        return Fault(
            case=attempt.case.name,
            kind=attempt.kind,
            group=KINDS[attempt.kind].group,
            seed=attempt.seed,
            node=planted.node,
            operator=planted.operator,
            nodes=planted.nodes,
            causes=planted.causes,
            beyond=beyond,
            caught=caught,
            search=searched(ready, model, planted, strict=not shown) if self._setup.bisects else None,
            peer=self._compared(ready, model, planted) if self._setup.peer and model.suffix == ".onnx" else None,
        )

    def _compared(self, ready: Ready, model: Path, planted: Planted) -> Search:
        """Return what Polygraphy finds, run on the first inputs of the reference."""
        inputs = self._work / "inputs.npz"
        np.savez(inputs, **ready.run.fed(ready.signature.inputs))  # type: ignore[arg-type]
        asked = command(self._setup.peer, PEER, str(ready.model), str(model), str(inputs))
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        if done.returncode:
            return Search(error=(done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1])
        told = json.loads(done.stdout)
        took = Search(seconds=told["seconds"], peak_bytes=told["peak_bytes"])
        if told["tensor"] is None:
            return took
        return _placed(replace(took, node=_maker(model, told["tensor"])), ready, model, planted)


def _keep_compiled(folder: str) -> None:
    import jax

    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def sign(model: Path) -> None:
    """Write the digests of a changed model into its manifest: a converter that errs vouches for what it wrote."""
    folder = model.parent
    made = manifest.read(folder)
    parts = tuple(
        replace(part, files=tuple(manifest.file_entry(folder, folder / file.name) for file in part.files))
        for part in made.components
    )
    manifest.write(replace(made, components=parts), folder)


def is_beyond(ready: Ready, model: Path) -> bool:
    """Return whether some element of an output is beyond its tolerance, or the model does not run.

    Elements are looked at here, and nothing else, so that the validators are held against something of its own.
    """
    rows = tolerances_of(ready.run.component.family)
    try:
        runner = open_runner(model, ready.signature)
        for run in ready.run.all:
            found = run.counted(runner.run(run.fed(ready.signature.inputs)))
            expected = run.counted(run.outputs)
            for spec in ready.signature.outputs:
                near = tolerance_for(rows, spec, ready.converted.precision)
                allowed = near.near_ties.share if is_exact(spec) and near.near_ties is not None else 0.0
                if _share_beyond(expected[spec.name], found[spec.name], near.atol, near.rtol) > allowed:
                    return True
    except PortError:
        return True
    return False


def _share_beyond(expected: Array, found: Array, atol: float, rtol: float) -> float:
    """Return the share of elements with ``|found - expected| > atol + rtol |expected|``, NaN among them."""
    if expected.shape != found.shape:
        return 1.0
    one, other = expected.astype(np.float64), found.astype(np.float64)
    within = np.abs(other - one) <= atol + rtol * np.abs(one)
    return float(1 - np.mean(within | (one == other)))


def searched(ready: Ready, model: Path, planted: Planted | None, *, strict: bool) -> Search:
    """Return what bisect finds in a model."""
    from lwmport.pipeline.bisect.request import BisectRequest
    from lwmport.pipeline.bisect.run import bisect

    try:
        found = bisect(BisectRequest(artifact=model, reference=ready.reference, strict=strict))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what a user would see
        return Search(error=f"{type(error).__name__}: {error}")
    took = Search(seconds=found.seconds, peak_bytes=found.peak_bytes)
    if found.status is Status.NOT_JUDGED:
        return replace(took, error=f"not judged: {found.reason}")
    if found.first is None:
        return took
    first = found.first
    told = replace(took, node=first.node, operator=first.operator, cause=first.cause, explanation=first.explanation)
    return told if planted is None else _placed(told, ready, model, planted)


def _placed(found: Search, ready: Ready, model: Path, planted: Planted) -> Search:
    return replace(found, distance=distance(ready.model, model, planted.nodes, found.node))


def _maker(model: Path, tensor: str) -> str:
    """Return the name of the operator that gives a tensor."""
    draft = DRAFTS[model.suffix](model)
    return next((one.name for one in draft.operators if tensor in draft.outputs(one)), tensor)
