"""ATC's options on precision: without them it computes in float16, and says nothing."""

import json
import re
from typing import Final

from lwmport.errors import UsageError
from lwmport.targets.compile.job import CompileJob
from lwmport.targets.compile.plan import Place

MODES: Final = {"float32": "origin", "mixed": "mixed_float16", "float16": "fp16", "bfloat16": "mixed_bfloat16"}
"""Our precision -> ``--precision_mode_v2``. ``origin`` keeps what the file says."""

FRAGILE: Final = {
    "InstanceNormalization": ("GroupNorm", "InstanceNorm"),
    "LayerNormalization": ("LayerNorm",),
    "Softmax": ("SoftmaxV2",),
    "npu.NPUAddRmsNorm": ("AddRmsNorm",),
    "npu.NPUGroupNormSilu": ("GroupNormSilu",),
    "npu.NPURmsNorm": ("RmsNorm",),
}
"""ONNX operator -> CANN's operators that lose accuracy in float16, or overflow: sums of many squares, and their kin."""

ALWAYS_FRAGILE: Final = ("Square",)
"""The square in RMS norm, which CANN makes of x * x."""

NODE: Final = "node:"
NODE_PRECISION: Final = "float16"
"""The one precision in which ATC keeps single nodes (``--keep_dtype``); the mixed ones know operators only."""

OPERATOR: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""CANN's names of operators. Which of them a model comes to have, ATC alone knows: it makes Square of x * x."""

SHARED: Final = ("Softmax",)
"""Fragile ONNX operators under whose name CANN has one too."""


def precision_files(job: CompileJob) -> dict[str, bytes]:
    """Return the files that name what stays in float32, empty where the precision has no such file.

    Of the nodes, only those that the model has are named: an older ATC fails on a name that it does not find.

    Raises:
        UsageError: nodes are named for a mode that knows operators only, what is named is neither, or all is float32
            anyway.
    """
    if job.precision == "float32":
        if job.keep_float32:
            raise UsageError("expected --keep-float32 with a lower precision, found float32, which keeps everything")
        return {}
    kept = job.keep_float32 or _fragile(job)
    nodes = [name for name in kept if name.startswith(NODE)]
    for name in kept:
        if name not in nodes:
            _check_operator(name)
    if job.precision == NODE_PRECISION:
        there = [
            name for name in kept if name not in nodes or job.nodes is None or name.removeprefix(NODE) in job.nodes
        ]
        lines = [name.removeprefix(NODE) if name in nodes else f"OpType::{name}" for name in there]
        return {f"{job.name}.keep_dtype.cfg": ("\n".join(lines) + "\n").encode()} if lines else {}
    if nodes:
        raise UsageError(
            f"expected operators for --keep-float32 in {job.precision}, found {', '.join(nodes)}; single nodes can be "
            f"kept with --compile-precision {NODE_PRECISION}"
        )
    lists = {"black-list": {"to-add": list(kept)}}
    return {f"{job.name}.mixlist.json": (json.dumps(lists, indent=1) + "\n").encode()}


def precision_options(job: CompileJob, place: Place, files: dict[str, bytes]) -> list[str]:
    """Return ``--precision_mode_v2`` and the option that names its file.

    An older CANN knows only ``--precision_mode``, and none takes both: where that is among the further options, it
    stands alone.
    """
    own = any(option.startswith("--precision_mode=") for option in job.extra)
    options = [] if own else [f"--precision_mode_v2={MODES[job.precision]}"]
    option = {"mixlist.json": "--modify_mixlist", "keep_dtype.cfg": "--keep_dtype"}
    return options + [f"{option[name.removeprefix(f'{job.name}.')]}={place.file(name)}" for name in files]


def _fragile(job: CompileJob) -> tuple[str, ...]:
    found = [kept for operator, names in FRAGILE.items() if operator in job.operators for kept in names]
    return (*ALWAYS_FRAGILE, *found)


def _check_operator(name: str) -> None:
    """Refuse what CANN calls no operator: ATC leaves a name aside that it does not know, and computes in float16."""
    said = f"expected --keep-float32 with CANN's name of an operator, or {NODE}NAME, found {name!r}"
    if name in FRAGILE and name not in SHARED:
        raise UsageError(f"{said}, which is ONNX's; CANN calls it {' or '.join(FRAGILE[name])}")
    if not OPERATOR.fullmatch(name):
        raise UsageError(f"{said}; a single node is {NODE + (name or 'NAME')!r}, an operator is like 'LayerNorm'")
