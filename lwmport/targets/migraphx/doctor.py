"""Checks of ROCm and of Hygon's DTK, which answer to many of the same names and share no library."""

import re
from collections.abc import Iterator
from typing import Final

from lwmport.targets.doctor.cards import cards_of
from lwmport.targets.doctor.check import Check, Trouble, error, note, warning
from lwmport.targets.doctor.doctor import Doctor
from lwmport.targets.doctor.machine import Machine, numbers
from lwmport.targets.migraphx.cards import CARDS
from lwmport.targets.migraphx.compile import PROGRAMS

DTK: Final = "/opt/dtk"
ENV: Final = f"source {DTK}/env.sh"
WHEELS: Final = {
    "onnxruntime-migraphx": ("libmigraphx_c.so.3", "libamdhip64.so.7"),
    "onnxruntime-rocm": ("libhipblas.so.3", "libamdhip64.so.7"),
}
"""Wheels of ONNX Runtime -> the libraries that they load; without them a session silently runs on the CPU."""

WHEELS_LIBC: Final = (2, 34)
BOOLEANS: Final = ("FP16_ENABLE", "BF16_ENABLE", "FP8_ENABLE", "INT8_ENABLE", "EXHAUSTIVE_TUNE", "DUMP_MODEL_OPS")


def is_dcu(machine: Machine) -> bool:
    """Return whether the machine is Hygon's: its driver, its toolkit or its tool is there."""
    return machine.has_file(DTK) or machine.has_file("/opt/hyhal") or "hy-smi" in machine.tools


def toolkit(machine: Machine) -> Iterator[Trouble]:
    """MIGraphX is there."""
    if "migraphx-driver" not in machine.tools:
        yield error(
            "no MIGraphX: migraphx-driver is not found",
            ENV if machine.has_file(DTK) else "install migraphx of ROCm; or let 'lwmport compile' write the commands",
        )


def dtk(machine: Machine) -> Iterator[Trouble]:
    """On a DCU the environment is DTK's, whole, and its driver is visible."""
    if not is_dcu(machine):
        return
    path = machine.environment.get("ROCM_PATH", "")
    if machine.has_file(DTK) and not path:
        yield error(
            "DTK is installed and its environment is not set: ROCM_PATH is empty", f"{ENV} (never under set -u)"
        )
    elif path and "dtk" not in path:
        yield error(f"ROCM_PATH={path} on a DCU", f"start a new shell, then {ENV}")
    if machine.has_file(DTK) and "libgalaxyhip.so.5" not in machine.libraries:
        yield error(
            "libgalaxyhip.so.5 is not found",
            f"{ENV}; if that is not enough: export LD_LIBRARY_PATH={DTK}/hip/lib:$LD_LIBRARY_PATH",
        )
    if not machine.has_file("/opt/hyhal"):
        yield error(
            "no /opt/hyhal: librocm_smi64.so.2 is missing", "start the container with -v /opt/hyhal:/opt/hyhal:ro"
        )
    if "HSA_OVERRIDE_GFX_VERSION" in machine.environment:
        yield warning("HSA_OVERRIDE_GFX_VERSION is for AMD's own cards", "unset HSA_OVERRIDE_GFX_VERSION")


def rocm_path(machine: Machine) -> Iterator[Trouble]:
    """ROCM_PATH leads somewhere."""
    path = machine.environment.get("ROCM_PATH", "")
    if path and not machine.has_file(path):
        yield error(f"ROCM_PATH={path}, which is not there", "unset ROCM_PATH, or set it to where ROCm is")


def device(machine: Machine) -> Iterator[Trouble]:
    """The kernel's devices are there and not hidden, and the card answers."""
    for path in ("/dev/kfd", "/dev/dri"):
        if not machine.has_file(path):
            yield error(f"no {path}", "start the container with --device=/dev/kfd --device=/dev/dri --group-add video")
    for name in ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"):
        if machine.environment.get(name) in ("", "-1"):
            yield error(f"{name}={machine.environment[name]!r} hides every card", f"unset {name}")
    for card in cards_of(machine, CARDS):
        if card.health != "OK":
            yield error(f"card {card.index} ({card.name}) says {card.health}", "restart it with the vendor's tool")
        if card.soc == "gfx906":
            yield note(f"{card.name} has no bfloat16 matrix units", "compile with --precision float16 or float32")


def wheels(machine: Machine) -> Iterator[Trouble]:
    """ONNX Runtime's wheels find the libraries that they were built for."""
    for name, libraries in WHEELS.items():
        if name not in machine.distributions:
            continue
        if is_dcu(machine):
            yield error(
                f"{name} links libamdhip64.so.7, which DTK does not have",
                f"pip uninstall -y {name}; take the onnxruntime of the vendor's image",
            )
            continue
        missing = [library for library in libraries if library not in machine.libraries]
        if missing:
            yield error(f"{name} does not find {', '.join(missing)}: sessions run on the CPU", "install ROCm 7")
        if numbers(machine.libc) < WHEELS_LIBC:
            yield error(f"glibc {machine.libc}, {name} needs 2.34", "use a newer system or container")


def pytorch(machine: Machine) -> Iterator[Trouble]:
    """PyTorch is built for this ROCm or this DTK."""
    version = machine.distributions.get("torch", "")
    if not version:
        return
    if not any(tag in version for tag in ("rocm", "das", "dtk")):
        yield warning(
            f"torch {version} is not built for ROCm: the Hugging Face folder runs on the CPU", _torch(machine)
        )
        return
    if is_dcu(machine) and "rocm" in version:
        yield error(f"torch {version} is AMD's: it asks libamdhip64.so for 'hip_4.2'", _torch(machine))
    tag = re.search(r"dtk(\d{2})(\d{2})", version)
    text = next((text for path, text in machine.files.items() if path.startswith(f"{DTK}/.info")), "")
    found = re.search(r"(\d{2})\.(\d{2})", text)
    if tag and found and tag.groups() != found.groups():
        yield error(
            f"torch {version} beside DTK {'.'.join(found.groups())}",
            f"install the wheel whose name has dtk{''.join(found.groups())}",
        )


def _torch(machine: Machine) -> str:
    wheel = "the wheel of Hygon's site whose das and dtk tags fit" if is_dcu(machine) else "AMD's wheel for this ROCm"
    return f"install {wheel}"


def provider_settings(machine: Machine) -> Iterator[Trouble]:
    """ONNX Runtime's settings for MIGraphX are numbers, and compiled models are kept."""
    for name in BOOLEANS:
        value = machine.environment.get(f"ORT_MIGRAPHX_{name}", "0")
        if value not in ("0", "1"):
            yield error(f"ORT_MIGRAPHX_{name}={value}: it is read as a number", f"export ORT_MIGRAPHX_{name}=1")
    used = any(name in machine.distributions for name in WHEELS)
    if used and "ORT_MIGRAPHX_MODEL_CACHE_PATH" not in machine.environment:
        yield note("compiled models are not kept: each session compiles", "export ORT_MIGRAPHX_MODEL_CACHE_PATH=DIR")


_CHECKS: Final = (
    Check(name="migraphx", look=toolkit),
    Check(name="dtk", look=dtk),
    Check(name="rocm-path", look=rocm_path),
    Check(name="gpu", look=device),
    Check(name="onnxruntime-wheels", look=wheels),
    Check(name="pytorch-rocm", look=pytorch),
    Check(name="migraphx-provider", look=provider_settings),
)

DOCTOR: Final = Doctor(
    checks=_CHECKS,
    signs=("/dev/kfd", DTK, "/opt/rocm", "/opt/hyhal", *PROGRAMS, "hy-smi", "rocm-smi"),
    tools=PROGRAMS,
    commands={
        "hy-smi": ("hy-smi",),
        "hy-smi names": ("hy-smi", "--showproductname"),
        "rocm-smi": ("rocm-smi", "--showproductname"),
    },
    cards=CARDS,
    folders=("/opt/hyhal/bin", "/usr/local/hyhal/bin", "/opt/dtk/bin", "/opt/rocm/bin"),
    libraries=(
        "libamdhip64.so.7",
        "libgalaxyhip.so.5",
        "libhipblas.so.3",
        "libmigraphx_c.so.3",
        "librocm_smi64.so.2",
    ),
    places=("/dev/dri", "/dev/kfd", DTK, "/opt/hyhal", "/opt/rocm"),
    variables=("ROCM_PATH",),
    homes=(DTK, "/opt/rocm"),
    versions=(".info/version",),
)
