"""The one table of runners, and which of them runs a model file. Importing this module loads no runtime."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lwmport.entry_points import OpenRegistry
from lwmport.errors import RunnerError, UsageError
from lwmport.registry import check_known
from lwmport.runtime.needs import device, library, module
from lwmport.runtime.spec import RunnerContext, RunnerSpec
from lwmport.types import Runner

GROUP: Final = "lwmport.runners"
"""The entry-point group of packages that have runners."""

_CANN: Final = "source set_env.sh of CANN"
_NO_NPU: Final = "start the container with the devices of the NPU, see 'lwmport doctor --target ascend'"
_NO_GPU: Final = "start the container with --device=/dev/kfd, see 'lwmport doctor --target migraphx'"
_UNKNOWN: Final = "nobody has shown what a file of an unknown sender may do there"

_OURS: Final = {
    spec.name: spec
    for spec in (
        RunnerSpec(
            name="onnxruntime",
            title="ONNX Runtime on the CPU",
            suffixes=(".onnx", ".ort"),
            opener="lwmport.runtime.runners.onnxruntime:open_model",
            needs=(module("onnxruntime", fix="run: pip install onnxruntime"),),
            priority=2,
            bundled=True,
            aliases=("ort",),
        ),
        RunnerSpec(
            name="litert",
            title="LiteRT (TensorFlow Lite) on the CPU",
            suffixes=(".tflite",),
            opener="lwmport.runtime.runners.litert:open_model",
            needs=(module("ai_edge_litert"),),
            priority=2,
            bundled=True,
            aliases=("tflite", "tensorflow-lite"),
        ),
        RunnerSpec(
            name="tensorflow",
            title="TensorFlow on the CPU",
            suffixes=(".saved_model", ".pb"),
            opener="lwmport.runtime.runners.tensorflow:open_model",
            needs=(module("tensorflow"),),
            risk="a TensorFlow graph may read and write files",
            aliases=("tf",),
        ),
        RunnerSpec(
            name="transformers",
            title="Hugging Face transformers on the CPU",
            suffixes=(".hf",),
            opener="lwmport.runtime.runners.transformers:open_model",
            needs=(module("transformers"), module("torch")),
            priority=2,
            risk=_UNKNOWN,
            aliases=("hf", "huggingface"),
        ),
        RunnerSpec(
            name="gguf",
            title="the JAX reference, with the weights that the file holds",
            suffixes=(".gguf",),
            opener="lwmport.runtime.runners.gguf:open_gguf",
            needs=(module("gguf"),),
            priority=2,
            aliases=("readback",),
        ),
        RunnerSpec(
            name="openvino",
            title="OpenVINO on the CPU",
            suffixes=(".onnx", ".tflite", ".xml"),
            opener="lwmport.runtime.runners.openvino:open_model",
            needs=(module("openvino"),),
            aliases=("ov",),
        ),
        RunnerSpec(
            name="ascend-pairs",
            title="ONNX Runtime on the CPU, AscendQuant and AscendDequant as the pairs that they stand for",
            suffixes=(".onnx",),
            opener="lwmport.runtime.runners.ascend_pairs:open_model",
            needs=(module("onnxruntime", fix="run: pip install onnxruntime"),),
            priority=0,
        ),
        RunnerSpec(
            name="emulate:float16",
            title="an emulation of float16, sums in float32 on the CPU (a forecast, not a device's result)",
            suffixes=(".onnx",),
            opener="lwmport.runtime.emulated.runner:open_float16",
            needs=(module("onnxruntime", fix="run: pip install onnxruntime"),),
            priority=0,
            device=True,
            precision="float16",
        ),
        RunnerSpec(
            name="emulate:float16-sums",
            title="an emulation of float16, sums in float16 on the CPU (a forecast, not a device's result)",
            suffixes=(".onnx",),
            opener="lwmport.runtime.emulated.runner:open_float16_sums",
            needs=(module("onnxruntime", fix="run: pip install onnxruntime"),),
            priority=0,
            device=True,
            precision="float16",
        ),
        RunnerSpec(
            name="emulate:bfloat16",
            title="an emulation of bfloat16, sums in float32 on the CPU (a forecast, not a device's result)",
            suffixes=(".onnx",),
            opener="lwmport.runtime.emulated.runner:open_bfloat16",
            needs=(module("onnxruntime", fix="run: pip install onnxruntime"),),
            priority=0,
            device=True,
            precision="bfloat16",
        ),
        RunnerSpec(
            name="emulate:int8",
            title="an emulation of products of 8 bits on the CPU (a forecast, not a device's result)",
            suffixes=(".onnx",),
            opener="lwmport.runtime.emulated.runner:open_int8",
            needs=(module("onnxruntime", fix="run: pip install onnxruntime"),),
            priority=0,
            device=True,
            precision="a8-tensor",
        ),
        RunnerSpec(
            name="emulate:ascend",
            title="an emulation of an Ascend NPU in mixed float16 on the CPU (a forecast, not a device's result)",
            suffixes=(".onnx",),
            opener="lwmport.runtime.emulated.runner:open_ascend",
            needs=(module("onnxruntime", fix="run: pip install onnxruntime"),),
            priority=0,
            device=True,
            precision="float16",
        ),
        RunnerSpec(
            name="emulate:aipu",
            title="an emulation of a Zhouyi NPU in 8 bits on the CPU (a forecast, not a device's result)",
            suffixes=(".onnx",),
            opener="lwmport.runtime.emulated.runner:open_aipu",
            needs=(module("onnxruntime", fix="run: pip install onnxruntime"),),
            priority=0,
            device=True,
            precision="a8-tensor",
        ),
        RunnerSpec(
            name="ascend",
            title="an Ascend NPU, by ais_bench or pyACL",
            suffixes=(".om",),
            opener="lwmport.runtime.devices.ascend:open_model",
            needs=(module("ais_bench", "acl", fix=f"{_CANN}, which brings acl"), device("davinci[0-9]*", _NO_NPU)),
            device=True,
            numbered=True,
            risk=_UNKNOWN,
            bundled=True,
        ),
        RunnerSpec(
            name="compass",
            title="Compass's own executor of its IR, float or quantised, on the CPU",
            suffixes=(".txt",),
            opener="lwmport.runtime.devices.compass:open_model",
            needs=(module("AIPUBuilder", fix="install Compass_Optimizer of Arm-China from GitHub"),),
            device=True,
            risk=_UNKNOWN,
            bundled=True,
        ),
        RunnerSpec(
            name="migraphx",
            title="MIGraphX on an AMD GPU or a Hygon DCU",
            suffixes=(".onnx", ".mxr"),
            opener="lwmport.runtime.devices.migraphx:open_model",
            needs=(
                module("migraphx", fix="put the lib folder of ROCm or DTK on PYTHONPATH"),
                device("kfd", _NO_GPU),
            ),
            device=True,
            risk=_UNKNOWN,
            bundled=True,
        ),
        RunnerSpec(
            name="onnxruntime-cann",
            title="ONNX Runtime on an Ascend NPU, by CANN's provider",
            suffixes=(".onnx",),
            opener="lwmport.runtime.devices.providers:open_cann",
            needs=(
                library(
                    "onnxruntime",
                    "capi/libonnxruntime_providers_cann.so",
                    "install onnxruntime-cann in place of onnxruntime, in an environment of its own",
                ),
                device("davinci[0-9]*", _NO_NPU),
            ),
            device=True,
            bundled=True,
        ),
        RunnerSpec(
            name="onnxruntime-migraphx",
            title="ONNX Runtime on an AMD GPU or a Hygon DCU, by MIGraphX's provider",
            suffixes=(".onnx",),
            opener="lwmport.runtime.devices.providers:open_migraphx",
            needs=(
                library(
                    "onnxruntime",
                    "capi/libonnxruntime_providers_migraphx.so",
                    "install the vendor's onnxruntime in place of onnxruntime: AMD's, or Hygon's on a DCU",
                ),
                device("kfd", _NO_GPU),
            ),
            device=True,
            bundled=True,
        ),
        RunnerSpec(
            name="rocm",
            title="Hugging Face transformers on an AMD GPU or a Hygon DCU",
            suffixes=(".hf",),
            opener="lwmport.runtime.devices.rocm:open_model",
            needs=(
                module("transformers"),
                library("torch", "lib/libtorch_hip.so", "install AMD's torch, or Hygon's on a DCU"),
                device("kfd", _NO_GPU),
            ),
            device=True,
            risk=_UNKNOWN,
        ),
    )
}
"""Our own runners by name. Of two with one priority, the first is the usual one."""


def _check(found: RunnerSpec, _: Mapping[str, RunnerSpec]) -> None:
    """Refuse a runner that takes no files, or that cannot say what it lacks here."""
    if not found.suffixes or not all(suffix.startswith(".") for suffix in found.suffixes):
        raise UsageError(f"expected suffixes of files such as .onnx, found {found.suffixes!r}")
    found.why_not()


RUNNERS: Final[OpenRegistry[RunnerSpec]] = OpenRegistry(
    kind="runner", table=_OURS, group=GROUP, record=RunnerSpec, check=_check
)
"""Name -> `RunnerSpec`."""


def takers(suffix: str) -> list[RunnerSpec]:
    """Return the runners that take files of a suffix, the usual one first.

    A runner of another package is the usual one only of files that none of ours takes: to install a package changes no
    verdict.
    """
    return [*_taking(suffix, RUNNERS.ours), *_taking(suffix, RUNNERS.others)]


def _taking(suffix: str, among: Mapping[str, RunnerSpec]) -> list[RunnerSpec]:
    found = [spec for spec in among.values() if suffix in spec.suffixes]
    return sorted(found, key=lambda spec: -spec.priority)


def runner_for(path: Path, name: str | None = None) -> RunnerSpec:
    """Return the runner of a model file: the one of that name, else the usual one of its suffix.

    Raises:
        UsageError: no such runner, it does not take such a file, or none does.
        PortError: the runner is another package's, and cannot be used.
    """
    if name is None:
        found = _taking(path.suffix, RUNNERS.ours) or _taking(path.suffix, RUNNERS.others)
        if not found:
            known = {suffix for spec in RUNNERS.values() for suffix in spec.suffixes}
            check_known("kind of model file", path.suffix, sorted(known))
        return found[0]
    spec = RUNNERS[name]
    _check_suffix(spec, path.suffix, str(path))
    return spec


def check_takes(name: str, suffix: str) -> None:
    """Return if the runner of that name takes files with this ending, before there is such a file.

    Raises:
        UsageError: no such runner, or it does not take them.
        PortError: the runner is another package's, and cannot be used.
    """
    _check_suffix(RUNNERS[name], suffix, f"{suffix} files")


def precision_of(name: str | None) -> str:
    """Return the precision that the runner of a name computes in whatever the model says; empty if it does not."""
    return "" if name is None else RUNNERS[name].precision


def _check_suffix(spec: RunnerSpec, suffix: str, found: str) -> None:
    if suffix not in spec.suffixes:
        raise UsageError(
            f"expected a file that {spec.name} runs ({', '.join(spec.suffixes)}), found {found}; {advice(suffix)}"
        )


def advice(*suffixes: str) -> str:
    """Return which runners take files with some endings, as the advice of a message."""
    names = dict.fromkeys(spec.name for suffix in suffixes for spec in takers(suffix))
    ends = " or ".join(suffixes)
    return f"for {ends}, use --runner {' or '.join(names)}" if names else f"no runner takes {ends}"


def check_startable(name: str, *paths: Path) -> None:
    """Return if the runner of that name takes some model files, and can start here.

    Raises:
        UsageError: as in `runner_for`.
        RunnerError: something that it needs is missing here.
    """
    for path in paths:
        runner_for(path, name)
    reason = RUNNERS[name].why_not()
    if reason:
        raise RunnerError(f"the runner {name} cannot start here: {reason}")


def check_runs(suffix: str, name: str | None = None) -> None:
    """Return if the runner of that name, else the usual one, runs files with this ending, and can start here.

    Raises:
        UsageError: as in `runner_for`.
        RunnerError: something that it needs is missing here.
    """
    check_startable(runner_for(Path(f"model{suffix}"), name).name)


def open_runner(path: Path, context: RunnerContext | None = None, name: str | None = None) -> Runner:
    """Return a model file, ready to run in the runner of that name, else in the usual one of its suffix.

    Raises:
        UsageError: as in `runner_for`.
        RunnerError: the runtime or the device refuses the file, or is not there.
        MissingExtraError: the runtime is not installed.
    """
    return runner_for(path, name).open(path, context or RunnerContext())
