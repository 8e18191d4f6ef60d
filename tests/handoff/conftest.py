"""A small bundle, unpacked: one model of three outputs, two samples, made of records alone."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lwmport import digest
from lwmport.handoff import record, standalone
from lwmport.handoff.record import Bundle, Codes, ComponentSpec, Sample, Spec
from lwmport.handoff.staging import Staging
from lwmport.manifest import FileEntry
from lwmport.types import Array, Kind, NearTies, TensorSpec, Tolerance

INPUT = TensorSpec(name="x", shape=(1, 4), dtype="float32")
OUTPUTS = (
    TensorSpec(name="pixels", shape=(1, 8, 8, 3), dtype="float32", kind=Kind.PICTURE, layout="NHWC"),
    TensorSpec(name="codes", shape=(1, 6, 4), dtype="int32", kind=Kind.INDICES, layout="NHW", value_range=(0, 999)),
    TensorSpec(name="logits", shape=(1, 5, 7), dtype="float32"),
)
STATES = TensorSpec(name="states", shape=(1, 6, 4, 2), dtype="float32")
FINE = Tolerance(atol=1e-4, rtol=0.0, why="of float32", min_sqnr_db=60.0)
COARSE = Tolerance(atol=2e-2, rtol=0.0, why="of float16")
EXACT = Tolerance(atol=0.0, rtol=0.0, why="integers")
NEAR = replace(EXACT, near_ties=NearTies(distance=0.01, share=1 / 12))
TIED = ((0, 0, 0), (0, 3, 2), (0, 5, 3))
"""Where a code is as near as the one after it; two of these may be another, three may not."""


def outputs_of(seed: int) -> dict[str, Array]:
    random = np.random.default_rng(seed)
    return {
        "pixels": random.uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32),
        "codes": random.integers(0, 1000, (1, 6, 4)).astype(np.int32),
        "logits": random.standard_normal((1, 5, 7)).astype(np.float32),
    }


def codebook() -> Array:
    return np.random.default_rng(7).standard_normal((1000, 2)).astype(np.float32)


def vectors_of(codes: Array) -> Array:
    """Return what was quantized: the codes themselves but for a few near ties."""
    book, vectors = codebook(), codebook()[codes]
    for place in TIED:
        vectors[place] = 0.5001 * book[codes[place]] + 0.4999 * book[codes[place] + 1]
    return vectors


def relevant() -> dict[str, Array]:
    """Return where the logits count: not in the first row, which is padding."""
    return {"logits": np.array([False, True, True, True, True]).reshape(1, 5, 1)}


def _sample(staging: Staging, number: int, *, tied: bool) -> Sample:
    folder, name = f"golden/small/{number:03}", f"{number:03}"
    outputs = outputs_of(number)
    outputs["logits"] = np.where(relevant()["logits"], outputs["logits"], np.float32(0))
    outputs |= {"states": codebook()[outputs["codes"]]} if tied else {}
    vectors = {"codes": vectors_of(outputs["codes"])} if tied else {}
    inputs = {"x": np.full((1, 4), number, np.float32)}
    return Sample(
        name=name,
        title=name,
        inputs=staging.arrays(f"{folder}/inputs", inputs),
        outputs=staging.arrays(f"{folder}/outputs", outputs),
        relevant=staging.arrays(f"{folder}/relevant", relevant()),
        vectors=staging.arrays(f"{folder}/vectors", vectors),
    )


def _codes(staging: Staging) -> dict[str, Codes]:
    return {"codes": Codes(states="states", codebook=staging.array("golden/small/codebooks/codes", codebook()))}


def _tolerances() -> Mapping[str, Mapping[str, Tolerance]]:
    floats = {"float32": FINE, "float16": COARSE}
    return {"pixels": floats, "codes": {"float32": EXACT, "float16": NEAR}, "logits": floats, "states": floats}


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """Return the folder of an unpacked bundle, with its checker."""
    return _unpacked(tmp_path / "bundle", tied=False)


@pytest.fixture
def tied(tmp_path: Path) -> Path:
    """Return one whose codes come with their states, and some of whose codes are near ties."""
    return _unpacked(tmp_path / "tied", tied=True)


def _unpacked(folder: Path, *, tied: bool) -> Path:
    folder.mkdir()
    staging = Staging(folder=folder)
    spec = Spec(
        format=record.SPEC_FORMAT,
        target="cpu",
        reference="a test",
        weights="none",
        components=(
            ComponentSpec(
                name="small",
                model="models/small.onnx",
                format="onnx",
                precision="float32",
                inputs=(INPUT,),
                outputs=(*OUTPUTS, STATES) if tied else OUTPUTS,
                processing={},
                observed={},
                tolerances=_tolerances(),
                codes=_codes(staging) if tied else {},
                samples=tuple(_sample(staging, number, tied=tied) for number in range(2)),
                calibration=staging.calibration("calibration/small", ({"x": np.zeros((1, 4), np.float32)},)),
            ),
        ),
    )
    staging.put_json(record.SPEC_NAME, spec)
    staging.put("models/small.onnx", b"no model")
    staging.put(record.CHECKER, inspect.getsource(standalone).encode())
    for name, content in staging.contents.items():
        if isinstance(content, bytes):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
    files = [FileEntry(name=name, bytes=path.stat().st_size, sha256=digest.of_file(path))
             for name, path in sorted((name, folder / name) for name in staging.contents)]  # fmt: skip
    bundle = Bundle(format=record.FORMAT, lwmport="0", target="cpu", manifest_sha256="", files=tuple(files))
    (folder / record.NAME).write_bytes(record.seal(bundle))
    return folder
