"""What a conversion would do: everything that is checked before it is checked, and nothing is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lwmport.models.storage import written_bytes
from lwmport.pipeline.convert.plan import ConversionPlan
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import check, opened, planned
from lwmport.pipeline.convert.work import Work
from lwmport.pipeline.observer import Silent
from lwmport.runtime.registry import runner_for
from lwmport.runtime.runners.jax import reference_kind
from lwmport.types import Component


@dataclass(frozen=True, kw_only=True)
class PlannedModel:
    """One model that would be written: its file, the bytes of its weights, and what would judge it."""

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
    plan: ConversionPlan
    replaces: tuple[str, ...]


def dry_run(request: ConvertRequest) -> DryRun:
    """Return what a conversion would do; no tensor is read, and nothing is traced or written.

    Raises:
        PortError: it could not be done: all that `lwmport.convert` refuses before its work is refused here.
    """
    work = opened(request, Silent())
    check(work)
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
        plan=planned(work, trial=False),
        replaces=tuple(name for name in names if (request.out / name).exists()),
    )


def _model(work: Work, component: Component) -> PlannedModel:
    request, name = work.request, f"{component.name}{work.request.suffix}"
    reference = next(one for one in work.family.references if one.name == component.name)
    judge = f"{runner_for(Path(name), request.runner).title}, beside {reference_kind(reference).name}"
    return PlannedModel(
        component=component.name,
        file=name,
        weight_bytes=written_bytes(component, work.family.options),
        inputs=tuple(spec.name for spec in component.signature.inputs),
        outputs=tuple(spec.name for spec in component.signature.outputs),
        check=judge if request.validate else "not judged (--no-validate)",
    )
