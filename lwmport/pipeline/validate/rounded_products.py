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
from lwmport.runtime.spec import RunnerContext
from lwmport.types import ROUNDED_PRODUCTS, Runner, Signature, Status

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

    A file of another kind than ONNX or a folder of Hugging Face has no such form, and its verdict stays alone.
    """
    opener = _OPENERS.get(path.suffix)
    if precision != ROUNDED_PRODUCTS or opener is None or judgement.validation.status is not Status.PASSED:
        return judgement
    exact = judge(path, signature, run, "float32", tell, opener).validation
    if exact.status is Status.PASSED:
        return replace(judgement, notes=(*judgement.notes, AGREES))
    failed = (diff for diff in exact.diffs if diff.status is not Status.PASSED)
    diffs = (*judgement.validation.diffs, *(replace(diff, name=f"{diff.name}, products in float32") for diff in failed))
    reason = f"with products in float32: {exact.reason}"
    return replace(judgement, validation=replace(judgement.validation, status=exact.status, reason=reason, diffs=diffs))


def _open_onnx(path: Path, signature: Signature) -> Runner:
    from lwmport.runtime.runners.float_products import open_with_float_products

    return open_with_float_products(path, RunnerContext(threads=processors(), signature=signature))


def _open_folder(path: Path, signature: Signature) -> Runner:
    from lwmport.runtime.runners.transformers import open_read_back

    return open_read_back(path, RunnerContext(threads=processors(), signature=signature))


_OPENERS: Final = {".onnx": _open_onnx, ".hf": _open_folder}
