"""``lwmport bisect`` of a model that is not ours: an export of the same component by another tool."""

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lwmport.errors import RunnerError
from lwmport.pipeline.bisect.by_values import ValueWalk
from lwmport.pipeline.bisect.explained import first_of, taps_of
from lwmport.pipeline.bisect.exported_model import Case, Model, fit_of, fitting
from lwmport.pipeline.bisect.fitted_inputs import KEY, Fitted, expected_output
from lwmport.pipeline.bisect.places import Place, located
from lwmport.pipeline.bisect.pool import Pool, check_room, pool_of
from lwmport.pipeline.bisect.request import BisectRequest
from lwmport.pipeline.bisect.verdict import Verdict, judged
from lwmport.pipeline.bisect.views import View, error_of
from lwmport.pipeline.observer import Observer
from lwmport.pipeline.validate.subject import is_described
from lwmport.reports.bisection import Bisection
from lwmport.runtime.pieces.isolated import IsolatedPieces
from lwmport.runtime.pieces.opening import OPENERS, TITLES
from lwmport.runtime.pieces.spec import Pieces
from lwmport.runtime.runners.jax import reference
from lwmport.types import Array, Component, Status

THREADS: Final = 1
"""Of each of the many small models: the threads of all of them together would take the memory of the process."""

UNSEEN: Final = "an output is out of tolerance, and no operator was found that makes it so"


def is_foreign(artifact: Path) -> bool:
    """Return whether a path is a model file that neither a manifest nor the record of a compilation describes."""
    return artifact.suffix in OPENERS and (artifact.is_file() or artifact.is_dir()) and not is_described(artifact)


def bisect_foreign(request: BisectRequest, observer: Observer) -> Bisection:
    """Return where the first error enters an export by another tool, known by its values and weights.

    Raises:
        UsageError: nothing tells which component it is of, or its inputs and outputs do not fit.
    """
    with contextlib.closing(IsolatedPieces(request.artifact, THREADS)) as file:
        model, cases = fitting(request, file)
        found = _searched(request, file, model, cases[0], observer)
        for number, case in enumerate(cases[1:], 2):
            if found.result.status is not Status.PASSED or any(tap.enters for tap in found.result.taps):
                break
            observer.phase(f"{model.component.name}: run the whole file, case {number} of {len(cases)}")
            if not _is_right(file, model, case, found.heads):
                found = _searched(request, file, model, case, observer)
        return found.result


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What a search of one case found, and the size of a head whose rotated halves lie apart in the file."""

    result: Bisection
    heads: int


def _searched(request: BisectRequest, file: Pieces, model: Model, case: Case, observer: Observer) -> Searched:
    component = model.component
    with tempfile.TemporaryDirectory() as scratch:
        fit = fit_of(component, case, file)
        size = check_room(component, fit.inputs, Path(scratch))
        observer.phase(f"{component.name}: run the reference, JAX, and keep the {size:,} bytes that it computes")
        pool = pool_of(component, model.weights, fit.inputs, Path(scratch), observer.progress)
        right = reference(component, model.weights).run(fit.inputs)
        heads = 0
        if any(name.endswith(KEY) for name in fit.feeds):
            heads = _halves(pool, file) or _halves_by_outputs(pool, file, (component, case), right)
            fit = fit_of(component, case, file, heads)
        laid = _laid(fit, file, right, heads)
        observer.phase(f"{component.name}: run {len(file.operators)} operators, each on the reference's own inputs")
        walk = ValueWalk(pool, file, fit.feeds, {name: value for name, (value, _) in laid.items()})
        places = located(walk, observer.progress)
        verdict = _verdict(file, model, fit, laid, (right, walk.known.reached))
        return Searched(result=_told(request, model, fit, walk, places, verdict), heads=heads)


def _is_right(file: Pieces, model: Model, case: Case, heads: int) -> bool:
    """Return whether the whole file gives what the reference gives in a case."""
    fit = fit_of(model.component, case, file, heads)
    right = reference(model.component, model.weights).run(fit.inputs)
    laid = _laid(fit, file, right, heads)
    try:
        found = file.run(range(len(file.operators)), fit.feeds, list(laid))
    except RunnerError:
        return False
    return _verdict(file, model, fit, laid, (right, found)).passed


def _verdict(
    file: Pieces, model: Model, fit: Fitted, laid: Mapping[str, tuple[Array, View]],
    both: tuple[Mapping[str, Array], Mapping[str, Array]],
) -> Verdict:  # fmt: skip
    """Return the verdict on the outputs of the reference and of the file, in the layout of the component."""
    right, reached = both
    found = {}
    for name, (value, view) in laid.items():
        one = reached.get(name)
        if one is not None and one.size == value.size:
            ours = fit.outputs[name]
            found[ours] = view.back(one, right[ours].shape)
    wanted = {ours: right[ours] for ours in fit.outputs.values()}
    return judged(model.component, model.weights, fit.inputs, (wanted, found), _precision(file))


def _laid(fit: Fitted, file: Pieces, right: Mapping[str, Array], heads: int) -> dict[str, tuple[Array, View]]:
    """Return what each output of the file should be, in its layout and dtype, and how that lies."""
    specs = {spec.name: spec for spec in file.outputs}
    found = {}
    for name, ours in fit.outputs.items():
        value, view = expected_output(right[ours], specs[name], heads if ours.endswith(KEY) else 0)
        found[name] = value.astype(specs[name].dtype), view
    return found


def _halves(pool: Pool, file: Pieces) -> int:
    """Return the size of a head if the file's weights have the rotated halves of heads apart, else 0."""
    for name, spec in file.constants.items():
        if len(spec.shape) == 2 and spec.dtype.startswith(("float", "bfloat")):
            match = pool.weight(file.constant(name))
            if match is not None and match.view.halves:
                return match.view.halves
    return 0


def _halves_by_outputs(pool: Pool, file: Pieces, made: tuple[Component, Case], right: Mapping[str, Array]) -> int:
    """Return the size of a head if the outputs are nearer to the reference's with rotated halves apart, else 0."""
    errors = {}
    for heads in (0, *pool.heads):
        fit = fit_of(*made, file, heads)
        names = [name for name in fit.outputs if not name.endswith(KEY)]
        try:
            found = file.run(range(len(file.operators)), fit.feeds, names)
        except RunnerError:
            continue
        fits = [name for name in names if found[name].size == right[fit.outputs[name]].size]
        errors[heads] = sum(error_of(found[name], right[fit.outputs[name]]) for name in fits)
    return min(errors, key=lambda heads: errors[heads], default=0)


def _precision(file: Pieces) -> str:
    """Return the precision whose tolerances count: that of the file's weights."""
    kinds = [spec.dtype for spec in file.constants.values() if spec.dtype.startswith(("float", "bfloat"))]
    return next((kind for kind in ("bfloat16", "float16") if kinds.count(kind) * 2 > len(kinds)), "float32")


def _told(
    request: BisectRequest, model: Model, fit: Fitted, walk: ValueWalk, places: list[Place], verdict: Verdict
) -> Bisection:
    wrong = not verdict.passed
    status = Status.FAILED if places and (wrong or request.strict) else Status.NOT_JUDGED if wrong else Status.PASSED
    firsts = [first_of(walk, place) for place in places]
    failed = status is Status.FAILED
    taps = taps_of(walk, {place.number: place for place in places})
    return Bisection(
        status=status,
        component=model.component.name,
        artifact=str(request.artifact),
        reference=verdict.reference,
        runner=f"{TITLES[walk.file.format]}, an operator at a time",
        inputs=", ".join(f"{name} {list(value.shape)}" for name, value in fit.feeds.items()),
        strict=request.strict,
        first=firsts[0] if failed else None,
        others=tuple(firsts[1:]) if failed else (),
        taps=taps if wrong else tuple(replace(tap, harmless=tap.enters) for tap in taps),
        notes=(*_notes(walk, places), *fit.notes),
        reason=UNSEEN if status is Status.NOT_JUDGED else "",
        weights=model.source,
        outputs=verdict.outputs,
    )


def _notes(walk: ValueWalk, places: list[Place]) -> list[str]:
    made = [name for operator in walk.file.operators for name in operator.outputs if name]
    known = [name for name in made if name in walk.known.matches]
    read = [name for name in walk.readers if name in walk.known.weights]
    weights = [name for name in read if walk.known.weights[name] is not None]
    known_of = f"{len(known)} of {len(made)}"
    told = [f"tensors are known by their values in JAX, in any order of axes: {known_of}; the others have none there"]
    if weights:
        told.append(f"{len(weights)} constants are known as weights of the checkpoint")
    if places and places[0].proof is not None:
        told.append("the first place is proven: with another operator or weight there, what follows is right")
    return told
