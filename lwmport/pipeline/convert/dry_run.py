"""What a conversion would do: everything that is checked before it is checked, and nothing is written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from lwmport import disk
from lwmport.models.storage import written_bytes
from lwmport.pipeline.budget_record import GB
from lwmport.pipeline.calibration.sensitivity import LEAST
from lwmport.pipeline.convert.budget import check_least
from lwmport.pipeline.convert.plan import ConversionPlan
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import check, opened, planned
from lwmport.pipeline.convert.work import Work
from lwmport.pipeline.observer import Silent
from lwmport.reports import numbers
from lwmport.runtime.registry import runner_for
from lwmport.runtime.runners.jax import reference_kind
from lwmport.types import Component

WIDE: Final = json.dumps({"*": {"keep": "float16"}})
"""The rule by which each tensor that would be rounded has the most bits."""


@dataclass(frozen=True, kw_only=True)
class PlannedModel:
    """One model that would be written: its file, the bytes of its weights at most, and what would judge it."""

    component: str
    file: str
    weight_bytes: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    check: str


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """What a conversion would do.

    Attributes:
        out: the folder that it would fill.
        format: of the models.
        dialect: of the format.
        opset: of the models; 0 where the format has none.
        config: the configuration of the model, as plain values.
        weights: what the weights are, in words.
        models: what would be written.
        shared: the file that would hold the weights of all models once; empty if each has its own.
        budget: what a budget leaves open, in words; empty where there is none.
        plan: what it would cost.
        replaces: files in the folder that would be replaced.
    """

    out: Path
    format: str
    dialect: str
    opset: int
    config: Mapping[str, Any]
    weights: str
    models: tuple[PlannedModel, ...]
    shared: str
    budget: str
    plan: ConversionPlan
    replaces: tuple[str, ...]


def dry_run(request: ConvertRequest) -> DryRun:
    """Return what a conversion would do; no tensor is read, and nothing is written.

    Nothing is traced either, but for ``--keep-float32``, whose patterns are held against the operators.

    Raises:
        PortError: it could not be done: all that `lwmport.convert` refuses before its work is refused here.
    """
    work = opened(request, Silent())
    check(work)
    if request.budget_gb is not None:
        check_least(_fewest(work), request.budget_gb)
    models = tuple(_model(work, component) for component in work.family.components)
    names = [model.file for model in models]
    return DryRun(
        out=request.out,
        format=request.format,
        dialect=work.dialect.name,
        opset=work.dialect.opset if request.format == "onnx" else 0,
        config=dict(work.family.config),
        weights=str(work.weights.source["description"]),
        models=models,
        shared=work.shared.name if work.shared else "",
        budget=_budget(work),
        plan=_plan(work),
        replaces=tuple(name for name in names if (request.out / name).exists()),
    )


def _model(work: Work, component: Component) -> PlannedModel:
    request, name = work.request, f"{component.name}{work.request.suffix}"
    reference = next(one for one in work.family.references if one.name == component.name)
    judge = f"{runner_for(Path(name), work.runner).title}, beside {reference_kind(reference).name}"
    return PlannedModel(
        component=component.name,
        file=name,
        weight_bytes=_most(work, component),
        inputs=tuple(spec.name for spec in component.signature.inputs),
        outputs=tuple(spec.name for spec in component.signature.outputs),
        check=judge if request.validate else "not judged (--no-validate)",
    )


def _plan(work: Work) -> ConversionPlan:
    """Return the plan; where a budget decides on bits, it is that of the most bytes that it lets be."""
    found = planned(work, trial=False)
    if not _is_budgeted(work):
        return found
    most = sum(_most(work, component) for component in work.written)
    return replace(found, write_bytes=most, free_bytes=disk.check_room(work.request.out, most - found.done_bytes))


def _most(work: Work, component: Component) -> int:
    """Return the bytes of the weights of a component, at most: those of a budget, or of all tensors in 16 bits."""
    options = work.family.options
    if not _is_budgeted(work):
        return written_bytes(component, options)
    wide = written_bytes(component, replace(options, recipe=(*options.recipe, WIDE)))
    return wide if work.request.budget_gb is None else min(wide, int(work.request.budget_gb * GB))


def _fewest(work: Work) -> int:
    return sum(written_bytes(component, work.family.options) for component in work.written)


def _is_budgeted(work: Work) -> bool:
    return work.request.budget_gb is not None or work.request.budget_kl is not None


def _budget(work: Work) -> str:
    if not _is_budgeted(work):
        return ""
    request, fewest = work.request, numbers.size(_fewest(work))
    asked = f"--budget-gb {request.budget_gb}" if request.budget_kl is None else f"--budget-kl {request.budget_kl}"
    return f"{asked} decides on the bits of each tensor when all are measured: {fewest} if each has {LEAST}"
