"""Huawei's CANN: ``atc`` from ONNX or a frozen graph to an ``.om``, behind AMCT where values are rounded."""

import re
from typing import Any, Final

from lwmport.errors import UsageError
from lwmport.targets.ascend.aipp import aipp, differences
from lwmport.targets.ascend.amct import AMCT, DEPLOYED, MISSING, adaptation, is_rounded
from lwmport.targets.ascend.errors import HINTS, explain
from lwmport.targets.ascend.precision import precision_files, precision_options
from lwmport.targets.ascend.shapes import GEARS, shape_options
from lwmport.targets.ascend.target import ASCEND
from lwmport.targets.compile.job import CompileJob, check_gears, check_job
from lwmport.targets.compile.plan import CompilePlan, Place, Run, Step
from lwmport.targets.compile.providers import provider_file
from lwmport.targets.compile.socs import chip_of
from lwmport.targets.compile.toolchain import Sdk
from lwmport.targets.compile.vendor import Vendor
from lwmport.targets.compile.verdict import absent, failed, general

FRAMEWORKS: Final = {"onnx": "5", "frozen_graph": "3"}
SUCCESS: Final = "ATC run success"
FAILURE: Final = "ATC run failed"
NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")
"""What ATC takes in the names of files."""

LITTER: Final = ("fusion_result.json", "kernel_meta*")
"""What ATC writes into the folder that it runs in, whatever ``--output`` says."""

PRECISIONS: Final = ("float32", "mixed", "float16", "bfloat16")

PROGRAMS: Final = ("atc",)
SDK: Final = Sdk(
    variables=("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME"),
    places=("/usr/local/Ascend/cann", "/usr/local/Ascend/ascend-toolkit/latest", "/usr/local/Ascend/ascend-toolkit"),
    scripts=("set_env.sh", "bin/setenv.bash"),
    after=(
        'devlib="$ASCEND_HOME_PATH/$(uname -m)-linux/devlib"; [ -e /dev/davinci0 ] || [ ! -d "$devlib" ] || '
        'export LD_LIBRARY_PATH="$devlib:$LD_LIBRARY_PATH"'
    ),
)
"""A host without a card has the driver's libraries in ``devlib`` only."""


def plan(job: CompileJob, place: Place) -> CompilePlan:
    """Return ATC's command and the files that it reads, behind AMCT's where values are rounded.

    Raises:
        UsageError: format, device, precision, gears or names are none that ATC takes.
    """
    check_job(job, ASCEND, tuple(FRAMEWORKS), PRECISIONS)
    chip_of(ASCEND, job.soc, job.precision)
    check_gears(job, GEARS)
    for name in (job.path.name, job.name):
        if not NAME.fullmatch(name):
            raise UsageError(f"expected a name of letters, digits, '_', '.' and '-' for ATC, found {name!r}; rename it")
    rounds, deployed = is_rounded(job), f"{job.name}{DEPLOYED}"
    files = precision_files(job)
    details: dict[str, Any] = {"soc": job.soc, "precision": job.precision}
    options = [
        f"--framework={FRAMEWORKS[job.format]}",
        f"--model={place.file(deployed) if rounds else place.model}",
        f"--output={place.file(job.name)}",
        f"--soc_version={job.soc}",
        *shape_options(job),
        *precision_options(job, place, files),
    ]
    if job.pictures_as_bytes:
        files[f"{job.name}.aipp.cfg"] = aipp(job)
        options.append(f"--insert_op_conf={place.file(f'{job.name}.aipp.cfg')}")
        details["picture_difference"] = differences(job)
    if job.format == "frozen_graph":
        options.append(f"--out_nodes={';'.join(f'{spec.name}:0' for spec in job.signature.outputs)}")
    options += ["--log=error", *job.extra]
    if job.format == "onnx" and not any(operator.startswith(("npu.", "Ascend")) for operator in job.operators):
        # ONNX Runtime, whose provider this is for, refuses a model with operators of CANN's own.
        files[f"{job.name}.cann.json"] = provider_file("CANNExecutionProvider", job.precision, job.name)
    step = Step(name="atc", tools=PROGRAMS, options=tuple(options), products=(f"{job.name}.om|{job.name}_linux_*.om",))
    steps = (adaptation(place.model, place.file(job.name), deployed), step) if rounds else (step,)
    return CompilePlan(steps=steps, files=files, details=details)


def judge(run: Run) -> str:
    """Return why ATC failed, or an empty text.

    Success is the exit code 0, the words of success, no words of failure, and the file: each has been seen alone.
    """
    if run.step.name == AMCT:
        return general(run, MISSING) or failed(run) or absent(run)
    coded = explain(run.said)
    wrong = run.code != 0 or FAILURE in run.said or SUCCESS not in run.said
    if wrong and coded:
        return coded
    reason = (general(run, HINTS) or failed(run)) if wrong else ""
    if wrong and not reason:
        reason = f"atc exited with 0 {_words(run.said)}; see its log"
    return reason or absent(run)


def _words(said: str) -> str:
    """Return which of ATC's last words are wrong, of a run that looks well otherwise."""
    if FAILURE not in said:
        return f"without saying {SUCCESS!r}"
    return f"although it said {FAILURE!r}" + (f" as well as {SUCCESS!r}" if SUCCESS in said else "")


VENDOR: Final = Vendor(target=ASCEND.name, sdk=SDK, programs=PROGRAMS, plan=plan, judge=judge, litter=LITTER)
