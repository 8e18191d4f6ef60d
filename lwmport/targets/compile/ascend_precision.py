"""ATC's options on precision: without them it computes in float16, and says nothing."""

import json
from typing import Final

from lwmport.errors import UsageError
from lwmport.targets.compile.job import Job
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


def precision_files(job: Job) -> dict[str, bytes]:
    """Return the files that name what stays in float32, empty where the precision has no such file.

    Raises:
        UsageError: nodes are named for a mode that knows operators only, or all is float32 anyway.
    """
    if job.precision == "float32":
        if job.keep_float32:
            raise UsageError("expected --keep-float32 with a lower precision, found float32, which keeps everything")
        return {}
    kept = job.keep_float32 or _fragile(job)
    if job.precision == "float16":
        lines = [name.removeprefix(NODE) if name.startswith(NODE) else f"OpType::{name}" for name in kept]
        return {f"{job.name}.keep_dtype.cfg": ("\n".join(lines) + "\n").encode()}
    nodes = [name for name in kept if name.startswith(NODE)]
    if nodes:
        raise UsageError(
            f"expected operators for --keep-float32 in {job.precision}, found {', '.join(nodes)}; single nodes can be "
            "kept with --precision float16"
        )
    lists = {"black-list": {"to-add": list(kept)}}
    return {f"{job.name}.mixlist.json": (json.dumps(lists, indent=1) + "\n").encode()}


def precision_options(job: Job, place: Place, files: dict[str, bytes]) -> list[str]:
    """Return ``--precision_mode_v2`` and the option that names its file.

    An older CANN knows only ``--precision_mode``, and none takes both: where that is among the further options, it
    stands alone.
    """
    own = any(option.startswith("--precision_mode=") for option in job.extra)
    options = [] if own else [f"--precision_mode_v2={MODES[job.precision]}"]
    option = {"mixlist.json": "--modify_mixlist", "keep_dtype.cfg": "--keep_dtype"}
    return options + [f"{option[name.removeprefix(f'{job.name}.')]}={place.file(name)}" for name in files]


def _fragile(job: Job) -> tuple[str, ...]:
    found = [kept for operator, names in FRAGILE.items() if operator in job.operators for kept in names]
    return (*ALWAYS_FRAGILE, *found)
