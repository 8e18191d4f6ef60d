"""Arm China's Compass for Zhouyi NPUs: ``aipubuild`` (``cixbuild`` on CIX boards), or its parts one by one."""

import re
from typing import Final

from lwmport.errors import UsageError
from lwmport.targets.aipu.config import (
    calibration_file,
    ini,
    optimizer_section,
    parser_section,
)
from lwmport.targets.aipu.target import AIPU
from lwmport.targets.compile.job import CompileJob, check_gears, check_job
from lwmport.targets.compile.plan import CompilePlan, Place, Run, Step, lines_of
from lwmport.targets.compile.socs import chip_of
from lwmport.targets.compile.toolchain import Sdk, find
from lwmport.targets.compile.vendor import Vendor
from lwmport.targets.compile.verdict import absent, failed, general, quote
from lwmport.wire import mapped

FORMATS: Final = ("onnx", "tflite", "frozen_graph")
PRECISIONS: Final = ("int8", "mixed", "float16", "bfloat16")
SOC: Final = "X2_1204MP3"
"""The device that is meant when none is named: that of the CIX P1 boards, which many can buy."""

BUILD: Final = ("aipubuild", "cixbuild")
PARSE: Final = ("aipuparse", "cixparse")
OPTIMIZE: Final = ("aipuopt",)
GENERATE: Final = ("aipugb",)
PROGRAMS: Final = (*BUILD, *PARSE, *OPTIMIZE, *GENERATE)
SDK: Final = Sdk(variables=("AIPU_HOME", "ZHOUYI_LINUX_DRIVER_HOME"), places=("/opt/aipu", "/opt/cix"))

ERRORS: Final = re.compile(r"(\d+) error\(s\)|Total errors:\s*(\d+)")
"""How the parser counts its errors, and how the code generator does."""

COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
MARKS: Final = ("[E]", "[F]")
GUESSED: Final = re.compile(r"Infer of .* meets issues")
"""A warning of the parser, after which it goes on with what it has: a convolution without its padding, as seen."""

CHECK: Final = "run 'lwmport check --target aipu'"

HINTS: Final = {
    "killed": "the parser needs about four times the model file: compile one block at a time",
    "library": "source the environment of the SDK",
    "len() of unsized object": "a 0-d tensor is external data: convert with --dialect aipu, which keeps it inline",
    "only 0-dimensional arrays can be converted": "the parser needs numpy 2.2.6: pip install numpy==2.2.6",
    "is not supported in serialize": f"an operator has no form on the device: {CHECK}",
    "Meets invalid Conv/ConvTranspose": f"weights have to be constants: {CHECK}",
    "Meets invalid ConvTranspose": f"weights have to be constants: {CHECK}",
    "Got invalid output shape": f"a shape follows from values that are computed: {CHECK}",
    "Meets invalid weights": f"weights have to be constants: {CHECK}",
    "that cannot be converted in rename_cast": "the IR does not have this dtype: cast to float32 or int32",
    "is not connected": "a part of the model leads from no input to no output: leave it out",
    " meets issues": f"the parser went on without this shape: {CHECK}",
    "is not DAG": "loops of unknown length are not taken: convert with --dialect aipu",
    "No module named 'AIPUBuilder.core'": "this needs the closed part of the SDK (MiniPkg)",
    "Currently not support per-block": "weights per block do not go with float16 activations: leave out the option",
    "no longer supported": "convert to ONNX or TFLite",
    "No module named": "the Python of the SDK lacks this module: install what its documents list",
}


def plan(job: CompileJob, place: Place) -> CompilePlan:
    """Return the command and the configuration of the build, and of its parts: some machines have the parser alone.

    Raises:
        UsageError: format, device, precision, shapes or names are none that Compass takes, or there are no samples.
    """
    check_job(job, AIPU, FORMATS, PRECISIONS)
    soc = job.soc or SOC
    chip_of(AIPU, soc, job.precision)
    check_gears(job, (1, 1))
    _check_names(job)
    _check_weights_inside(job)
    samples, dataset = calibration_file(job)
    parser, optimizer = parser_section(job, place), optimizer_section(job, place, dataset)
    name = job.name
    build = find(BUILD, SDK, job.toolchain) if job.run else None
    suffix = "cix" if build and build.path.name.startswith("cix") else "aipu.bin"
    builder = {"target": soc, "outputs": f"{name}.{suffix}", "tiling": "fps", **_extra(job)}
    own = {"graph": f"{name}.txt", "bin": f"{name}.bin", "model_name": name, "out_ir_name": f"{name}_o"}
    files = {
        f"{name}.cfg": ini(
            {"Common": {"mode": "build"}, "Parser": parser, "Optimizer": optimizer, "GBuilder": builder}
        ),
        f"{name}.parse.cfg": ini({"Common": parser}),
        f"{name}.optimize.cfg": ini({"Common": {**own, **optimizer}}),
    }
    steps = (Step(name="aipubuild", tools=BUILD, options=(f"{name}.cfg",), products=(f"{name}.{suffix}",)),)
    details = {"soc": soc, "precision": job.precision}
    data = {f"{name}.calibration.npy": samples}
    return CompilePlan(steps=steps, parts=_parts(job, soc), files=files, data=data, details=details)


def judge(run: Run) -> str:
    """Return why a step failed, or an empty text.

    Compass may exit with 0 after errors: marked lines and the count of errors are looked at too. The parser writes
    its text file even when it fails.
    """
    said = COLOURS.sub("", run.said)
    marked = [line for line in lines_of(said) if line.startswith(MARKS) or GUESSED.search(line)]
    counted = [int(first or second) for first, second in ERRORS.findall(said)]
    if run.code != 0 or marked or any(counted):
        clean = Run(step=run.step, code=run.code, said=said)
        known = general(clean, HINTS)
        return known or (
            quote(marked[0]) if marked else failed(clean) or f"{run.step.name} counted {max(counted)} errors"
        )
    if run.step.name == "aipuparse" and not counted:
        return "aipuparse exited with 0 without saying '0 error(s)'; see its log"
    return absent(run)


def _parts(job: CompileJob, soc: str) -> tuple[Step, ...]:
    """Return the chain that the build runs inside: parse, quantise, generate code."""
    name = job.name
    extra = tuple(word for key, value in _extra(job).items() for word in (f"--{key}", value))
    return (
        Step(
            name="aipuparse",
            tools=PARSE,
            options=("-c", f"{name}.parse.cfg"),
            products=(f"{name}.txt", f"{name}.bin"),
        ),
        Step(
            name="aipuopt",
            tools=OPTIMIZE,
            options=("--cfg", f"{name}.optimize.cfg"),
            products=(f"{name}_o.txt", f"{name}_o.bin"),
        ),
        Step(
            name="aipugb",
            tools=GENERATE,
            options=(f"{name}_o.txt", "-w", f"{name}_o.bin", "--target", soc, "--tiling", "fps", *extra),
            products=("aipu.bin",),
        ),
    )


def _extra(job: CompileJob) -> dict[str, str]:
    """Return the further options ``key=value`` for the code generator."""
    pairs = [option.lstrip("-").partition("=") for option in job.extra]
    return {key.strip(): value.strip() or "true" for key, _, value in pairs}


def _check_weights_inside(job: CompileJob) -> None:
    """Refuse a TFLite file with weights behind its tables.

    Compass's parser 4.3 knows no offsets of buffers: it counts 0 errors and reads every such weight as zeros.
    """
    if job.format != "tflite" or bytes(mapped(job.path)[4:8]) != b"TFL3":
        return
    from lwmport.converters.tflite.schema import schema

    model = schema.Model.GetRootAs(memoryview(mapped(job.path)), 0)
    if any(model.Buffers(number).Offset() > 1 for number in range(model.BuffersLength())):
        raise UsageError(
            f"expected a TFLite file with its weights inside of the tables, found {job.path} with weights behind them, "
            "which Compass reads as zeros; convert with --to tflite --dialect aipu-tflite"
        )


def _check_names(job: CompileJob) -> None:
    specs = (*job.signature.inputs, *job.signature.outputs)
    for name in (job.name, *(spec.name for spec in specs)):
        if not re.fullmatch(r"[A-Za-z0-9_./:-]+", name):
            raise UsageError(
                f"expected tensor names of letters, digits and '_', '.', '/', ':', '-' for Compass's configuration, "
                f"found {name!r}; rename it"
            )


VENDOR: Final = Vendor(
    target=AIPU.name,
    sdk=SDK,
    programs=PROGRAMS,
    plan=plan,
    judge=judge,
    beside_results=True,
    telling=("[output tensors cosine]",),
)
