"""AMD's MIGraphX, on ROCm and on Hygon's DTK: ``migraphx-driver`` compiles, holds against its reference, and times."""

import glob
from typing import Final

from lwmport.targets.compile.job import CompileJob, check_gears, check_job, dynamic_names, sized
from lwmport.targets.compile.plan import CompilePlan, Place, Run, Step, lines_of
from lwmport.targets.compile.providers import provider_file
from lwmport.targets.compile.socs import chip_of
from lwmport.targets.compile.toolchain import Sdk
from lwmport.targets.compile.vendor import Vendor
from lwmport.targets.compile.verdict import absent, failed, general, quote
from lwmport.targets.migraphx.target import MIGRAPHX

PROGRAMS: Final = ("migraphx-driver",)
PRECISIONS: Final = ("float32", "float16", "bfloat16", "int8")
FLAGS: Final = {"float32": (), "float16": ("--fp16",), "bfloat16": ("--bf16",), "int8": ("--int8",)}
TOLERANCES: Final = {
    "float32": ("0.001", "0.001", "0.001"),
    "float16": ("0.01", "0.05", "0.05"),
    "bfloat16": ("0.05", "0.1", "0.1"),
    "int8": ("0.1", "0.5", "0.5"),
}
"""``--rms-tol``, ``--atol`` and ``--rtol`` of ``verify``: its defaults in float32, its documents' own in float16, and
wider ones for what holds fewer bits. This asks whether the card computes what its compiler's reference does."""

REFERENCE: Final = "ref"
"""No card: MIGraphX's own reference target, on the CPU."""

VERIFIED: Final = "MIGraphX verification passed successfully"
REPETITIONS: Final = "100"

SDK: Final = Sdk(variables=("ROCM_PATH",), places=("/opt/rocm", "/opt/dtk"), scripts=("env.sh",))
"""DTK has an ``env.sh`` that must be sourced; ROCm has none."""

SHAPES: Final = "two operands do not fit: fix the sizes of the inputs, and fold shapes with 'lwmport check --fix'"

HINTS: Final = {
    "killed": "close other programs",
    "library": "source /opt/dtk/env.sh on a DCU, or install the ROCm that this MIGraphX was built for",
    "Unknown operator": "run 'lwmport check --target migraphx', and convert with --dialect migraphx",
    "num_heads attribute required": "MIGraphX takes Attention for ONNX Runtime's own: convert with --dialect migraphx",
    "Position_id 2D dims": "MIGraphX takes RotaryEmbedding for ONNX Runtime's own: convert with --dialect migraphx",
    "PARSE_TENSOR: Invalid tensor type": "MIGraphX does not read this dtype: convert with --precision float16",
    "Failed reading onnx file": "the file is no ONNX model, or its .data file is not beside it",
    "dynamic shape is not supported": "fix each size: lwmport check --target migraphx --fix --input-shape 'NAME:1,...'",
    "Wrong number of elements for reshape": "an attention block with as many channels as rows and columns is mistaken: "
    "quantise another size, or compile in float16",
    "Invalid MLIR created": "MLIR's kernels fail on this operator: set MIGRAPHX_DISABLE_MLIR=1 and compile again",
    "Dangling reference in module": "a fault of this version of MIGraphX: use a newer one, or leave the operator out",
    "Dimensions do not match": SHAPES,
    "inconsistent sizes": SHAPES,
    "Wrong number of arguments": "a fault of this version of MIGraphX in fusing operators: use another version",
    "should contain only one element": "run 'lwmport check --target migraphx', and give the operand one element",
    "unordered_map::at": "an option names an input that the model does not have",
    "Out of bounds index": "an integer input was filled at random: each one needs --fill0",
    "HIP out of memory": "the card's memory is too small for this model",
    "hipErrorNoDevice": "no card is visible: check /dev/kfd, /dev/dri and HIP_VISIBLE_DEVICES",
    "No compatible code objects": "this build of MIGraphX has nothing for the card",
    "Invalid address access": "an index of 32 bits overflowed in a kernel: make the batch smaller",
}


def plan(job: CompileJob, place: Place) -> CompilePlan:
    """Return the driver's commands.

    Raises:
        UsageError: format, device, precision or gears are none that MIGraphX takes.
    """
    check_job(job, MIGRAPHX, ("onnx",), PRECISIONS)
    if job.soc not in (None, REFERENCE):
        chip_of(MIGRAPHX, job.soc, job.precision)
    check_gears(job, (1, 1))
    device = "--ref" if job.soc == REFERENCE else "--gpu"
    model = ("--onnx", place.model, *_dims(job), device, *FLAGS[job.precision])
    rms, atol, rtol = TOLERANCES[job.precision]
    compiled = f"{job.name}.mxr"
    steps = (
        Step(
            name="compile",
            tools=PROGRAMS,
            options=("compile", *model, *_offload(job), "--binary", "--output", place.file(compiled), *job.extra),
            products=(glob.escape(compiled),),
        ),
        Step(
            name="verify",
            tools=PROGRAMS,
            options=("verify", *model, "--rms-tol", rms, "--atol", atol, "--rtol", rtol, *_fill(job)),
        ),
        Step(name="perf", tools=PROGRAMS, options=("perf", *model, "-n", REPETITIONS, *_fill(job))),
    )
    files = {f"{job.name}.migraphx.json": provider_file("MIGraphXExecutionProvider", job.precision, job.name)}
    return CompilePlan(steps=steps, files=files, details={"soc": job.soc or "gpu", "precision": job.precision})


def judge(run: Run) -> str:
    """Return why a step failed, or an empty text.

    ``verify`` may say that it passed although an output had another shape, and older versions exit with 0 after
    ``FAILED``: the word counts.
    """
    wrong = next((line for line in lines_of(run.said) if "FAILED" in line), "")
    if wrong:
        return f"{quote(wrong)}: the card's numbers are not the reference's; compare with --soc ref, and per precision"
    reason = failed(run)
    if reason:
        return general(run, HINTS) or reason
    if run.step.name == "verify" and VERIFIED not in run.said:
        return f"verify exited with 0 without saying {VERIFIED!r}; see its log"
    if run.step.name == "perf" and "Rate:" not in run.said:
        return "perf exited with 0 without a rate; see its log"
    return absent(run)


def _dims(job: CompileJob) -> tuple[str, ...]:
    """Return ``--input-dim`` for each input with a dynamic size: a compiled model has one shape."""
    if not dynamic_names(job.signature):
        return ()
    words: list[str] = []
    for spec in job.signature.inputs:
        words += ["--input-dim", f"@{spec.name}", *map(str, sized(spec, job.gears[0]))]
    return tuple(words)


def _offload(job: CompileJob) -> tuple[str, ...]:
    """Return the flag with which inputs and outputs lie in the host's memory."""
    return () if job.soc == REFERENCE else ("--enable-offload-copy",)


def _fill(job: CompileJob) -> tuple[str, ...]:
    """Return ``--fill0`` for each integer input: at random, an index lies outside of its table."""
    names = [spec.name for spec in job.signature.inputs if spec.dtype.startswith(("int", "uint", "bool"))]
    return tuple(word for name in names for word in ("--fill0", name))


VENDOR: Final = Vendor(
    target=MIGRAPHX.name, sdk=SDK, programs=PROGRAMS, plan=plan, judge=judge, telling=("Rate:", "rms_error")
)
