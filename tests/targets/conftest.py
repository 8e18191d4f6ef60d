"""Stand-ins for vendors' tools: small scripts that behave as the real ones are known to, good and bad."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lwmport.targets.compile.job import CompileJob
from lwmport.types import Kind, Signature, TensorSpec

PIXELS = TensorSpec(
    name="pixel_values", shape=(1, 8, 8, 3), dtype="float32", kind=Kind.PICTURE, value_range=(-1.0, 1.0)
)
CODES = TensorSpec(name="codes", shape=(1, 4), dtype="int32", kind=Kind.INDICES, value_range=(0, 9))


@pytest.fixture
def sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return what installs a stand-in: ``sdk(name, body)`` writes an executable shell script and returns its folder."""
    for name in ("ASCEND_HOME_PATH", "ASCEND_TOOLKIT_HOME", "ROCM_PATH", "AIPU_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "sdk"

    def install(name: str, body: str) -> Path:
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        path = folder / "bin" / name
        path.write_text(f"#!/usr/bin/env bash\n{body}\n")
        path.chmod(0o755)
        return folder

    return install


@pytest.fixture
def job_of(tmp_path: Path) -> Callable[..., CompileJob]:
    """Return what makes a job for a model file that stands in a folder of its own."""

    def make(
        *,
        inputs: tuple[TensorSpec, ...] = (PIXELS,),
        outputs: tuple[TensorSpec, ...] = (CODES,),
        name: str = "model",
        **fields: object,
    ) -> CompileJob:
        path = tmp_path / "artifacts" / f"{name}.onnx"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"onnx")
        given: dict[str, object] = {"format": "onnx", "toolchain": None, **fields}
        signature = Signature(inputs=inputs, outputs=outputs)
        return CompileJob(path=path, name=name, signature=signature, **given)  # type: ignore[arg-type]

    return make


@pytest.fixture
def calibration() -> dict[str, np.ndarray]:
    return {"pixel_values": np.zeros((3, 1, 8, 8, 3), np.float32)}
