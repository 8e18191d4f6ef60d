"""The second verdict on a model that rounds what it multiplies: are its weights right?

The first one is on the file as it is, within a tolerance that leaves room for that rounding, and so for small faults.
In the second one the same file computes its products in float32, and the tolerance is that of float32.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from lwmport.pipeline.validate.judge import Judgement, judge
from lwmport.pipeline.validate.reference_runs import ReferenceRun
from lwmport.processors import processors
from lwmport.registry import Registry
from lwmport.runtime.spec import RunnerContext
from lwmport.types import CACHED, ROUNDED_BY_TENSOR, ROUNDED_PRODUCTS, Component, Runner, Signature, Status

ROUNDED: Final = (ROUNDED_PRODUCTS, ROUNDED_BY_TENSOR)

OPENERS: Final = Registry(
    "form of a file that computes in float32",
    {
        ".onnx": "lwmport.runtime.runners.float_products:open_with_float_products",
        ".hf": "lwmport.runtime.runners.transformers:open_read_back",
        ".tflite": "lwmport.runtime.runners.litert_float_products:open_with_float_products",
    },
)
"""Suffix -> what opens a file so that its products are in float32."""

AGREES: Final = (
    "What is multiplied is rounded to 8 bits. With products in float32 in their place every output of this file agrees "
    "within the tolerance of float32."
)


def judge_products(
    judgement: Judgement,
    path: Path,
    signature: Signature,
    run: ReferenceRun,
    precision: str,
    tell: Callable[[str], None],
) -> Judgement:
    """Return a verdict with that on the same file computing in float32, where ``precision`` is that of such a model.

    A file of another format has no such form, and its verdict stays alone. Convolutions of integers whose ranges are in
    the file have another second verdict.
    """
    rounds = precision in ROUNDED and not run.component.rounded and path.suffix in OPENERS
    if not rounds or judgement.validation.status is not Status.PASSED:
        return judgement
    exact = judge(path, signature, run, _exact(run.component), tell, _open).validation
    if exact.status is Status.PASSED:
        return replace(judgement, notes=(*judgement.notes, AGREES))
    failed = (diff for diff in exact.diffs if diff.status is not Status.PASSED)
    diffs = (*judgement.validation.diffs, *(replace(diff, name=f"{diff.name}, products in float32") for diff in failed))
    reason = f"with products in float32: {exact.reason}"
    return replace(judgement, validation=replace(judgement.validation, status=exact.status, reason=reason, diffs=diffs))


def _exact(component: Component) -> str:
    """Return the precision of a component whose products are in float32: its cache may be rounded all the same."""
    kept = {spec.dtype for spec in component.signature.outputs if spec.name in component.signature.caches}
    return next((CACHED[dtype] for dtype in kept if dtype in CACHED), "float32")


def _open(path: Path, signature: Signature) -> Runner:
    runner: Runner = OPENERS[path.suffix](path, RunnerContext(threads=processors(), signature=signature))
    return runner
