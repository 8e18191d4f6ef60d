"""Compass's executor, PyTorch on ROCm, and MIGraphX."""

import functools
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lwmport.errors import RunnerError
from lwmport.runtime.devices.compass import CompassRunner
from lwmport.runtime.devices.migraphx import MigraphxRunner
from lwmport.runtime.devices.rocm import RocmRunner, card, settle
from lwmport.runtime.registry import RUNNERS
from lwmport.runtime.spec import RunnerContext
from lwmport.types import Signature, TensorSpec

IDS = TensorSpec(name="ids", shape=(1, 2), dtype="int64")
X = TensorSpec(name="x", shape=(1, 2), dtype="float32")
CODES = TensorSpec(name="codes", shape=(1, 2), dtype="int32")
Y = TensorSpec(name="y", shape=(1, 2), dtype="float32")
SIGNATURE = Signature(inputs=(IDS, X), outputs=(CODES, Y))
INPUTS = {"x": np.array([[0.25, 0.5]], np.float32), "ids": np.array([[3, 4]])}


@pytest.fixture
def compass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CompassRunner]:
    """Return what opens a runner on a stand-in of the vendor's executor."""
    for suffix in (".txt", ".bin"):
        (tmp_path / f"model{suffix}").write_bytes(b"ir")

    def make(forward: Callable[[list[Any]], list[Any]], refuses: str = "") -> CompassRunner:
        class OptForward:
            def __init__(self, text: str, weights: str) -> None:
                assert (Path(text).name, Path(weights).name) == ("model.txt", "model.bin")
                if refuses:
                    raise RuntimeError(refuses)

            def forward(self, data: list[Any], *, transfer_to_float: bool) -> list[Any]:
                assert transfer_to_float, "a quantised output would come as bare integers"
                return forward(data)

        name = "AIPUBuilder.Optimizer.tools.optimizer_forward"
        for end in range(1, 5):
            dotted = ".".join(name.split(".")[:end])
            monkeypatch.setitem(sys.modules, dotted, types.ModuleType(dotted))
        vars(sys.modules[name])["OptForward"] = OptForward
        return CompassRunner(tmp_path / "model.txt", SIGNATURE)

    return make


def test_inputs_and_outputs_go_in_the_order_of_the_signature(compass: Callable[..., CompassRunner]) -> None:
    def forward(data: list[Any]) -> list[Any]:
        ids, x = data
        assert (ids.dtype, x.dtype) == (np.int32, np.float32), "the IR has no 64 bits"
        return [ids.astype(np.float32), x * 2]

    found = compass(forward).run(INPUTS)
    assert (found["codes"].dtype, found["codes"].tolist()) == (np.int32, [[3, 4]])
    assert found["y"].tolist() == [[0.5, 1.0]]


WRONG = {
    "turned": (lambda data: [data[1], data[0]], "the order of the outputs may differ"),
    "one only": (lambda data: data[:1], "expected 2 outputs from Compass, found 1"),
    "another shape": (lambda data: [data[0], data[1][:, :1]], "expected y as float32"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_outputs_are_refused(name: str, compass: Callable[..., CompassRunner]) -> None:
    forward, message = WRONG[name]
    with pytest.raises(RunnerError, match=message):
        compass(forward).run(INPUTS)


def test_compass_refuses_in_one_line(compass: Callable[..., CompassRunner], tmp_path: Path) -> None:
    def broken(_data: list[Any]) -> list[Any]:
        raise AttributeError("'NoneType' object has no attribute 'abs'")

    with pytest.raises(RunnerError, match="Compass refused"):
        compass(broken, refuses="compat_quantized_model\nis true")
    with pytest.raises(RunnerError, match="Compass failed on the inputs: 'NoneType'"):
        compass(broken).run(INPUTS)
    (tmp_path / "model.bin").unlink()
    with pytest.raises(RunnerError, match=r"found no model\.bin"):
        CompassRunner(tmp_path / "model.txt", SIGNATURE)


def test_without_compass(tmp_path: Path) -> None:
    for suffix in (".txt", ".bin"):
        (tmp_path / f"model{suffix}").write_bytes(b"ir")
    with pytest.raises(RunnerError, match="Compass_Optimizer"):
        CompassRunner(tmp_path / "model.txt", SIGNATURE)


class Cuda:
    def __init__(self, *, available: bool, name: str, chip: str) -> None:
        self._available, self._name, self._chip = available, name, chip

    def is_available(self) -> bool:
        return self._available

    def get_device_name(self, _index: int) -> str:
        return self._name

    def get_device_properties(self, _index: int) -> Any:
        return types.SimpleNamespace(gcnArchName=self._chip)


def fake_torch(version: str, hip: str | None, *, available: bool = True, name: str = "", chip: str = "") -> Any:
    return types.SimpleNamespace(
        __version__=version,
        version=types.SimpleNamespace(hip=hip, cuda=None if hip else "12.8"),
        cuda=Cuda(available=available, name=name, chip=chip),
    )


CARDS = {
    "a DCU by its wheel": (fake_torch("2.4.1+das.opt2.dtk2504", "5.7", name="BW", chip=""), ("dcu", "BW", "")),
    "a DCU by its chip": (
        fake_torch("2.9.0", "6.3", name="K100_AI", chip="gfx928:sramecc+:xnack-"),
        ("dcu", "K100_AI", "gfx928"),
    ),
    "an AMD card": (
        fake_torch("2.9.0+rocm6.4", "6.4", name="AMD Instinct MI300X", chip="gfx942:sramecc+"),
        ("rocm", "AMD Instinct MI300X", "gfx942"),
    ),
}


@pytest.mark.parametrize("name", CARDS)
def test_cards(name: str) -> None:
    torch, expected = CARDS[name]
    found = card(torch)
    assert (found.kind, found.name, found.chip) == expected


NO_CARDS = {
    "built for CUDA": (fake_torch("2.9.0+cu128", None), "for CUDA 12.8"),
    "no card": (fake_torch("2.9.0+rocm6.4", "6.4", available=False), "it is the driver"),
}


@pytest.mark.parametrize("name", NO_CARDS)
def test_no_card_is_said(name: str) -> None:
    torch, message = NO_CARDS[name]
    with pytest.raises(RunnerError, match=message):
        card(torch)


def test_the_real_torch_of_this_machine_is_no_rocm(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.version.hip is None:
        with pytest.raises(RunnerError, match="expected PyTorch built for ROCm"):
            RocmRunner(tmp_path)


def test_what_changes_numbers_is_off() -> None:
    torch = pytest.importorskip("torch")
    kept = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        torch.backends.cuda.matmul.allow_tf32 = True
        settle(torch)
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cuda.flash_sdp_enabled()
        assert not torch.backends.cuda.mem_efficient_sdp_enabled()
        assert torch.backends.cuda.math_sdp_enabled()
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = kept
        torch.backends.cuda.enable_flash_sdp(enabled=True)
        torch.backends.cuda.enable_mem_efficient_sdp(enabled=True)


class Program:
    """A stand-in for MIGraphX's: its outputs have no names, and an argument borrows the memory of its array."""

    def __init__(self, path: str, outputs: int = 2) -> None:
        self.path, self.outputs, self.compiled = path, outputs, ""

    def get_parameter_names(self) -> list[str]:
        return ["x", "ids"]

    def compile(self, target: str, *, offload_copy: bool) -> None:
        assert offload_copy, "inputs and outputs lie in the host's memory"
        self.compiled = target

    def run(self, given: dict[str, Any]) -> list[Any]:
        assert all(array.flags.c_contiguous for array in given.values())
        assert self.path.endswith(".mxr") or self.compiled == "gpu"
        return [given["ids"], given["x"] * 2][: self.outputs]


@pytest.fixture
def migraphx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., MigraphxRunner]:
    def make(file: str = "model.mxr", signature: Signature | None = SIGNATURE, outputs: int = 2) -> MigraphxRunner:
        library = types.ModuleType("migraphx")
        opened = functools.partial(Program, outputs=outputs)
        vars(library).update(load=opened, parse_onnx=opened, get_target=str, argument=np.asarray)
        monkeypatch.setitem(sys.modules, "migraphx", library)
        (tmp_path / file).write_bytes(b"model")
        return RUNNERS["migraphx"].open(tmp_path / file, RunnerContext(signature=signature))  # type: ignore[return-value]

    return make


@pytest.mark.parametrize("file", ["model.mxr", "model.onnx"])
def test_migraphx_gives_the_outputs_in_the_order_of_the_signature(
    file: str, migraphx: Callable[..., MigraphxRunner]
) -> None:
    found = migraphx(file).run(INPUTS)
    assert (found["codes"].dtype, found["codes"].tolist()) == (np.int32, [[3, 4]])
    assert found["y"].tolist() == [[0.5, 1.0]]


def test_migraphx_refuses_in_one_line(
    migraphx: Callable[..., MigraphxRunner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunnerError, match="expected 2 outputs from MIGraphX, found 1"):
        migraphx(outputs=1).run(INPUTS)
    with pytest.raises(RunnerError, match=r"expected the inputs ids in .*, found ids, x"):
        migraphx(signature=Signature(inputs=(IDS,), outputs=(CODES,)))
    with pytest.raises(RunnerError, match="which the file does not keep, found none"):
        migraphx(signature=None)
    monkeypatch.setitem(sys.modules, "migraphx", None)
    with pytest.raises(RunnerError, match="MIGraphX does not load"):
        MigraphxRunner(tmp_path / "model.mxr", SIGNATURE)


@pytest.mark.parametrize("name", [name for name, spec in RUNNERS.items() if spec.device])
def test_a_runner_of_a_device_loads_no_library_of_its_vendor(name: str) -> None:
    before = set(sys.modules)
    assert callable(RUNNERS[name]._opener())
    assert not {"acl", "ais_bench", "AIPUBuilder", "migraphx", "torch"} & (set(sys.modules) - before)
