"""A codebook whose codes are near ties on purpose, through conversion in float16, the bundle and both checkers."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from safetensors.numpy import save_file

import lwmport
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.pipeline.bundle.run import BundleRequest, bundle
from lwmport.pipeline.bundle.verify import VerifyRequest, verify
from lwmport.pipeline.convert.request import Outcome
from lwmport.pipeline.validate.test_inputs import pictures
from lwmport.runtime.runners.jax import quantized
from lwmport.types import Array, Status

CONFIG: Final = {
    "resolution": 16,
    "hidden_channels": 32,
    "channel_mult": [1],
    "num_res_blocks": 1,
    "z_channels": 8,
    "num_embeddings": 64,
    "quantized_embed_dim": 8,
}
BOOK: Final = "quantize/embeddings"
PAIRS: Final = 6


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return weights with six pairs of codes, each as far from one vector of the first photograph as the other."""
    family = resolve("vqgan-encoder", CONFIG)
    (component,) = family.components
    seeded = SeededWeights(family.weights, 0)
    inputs = {"pixel_values": pictures(component.signature.inputs[0], range(1))}
    (made_of,) = quantized(component, seeded, [inputs])
    vectors = made_of["codebook_indices"].vectors.reshape(256, -1)
    random = np.random.default_rng(4)
    book = seeded.read(BOOK) + np.float32(50)
    for pair in range(PAIRS):
        aside = random.standard_normal((2, vectors.shape[1]))
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        book[2 * pair : 2 * pair + 2] = vectors[40 * pair] + 0.05 * aside * [[1.0], [1.001]]
    path = tmp_path_factory.mktemp("ties") / "vqgan.safetensors"
    arrays: dict[str, Array] = {name: seeded.read(name) for name in family.weights}
    save_file({**arrays, BOOK: book.astype(np.float32)}, path)
    return path


def convert(checkpoint: Path, precision: str) -> Outcome:
    request = lwmport.Request(
        component="vqgan-encoder",
        format="onnx",
        dialect="ascend",
        options=Options(precision=precision),
        config=CONFIG,
        checkpoint=str(checkpoint),
        out=checkpoint.parent / precision,
    )
    return lwmport.convert(request)


def test_near_ties_pass_in_float16_and_in_both_checkers(checkpoint: Path, tmp_path: Path) -> None:
    outcome = convert(checkpoint, "float16")
    assert outcome.status is Status.PASSED
    (section,) = outcome.report.components
    codes, states = section.validation.diffs
    assert 0 < codes.metrics["near_ties"] == codes.metrics["mismatches"]
    assert codes.metrics["largest_tie_distance"] <= 0.01
    assert states.metrics["max_abs_error"] < 1e-4

    path = tmp_path / "ties.zip"
    asked = {"target": "ascend", "soc": "Ascend310P3", "checkpoint": str(checkpoint)}
    bundle(BundleRequest(folder=outcome.out, out=path, samples=3, **asked))
    found = verify(VerifyRequest(path=path))
    assert found.status is Status.PASSED
    (judged,) = found.validations
    found_again = [diff for diff in judged.diffs if diff.name.endswith("/codebook_indices")]
    assert sum(diff.metrics["near_ties"] for diff in found_again) == codes.metrics["near_ties"]

    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    assert {row["output"] for row in checked(tmp_path) if row["passed"]} == {"codebook_indices", "quantized_states"}
    assert all(row["passed"] for row in checked(tmp_path))
    assert not all(row["passed"] for row in checked(tmp_path, "--precision", "float32"))


def checked(folder: Path, *words: str) -> list[dict[str, Any]]:
    """Return the rows of the bundle's own checker, which runs the model."""
    command = [sys.executable, str(folder / "verify.py"), "--run", "onnxruntime", "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows: list[dict[str, Any]] = json.loads(done.stdout)["outputs"]
    return rows


def test_in_float32_every_code_is_the_references(checkpoint: Path) -> None:
    outcome = convert(checkpoint, "float32")
    assert outcome.report.components[0].validation.diffs[0].reason == "all 768 integers are equal"
    assert outcome.status is Status.PASSED
