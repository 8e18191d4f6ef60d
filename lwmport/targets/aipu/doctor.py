"""Checks of Arm China's Compass SDK."""

from collections.abc import Iterator
from typing import Final

from lwmport.targets.aipu.compile import BUILD
from lwmport.targets.doctor.check import Check, Trouble, error, note, warning
from lwmport.targets.doctor.doctor import Doctor
from lwmport.targets.doctor.machine import Machine

WORKING_NUMPY: Final = (2, 2)
BROKEN_NUMPY: Final = (2, 4)
"""With numpy 2.2.6 the parser works, with 2.4.6 it fails on TopK; 2.3 was not tried."""

TFLITE_ONNX: Final = (1, 18)


def toolkit(machine: Machine) -> Iterator[Trouble]:
    """The build tool is there, or at least the open parts."""
    if any(name in machine.tools for name in BUILD):
        return
    if "aipuparse" in machine.tools:
        yield warning(
            "only the open parts of Compass: models are parsed and quantised, no code is made",
            "install the AIPUBuilder wheel of the SDK (MiniPkg), which has aipugb",
        )
    else:
        yield error(
            "no Compass: neither aipubuild nor aipuparse is on the path",
            "install the SDK's AIPUBuilder wheel; or let 'lwmport compile --target aipu' write the configuration",
        )


def packages(machine: Machine) -> Iterator[Trouble]:
    """The packages beside the parser are those that it works with."""
    if "aipuparse" not in machine.tools and not any(name in machine.tools for name in BUILD):
        return
    version = machine.version("numpy")
    if version and version[:2] >= BROKEN_NUMPY:
        yield error(
            f"numpy {machine.distributions['numpy']}: the parser fails on TopK and others",
            "pip install numpy==2.2.6 in the SDK's environment",
        )
    elif version and version[:2] > WORKING_NUMPY:
        yield warning(
            f"numpy {machine.distributions['numpy']} is not tried with the parser", "pip install numpy==2.2.6"
        )
    onnx = machine.version("onnx")
    if onnx and onnx[:2] > TFLITE_ONNX:
        yield note(f"onnx {machine.distributions['onnx']}: the parser warns about TFLite", "pip install onnx==1.18.0")
    if not {"tensorflow", "tensorflow-cpu"} & set(machine.distributions):
        yield error("no TensorFlow, which the parser imports for ONNX too", "pip install tensorflow-cpu==2.21.0")
    if "torchvision" in machine.distributions and "+cpu" in machine.distributions.get("torch", ""):
        yield warning(
            "torchvision for CUDA beside torch for the CPU: operator torchvision::nms does not exist",
            "pip install torchvision --index-url of the same build as torch",
        )


def device(machine: Machine) -> Iterator[Trouble]:
    """The NPU is there."""
    if "/dev/aipu" not in machine.files:
        yield note("no /dev/aipu: models are compiled here and run elsewhere", "load the driver on the board")


_CHECKS: Final = (
    Check(name="compass", look=toolkit),
    Check(name="compass-packages", look=packages),
    Check(name="zhouyi", look=device),
)

DOCTOR: Final = Doctor(
    checks=_CHECKS,
    signs=("/dev/aipu", *BUILD, "aipuparse"),
    tools=(*BUILD, "aipuparse"),
    places=("/dev/aipu",),
)
