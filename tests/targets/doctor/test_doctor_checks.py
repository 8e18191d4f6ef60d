"""Each check on a machine that is well, and on one that is ill in just one way."""

from dataclasses import replace
from typing import Any

import pytest

from lwmport.errors import UsageError
from lwmport.targets.doctor.doctors import doctors
from lwmport.targets.doctor.examine import examine
from lwmport.targets.doctor.machine import Machine
from lwmport.targets.registry import TARGETS
from lwmport.types import Severity, Status

OURS = {"numpy": "2.4.6", "onnx": "1.18.0", "onnxruntime": "1.31.1", "jax": "0.10.2", "flax": "0.12.8"}
CPU = Machine(
    distributions=OURS, flags=frozenset({"avx", "avx2", "avx512_bf16"}), cores=8, memory=64 * 10**9, disk=10**12
)
HOME = "/usr/local/Ascend/cann"
NPU = """\
| npu-smi 24.1.0                   Version: 24.1.0                                               |
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| 0     910B3               | OK            | 93.6        40                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          3161 / 65536         |
"""
HCU = "HCU     Temp     Mode\n0       50.0C    80.0W     Normal\n"
GOOD = {
    "cpu": CPU,
    "ascend": replace(
        CPU,
        environment={"ASCEND_HOME_PATH": HOME},
        tools={"atc": f"{HOME}/bin/atc", "npu-smi": "/usr/local/bin/npu-smi"},
        said={"npu-smi": NPU},
        files={
            HOME: "",
            f"{HOME}/set_env.sh": "",
            "/dev/davinci0": "",
            f"{HOME}/compiler/data/platform_config/Ascend910B3.ini": "",
            f"{HOME}/ascend_toolkit_install.info": "package_name=toolkit\nversion=8.5.0\n",
        },
        libraries=frozenset({"libascendcl.so"}),
    ),
    "aipu": replace(
        CPU,
        distributions={**OURS, "numpy": "2.2.6", "tensorflow-cpu": "2.21.0"},
        tools={"aipubuild": "/opt/aipu/bin/aipubuild"},
        files={"/dev/aipu": ""},
    ),
    "migraphx": replace(
        CPU,
        environment={"ROCM_PATH": "/opt/dtk"},
        distributions={**OURS, "torch": "2.4.1+das.opt2.dtk2504"},
        tools={"migraphx-driver": "/opt/dtk/bin/migraphx-driver", "hy-smi": "/opt/hyhal/bin/hy-smi"},
        said={"hy-smi": HCU, "hy-smi names": "HCU[0] : Card series: BW1000"},
        files={"/opt/dtk": "", "/opt/hyhal": "", "/dev/kfd": "", "/dev/dri": "", "/opt/dtk/.info/version": "25.04.2"},
        libraries=frozenset({"libgalaxyhip.so.5"}),
    ),
}
"""Target -> a machine on which nothing is wrong."""


def changed(machine: Machine, **changes: Any) -> Machine:
    """Return a machine with entries of its mappings set, or removed where they are None, and other fields replaced."""
    made: dict[str, Any] = {}
    for name, value in changes.items():
        old = getattr(machine, name)
        merged = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        made[name] = (
            {key: item for key, item in merged.items() if item is not None} if isinstance(old, dict) else merged
        )
    return replace(machine, **made)


E, W, N = Severity.ERROR, Severity.WARNING, Severity.NOTE
VARIABLE, PACKAGE, FILE, TOOL = "environment", "distributions", "files", "tools"
ILL = {
    "python": [("cpu", {"python": (3, 10)}, E, "3.11")],
    "packages": [
        ("cpu", {PACKAGE: {"onnx": "1.16.0"}}, E, "onnx>=1.18"),
        ("cpu", {PACKAGE: {"numpy": "1.26.4"}}, E, "numpy>=2.0"),
        ("ascend", {PACKAGE: {"numpy": "1.26.4", "onnxruntime-cann": "1.24.4"}}, E, "python verify.py"),
    ],
    "one-onnxruntime": [
        ("cpu", {PACKAGE: {"onnxruntime-gpu": "1.22.0"}}, E, "pip uninstall -y onnxruntime onnxruntime-gpu"),
        ("cpu", {PACKAGE: {"onnxruntime": None}}, E, "pip install onnxruntime"),
    ],
    "numpy-for-cann": [("cpu", {PACKAGE: {"onnxruntime": None, "onnxruntime-cann": "1.24.4"}}, E, "numpy<2")],
    "torch-npu": [
        ("cpu", {PACKAGE: {"torch-npu": "2.13.0", "torch": "2.13.0"}}, E, "TORCH_DEVICE_BACKEND_AUTOLOAD=0"),
        (
            "cpu",
            {PACKAGE: {"torch-npu": "2.14.0", "torch": "2.13.0"}, "libraries": frozenset({"libhccl.so"})},
            E,
            "torch==2.14.0",
        ),
    ],
    "threads": [
        ("cpu", {VARIABLE: {"OMP_NUM_THREADS": "many"}}, E, "unset OMP_NUM_THREADS"),
        ("cpu", {VARIABLE: {"OMP_NUM_THREADS": "0"}}, E, "unset"),
        ("cpu", {VARIABLE: {"OPENBLAS_NUM_THREADS": "64"}}, W, "export OPENBLAS_NUM_THREADS=8"),
        ("cpu", {VARIABLE: {"MKL_NUM_THREADS": "1"}}, N, "unset MKL_NUM_THREADS"),
        ("cpu", {"cores": 128}, W, "OPENBLAS_NUM_THREADS=16"),
        ("cpu", {"cores": 128, "processes": 400}, E, "OPENBLAS_NUM_THREADS=8"),
    ],
    "digits": [
        ("cpu", {VARIABLE: {"NVIDIA_TF32_OVERRIDE": "1"}}, W, "unset NVIDIA_TF32_OVERRIDE"),
        ("cpu", {VARIABLE: {"ROCBLAS_MATH_MODE": "1"}}, W, "unset"),
        ("cpu", {VARIABLE: {"JAX_ENABLE_X64": "True"}}, W, "unset JAX_ENABLE_X64"),
    ],
    "loader-path": [
        ("cpu", {VARIABLE: {"LD_LIBRARY_PATH": "/a::/b"}}, W, "export LD_LIBRARY_PATH=/a:/b"),
        ("cpu", {VARIABLE: {"LD_LIBRARY_PATH": "/opt/rocm/lib:/opt/dtk/lib"}}, E, "one of them only"),
    ],
    "vector-units": [
        ("cpu", {"flags": frozenset({"sse"})}, E, "another host"),
        ("cpu", {"flags": frozenset({"avx"})}, W, "another host"),
    ],
    "bfloat16-units": [
        ("cpu", {PACKAGE: {"openvino": "2026.4.1"}, "flags": frozenset({"avx", "avx2"})}, N, "--precision float32")
    ],
    "memory": [("cpu", {"memory": 10**9}, E, "picture model needs"), ("cpu", {"memory": 5 * 10**9}, W, "7B")],
    "disk": [("cpu", {"disk": 10**9}, E, "picture model"), ("cpu", {"disk": 9 * 10**9}, W, "7B")],
    "cann": [
        ("ascend", {TOOL: {"atc": None}}, E, f"source {HOME}/set_env.sh"),
        ("ascend", {TOOL: {"atc": None}, FILE: {f"{HOME}/set_env.sh": None}}, E, "lwmport compile --target ascend"),
        ("ascend", {VARIABLE: {"ASCEND_HOME_PATH": "/gone"}}, E, "unset ASCEND_HOME_PATH"),
    ],
    "cann-version": [
        ("ascend", {FILE: {f"{HOME}/ascend_toolkit_install.info": "version=6.3.RC2\n"}}, W, "--opset 13"),
        (
            "ascend",
            {
                FILE: {
                    f"{HOME}/compiler/data/platform_config/Ascend910B3.ini": None,
                    f"{HOME}/compiler/data/platform_config/Ascend310P3.ini": "",
                }
            },
            E,
            "operators' package",
        ),
    ],
    "npu": [
        ("ascend", {"said": {"npu-smi": NPU.replace("OK", "Critical")}}, E, "npu-smi info -t health"),
        ("ascend", {"said": {"npu-smi": NPU.replace("OK", "Alarm")}}, E, "npu-smi info -t health -i 0 -c 0"),
        ("ascend", {"said": {"npu-smi": NPU.replace("OK", "UNKNOWN")}}, E, "tells the error code"),
        ("ascend", {"said": {"npu-smi": NPU.replace("OK", "")}}, E, "npu-smi info -t health"),
        ("ascend", {"said": {"npu-smi": NPU.replace("OK", "Warning")}}, W, "before you trust numbers or times"),
        ("ascend", {"said": {"npu-smi": NPU.replace("910B3", "910X9")}}, N, "npu-smi info -t board"),
        ("ascend", {"said": {"npu-smi": None}}, W, "HwHiAiUser"),
        (
            "ascend",
            {"said": {"npu-smi": None}, FILE: {"/dev/davinci0": None}},
            W,
            f"export LD_LIBRARY_PATH={HOME}/x86_64-linux/devlib",
        ),
        ("ascend", {"said": {"npu-smi": None}, FILE: {"/dev/davinci0": None}}, N, "--soc"),
    ],
    "compile-workers": [("ascend", {"memory": 10**10}, W, "TE_PARALLEL_COMPILER=1")],
    "om-runner": [("ascend", {"libraries": frozenset()}, W, "set_env.sh")],
    "compass": [
        ("aipu", {TOOL: {"aipubuild": None}}, E, "lwmport compile --target aipu"),
        ("aipu", {TOOL: {"aipubuild": None, "aipuparse": "/bin/aipuparse"}}, W, "aipugb"),
    ],
    "compass-packages": [
        ("aipu", {PACKAGE: {"numpy": "2.4.6"}}, E, "numpy==2.2.6"),
        ("aipu", {PACKAGE: {"numpy": "2.3.0"}}, W, "numpy==2.2.6"),
        ("aipu", {PACKAGE: {"onnx": "1.23.2"}}, N, "onnx==1.18.0"),
        ("aipu", {PACKAGE: {"tensorflow-cpu": None}}, E, "tensorflow-cpu"),
        ("aipu", {PACKAGE: {"torchvision": "0.28.0", "torch": "2.13.0+cpu"}}, W, "torchvision"),
    ],
    "zhouyi": [("aipu", {FILE: {"/dev/aipu": None}}, N, "driver")],
    "migraphx": [("migraphx", {TOOL: {"migraphx-driver": None}}, E, "source /opt/dtk/env.sh")],
    "dtk": [
        ("migraphx", {VARIABLE: {"ROCM_PATH": None}}, E, "never under set -u"),
        ("migraphx", {VARIABLE: {"ROCM_PATH": "/opt/rocm"}, FILE: {"/opt/rocm": ""}}, E, "new shell"),
        ("migraphx", {"libraries": frozenset()}, E, "/opt/dtk/hip/lib"),
        ("migraphx", {FILE: {"/opt/hyhal": None}}, E, "-v /opt/hyhal:/opt/hyhal:ro"),
        ("migraphx", {VARIABLE: {"HSA_OVERRIDE_GFX_VERSION": "9.0.6"}}, W, "unset HSA_OVERRIDE_GFX_VERSION"),
    ],
    "rocm-path": [("migraphx", {VARIABLE: {"ROCM_PATH": "/opt/dtk-gone"}}, E, "unset ROCM_PATH")],
    "gpu": [
        ("migraphx", {FILE: {"/dev/kfd": None}}, E, "--device=/dev/kfd"),
        ("migraphx", {VARIABLE: {"HIP_VISIBLE_DEVICES": ""}}, E, "unset HIP_VISIBLE_DEVICES"),
        ("migraphx", {"said": {"hy-smi": HCU.replace("Normal", "Abnormal")}}, E, "restart"),
        ("migraphx", {"said": {"hy-smi names": "HCU[0] : Card series: Z100"}}, N, "--precision float16"),
    ],
    "onnxruntime-wheels": [
        (
            "migraphx",
            {PACKAGE: {"onnxruntime": None, "onnxruntime-migraphx": "1.27.1"}},
            E,
            "pip uninstall -y onnxruntime-migraphx",
        ),
    ],
    "pytorch-rocm": [
        ("migraphx", {PACKAGE: {"torch": "2.13.0+cpu"}}, W, "Hygon"),
        ("migraphx", {PACKAGE: {"torch": "2.9.0+rocm6.4"}}, E, "Hygon"),
        ("migraphx", {PACKAGE: {"torch": "2.5.1+das.opt1.dtk2604"}}, E, "dtk2504"),
    ],
    "migraphx-provider": [
        ("migraphx", {VARIABLE: {"ORT_MIGRAPHX_FP16_ENABLE": "true"}}, E, "ORT_MIGRAPHX_FP16_ENABLE=1"),
        (
            "migraphx",
            {PACKAGE: {"onnxruntime": None, "onnxruntime-rocm": "1.22.2"}},
            N,
            "ORT_MIGRAPHX_MODEL_CACHE_PATH",
        ),
    ],
}
"""Check -> target, what is changed on its good machine, how bad that is, and a part of the line that mends it."""

CASES = [(name, *case) for name, cases in ILL.items() for case in cases]


def test_every_check_has_a_case() -> None:
    names = [check.name for doctor in doctors() for check in doctor.checks]
    assert sorted(names) == sorted(ILL)
    assert set(GOOD) == set(TARGETS.table)


@pytest.mark.parametrize("target", GOOD)
def test_a_good_machine_has_no_findings(target: str) -> None:
    found = examine(GOOD[target], target)
    assert found.remarks == ()
    assert (found.status, found.sentence) == (Status.PASSED, f"ready for {target}")


@pytest.mark.parametrize(
    ("name", "target", "changes", "severity", "fix"), CASES, ids=[f"{case[0]}-{case[4]}" for case in CASES]
)
def test_an_ill_machine(name: str, target: str, changes: dict[str, Any], severity: Severity, fix: str) -> None:
    found = examine(changed(GOOD[target], **changes), target)
    fitting = [remark for remark in found.remarks if remark.check == name and remark.severity is severity]
    assert any(fix in remark.fix for remark in fitting), found.remarks
    assert all("\n" not in remark.found + remark.fix for remark in found.remarks)
    errors = [remark for remark in found.remarks if remark.severity is Severity.ERROR]
    assert (found.status is Status.FAILED) == bool(errors)


@pytest.mark.parametrize(
    ("health", "status"),
    [("OK", Status.PASSED), ("Warning", Status.PASSED), ("Alarm", Status.FAILED), ("Critical", Status.FAILED)],
)
def test_a_card_that_works_with_a_minor_fault_is_in_nobodys_way(health: str, status: Status) -> None:
    rows = NPU[NPU.index("| 0     910B3") :].replace("| 0     910B3", "| 3     910B3").replace("OK", health)
    found = examine(changed(GOOD["ascend"], said={"npu-smi": NPU + rows}), "ascend")
    told = [remark.found.partition(" says ")[0] for remark in found.remarks if remark.check == "npu"]
    assert found.status is status
    assert told == ([] if health == "OK" else ["chip 0 of NPU 3 (910B3)"])


def test_wheels_on_amds_own_system() -> None:
    amd = replace(
        GOOD["cpu"],
        distributions={**OURS, "onnxruntime-migraphx": "1.27.1"},
        tools={"migraphx-driver": "/opt/rocm/bin/migraphx-driver"},
        files={"/opt/rocm": "", "/dev/kfd": "", "/dev/dri": ""},
        libc="2.31",
    )
    fixes = [remark.found for remark in examine(amd, "migraphx").remarks if remark.check == "onnxruntime-wheels"]
    assert any("does not find libmigraphx_c.so.3, libamdhip64.so.7" in found for found in fixes)
    assert any("glibc 2.31" in found for found in fixes)


def test_without_a_target_a_vendors_trouble_is_told_and_does_not_decide() -> None:
    ill = changed(GOOD["migraphx"], environment={"ROCM_PATH": None})
    found = examine(ill)
    assert any(remark.check == "dtk" for remark in found.remarks)
    assert (found.target, found.status) == ("cpu", Status.PASSED)
    assert examine(ill, "cpu").remarks == ()


def test_errors_come_first() -> None:
    ill = changed(CPU, memory=10**9, environment={"OMP_NUM_THREADS": "64"})
    assert [remark.severity for remark in examine(ill).remarks] == [E, W]


def test_missing_extras_name_their_line() -> None:
    found = examine(CPU)
    assert found.missing["openvino"] == "pip install 'lwmport[openvino]'"
    whole = {"tensorflow-cpu": "2.21.0", "tf2onnx": "1.17.0", "onnxsim": "0.4.36"}
    assert "tf" not in examine(changed(CPU, distributions=whole)).missing


def test_an_unknown_target() -> None:
    with pytest.raises(UsageError, match="did you mean 'ascend'"):
        examine(CPU, "asend")
