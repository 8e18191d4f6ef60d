"""Checks of Python, its packages and its environment variables: they matter to every target."""

from collections.abc import Iterator
from typing import Final

from lwmport.targets.doctor.check import Check, Trouble, error, note, warning
from lwmport.targets.doctor.machine import Machine, numbers

OLDEST_PYTHON: Final = (3, 11)

FLAVOURS: Final = (
    "onnxruntime",
    "onnxruntime-cann",
    "onnxruntime-directml",
    "onnxruntime-gpu",
    "onnxruntime-migraphx",
    "onnxruntime-openvino",
    "onnxruntime-rocm",
    "onnxruntime-training",
)
"""Distributions that all install the package ``onnxruntime``: the last one installed overwrites the others."""

THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
MANY_CORES: Final = 64
THREADS_A_CORE: Final = 4
"""Threads that OpenBLAS, OpenMP, XLA and the runtimes start together, for each core, if nothing stops them."""

FEWER_DIGITS: Final = {
    "NVIDIA_TF32_OVERRIDE": "1",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1",
    "ROCBLAS_MATH_MODE": "1",
    "MIOPEN_PRECISION_FP32_FP32_FP32_TF32_FP32": "1",
    "JAX_DEFAULT_MATMUL_PRECISION": "tensorfloat32",
}
"""Variables, and the value with which float32 is multiplied with 10 bits."""


def python_version(machine: Machine) -> Iterator[Trouble]:
    """Python is as new as this package needs."""
    if machine.python < OLDEST_PYTHON:
        found = ".".join(map(str, machine.python))
        yield error(f"Python {found}", "install Python 3.11 or newer and make the environment anew")


def one_onnxruntime(machine: Machine) -> Iterator[Trouble]:
    """One flavour of ONNX Runtime is installed, not several over each other."""
    found = [name for name in FLAVOURS if name in machine.distributions]
    if len(found) > 1:
        yield error(
            f"{' and '.join(found)} are installed over each other",
            f"pip uninstall -y {' '.join(found)} && pip install {found[-1]}",
        )
    if not found:
        yield error("no onnxruntime is installed", "pip install onnxruntime")


def numpy_for_cann(machine: Machine) -> Iterator[Trouble]:
    """The CANN wheel of ONNX Runtime has a numpy that it loads with."""
    version = machine.version("numpy")
    if "onnxruntime-cann" in machine.distributions and version and version >= (2,):
        yield error(
            f"onnxruntime-cann is built for numpy 1, numpy {machine.distributions['numpy']} is installed",
            "python3 -m venv cann && cann/bin/pip install onnxruntime-cann 'numpy<2': an environment of its own, for a "
            "bundle's verify.py",
        )


def torch_npu(machine: Machine) -> Iterator[Trouble]:
    """PyTorch's Ascend plug-in fits, and its libraries are there: without them ``import torch`` itself fails."""
    if "torch-npu" not in machine.distributions:
        return
    torch, plugin = machine.version("torch"), machine.version("torch-npu")
    if torch and plugin and torch[:2] != plugin[:2]:
        yield error(
            f"torch {machine.distributions['torch']} beside torch-npu {machine.distributions['torch-npu']}",
            f"pip install torch=={'.'.join(map(str, plugin[:3]))}",
        )
    if "libhccl.so" not in machine.libraries:
        yield error(
            "torch-npu is installed and libhccl.so is not found: import torch fails",
            "source set_env.sh of CANN, or export TORCH_DEVICE_BACKEND_AUTOLOAD=0",
        )


def threads(machine: Machine) -> Iterator[Trouble]:
    """The numbers of threads are numbers, and neither more than cores nor too many for the user's limit."""
    for name in THREADS:
        value = machine.environment.get(name)
        if value is None:
            continue
        if not value.isdecimal() or int(value) < 1:
            yield error(f"{name}={value}", f"unset {name}")
        elif int(value) > machine.cores:
            yield warning(f"{name}={value} on {machine.cores} cores", f"export {name}={machine.cores}")
        elif int(value) == 1 < machine.cores:
            yield note(f"{name}=1 on {machine.cores} cores: validation runs on one", f"unset {name}")
    free = not any(name in machine.environment for name in THREADS)
    limit = machine.processes
    if free and limit is not None and machine.cores * THREADS_A_CORE > limit:
        yield error(
            f"a limit of {limit} processes and threads, {machine.cores} cores: OpenBLAS cannot start its threads",
            "export OMP_NUM_THREADS=8 OPENBLAS_NUM_THREADS=8",
        )
    elif free and machine.cores > MANY_CORES:
        yield warning(
            f"{machine.cores} cores and no limit on threads: small operators wait for each other",
            "export OMP_NUM_THREADS=16 OPENBLAS_NUM_THREADS=16",
        )


def digits(machine: Machine) -> Iterator[Trouble]:
    """Nothing makes float32 less than that, and JAX's own dtypes are not widened."""
    for name, value in FEWER_DIGITS.items():
        if machine.environment.get(name, "").lower() == value:
            yield warning(f"{name}={value}: float32 is multiplied as TF32, with 10 bits", f"unset {name}")
    if machine.environment.get("JAX_ENABLE_X64", "0").lower() in ("1", "true"):
        yield warning("JAX_ENABLE_X64 is set: the reference computes in other dtypes", "unset JAX_ENABLE_X64")


def loader_path(machine: Machine) -> Iterator[Trouble]:
    """LD_LIBRARY_PATH has no empty entry and does not mix two vendors' libraries of the same names."""
    path = machine.environment.get("LD_LIBRARY_PATH", "")
    if path and "" in path.split(":"):
        clean = ":".join(entry for entry in path.split(":") if entry)
        yield warning("LD_LIBRARY_PATH has an empty entry, the current folder", f"export LD_LIBRARY_PATH={clean}")
    if "/opt/rocm" in path and "/opt/dtk" in path:
        yield error(
            "LD_LIBRARY_PATH has /opt/rocm and /opt/dtk: their libraries have the same names",
            "start a new shell and source one of them only",
        )


def onnx_versions(machine: Machine) -> Iterator[Trouble]:
    """The installed packages are as new as this package asks for."""
    for name, least in {"numpy": "2.0", "onnx": "1.18", "onnxruntime": "1.22", "jax": "0.10", "flax": "0.12"}.items():
        version = machine.version(name)
        if version is None or version >= numbers(least):
            continue
        if name == "numpy" and "onnxruntime-cann" in machine.distributions:
            yield error(
                f"numpy {machine.distributions[name]}: right for onnxruntime-cann, too old for JAX and this package",
                "here python verify.py --runner onnxruntime-cann; convert in another one",
            )
        else:
            yield error(f"{name} {machine.distributions[name]}", f"pip install '{name}>={least}'")


LIBRARIES: Final = ("libhccl.so",)
"""Libraries that the checks here ask for."""

CHECKS: Final = (
    Check(name="python", look=python_version),
    Check(name="packages", look=onnx_versions),
    Check(name="one-onnxruntime", look=one_onnxruntime),
    Check(name="numpy-for-cann", look=numpy_for_cann),
    Check(name="torch-npu", look=torch_npu),
    Check(name="threads", look=threads),
    Check(name="digits", look=digits),
    Check(name="loader-path", look=loader_path),
)
"""What matters to every target."""
