"""A report as a conversion of the VQGAN makes it, with outputs made up in place of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lwmport.models.vqgan.tolerances import TOLERANCES
from lwmport.reports.answer import assemble
from lwmport.reports.files import write_report
from lwmport.reports.pictures import Drawing, draw
from lwmport.reports.record import (
    ArtifactFacts,
    ComponentReport,
    Conversion,
    Digest,
    FileFact,
    Report,
    Timing,
    WeightsSource,
    validation_digest,
)
from lwmport.types import Array, Kind, Quantized, Signature, TensorSpec
from lwmport.validators.outputs import compare_outputs, verdict
from lwmport.validators.pictures import PHOTOGRAPHS, photographs

SIZE = 64
CODES = TensorSpec(
    name="codebook_indices",
    shape=("batch", 16, 16),
    dtype="int32",
    kind=Kind.INDICES,
    layout="NHW",
    description="Codes of the 16 x 16 patches",
)
STATES = TensorSpec(
    name="quantized_states", shape=("batch", 16, 16, 64), dtype="float32", layout="NHWC", description="Their vectors"
)

Outputs = dict[str, Array]
Break = Callable[[Outputs], None]


def pixels(size: int) -> TensorSpec:
    return TensorSpec(
        name="pixel_values",
        shape=("batch", size, size, 3),
        dtype="float32",
        kind=Kind.PICTURE,
        layout="NHWC",
        value_range=(-1.0, 1.0),
        description="Pixels",
    )


@dataclass(frozen=True)
class Sample:
    """A report and its picture files."""

    report: Report
    files: dict[str, bytes]

    def write(self, folder: Path) -> Path:
        write_report(self.report, folder, self.files)
        return folder


def untouched(_outputs: Outputs) -> None:
    """The candidate that is right."""


def noisy(values: Array, scale: float) -> Array:
    random = np.random.default_rng(11)
    noise = random.standard_normal(values.shape) * np.exp(random.standard_normal(values.shape) / 2)
    return (values + noise * scale).astype(np.float32)


def make_sample(
    break_encoder: Break = untouched, break_decoder: Break = untouched, *, kind: str = "seeded", size: int = SIZE
) -> Sample:
    """Return a report on two photographs (four at full size) with errors as large as real lowerings make."""
    count = 2 if size == SIZE else 4
    photos = photographs(count, size)
    random = np.random.default_rng(3)
    codes = random.integers(0, 8192, (count, 16, 16), np.int32)
    states = random.standard_normal((count, 16, 16, 64)).astype(np.float32)
    encoder = _component(
        "vqgan.encoder",
        Signature(inputs=(pixels(size),), outputs=(CODES, STATES)),
        ({"pixel_values": photos}, {"codebook_indices": codes, "quantized_states": states}),
        {"codebook_indices": codes.copy(), "quantized_states": noisy(states, 3e-8)},
        break_encoder,
    )
    decoder = _component(
        "vqgan.decoder",
        Signature(inputs=(CODES,), outputs=(pixels(size),)),
        ({"codebook_indices": codes}, {"pixel_values": np.clip(photos, -0.98, 0.98)}),
        {"pixel_values": noisy(np.clip(photos, -0.98, 0.98), 1e-6)},
        break_decoder,
    )
    report = assemble(
        title="LWM VQGAN, from JAX to ONNX",
        weights=WeightsSource(kind=kind, description="seed 0, flax's own initialisers"),  # type: ignore[arg-type]
        components=(encoder[0], decoder[0]),
        versions={"lwmport": "0.1.0", "jax": "0.10.2", "onnx": "1.23.2", "onnxruntime": "1.31.1"},
        machine="Linux x86_64, 2 cores, 24 GB",
        commands=("lwmport convert --component vqgan --to onnx --seed 0 --out out", "lwmport report out"),
    )
    return Sample(report, {**encoder[1].files, **decoder[1].files})


def _quantized(reference: Outputs) -> dict[str, Quantized]:
    """Return vectors and a codebook for the codes of a reference that has some."""
    if "codebook_indices" not in reference:
        return {}
    random = np.random.default_rng(8)
    vectors = random.standard_normal((*reference["codebook_indices"].shape, 4))
    codebook = random.standard_normal((8192, 4))
    return {"codebook_indices": Quantized(states="quantized_states", vectors=vectors, codebook=codebook)}


def _component(
    name: str, signature: Signature, given: tuple[Outputs, Outputs], candidate: Outputs, break_: Break
) -> tuple[ComponentReport, Drawing]:
    inputs, reference = given
    break_(candidate)
    validation = verdict(
        component=name,
        artifact=f"{name}.onnx",
        reference="JAX 0.10.2 (float32, CPU)",
        runner="ONNX Runtime 1.31.1 (CPUExecutionProvider)",
        inputs=f"{len(next(iter(inputs.values())))} photographs of scikit-image",
        diffs=compare_outputs(TOLERANCES, signature.outputs, reference, candidate, quantized=_quantized(reference)),
    )
    titles = tuple((photo.name, photo.credit) for photo in PHOTOGRAPHS[: len(next(iter(inputs.values())))])
    drawing = draw(
        component=name, signature=signature, inputs=inputs, reference=reference, candidate=candidate, titles=titles
    )
    part = ComponentReport(
        validation=validation,
        signature=signature,
        artifact=ArtifactFacts(
            format="onnx",
            dialect="onnx-21",
            precision="float32",
            opset=21,
            nodes=174,
            operators={"Conv": 44, "GroupNormalization": 35, "Sigmoid": 35, "Mul": 35, "Add": 17, "Resize": 4},
            files=(
                FileFact(name=f"{name}.onnx", bytes=41_213, sha256="ab" * 32),
                FileFact(name=f"{name}.onnx.data", bytes=341_212_160, sha256="cd" * 32),
            ),
        ),
        conversion=Conversion(seconds=6.91, peak_bytes=1_240_000_000),
        timings=(
            Timing(runner="JAX (jit)", median_s=2.71, runs=5, batch=1, threads=2, cores=2),
            Timing(runner="ONNX Runtime", median_s=2.36, runs=5, batch=1, threads=2, cores=2),
        ),
        galleries=drawing.galleries,
        digests=(
            Digest(name="checkpoint", sha256="01" * 32),
            Digest(name="program", sha256="23" * 32),
            Digest(name="artifact", sha256="45" * 32),
            Digest(name="validation", sha256=validation_digest(validation)),
        ),
    )
    return part, drawing


def break_codes(outputs: Outputs) -> None:
    outputs["codebook_indices"][0, 3, 4] ^= 5
    outputs["codebook_indices"][1, 15, 0] ^= 1
    outputs["quantized_states"][0, 3, 4] *= np.float32(1.3)


def break_pixels(outputs: Outputs) -> None:
    half = outputs["pixel_values"].shape[1] // 2
    outputs["pixel_values"][0, :half, :half, 1] += np.float32(0.02)
    outputs["pixel_values"][1, 5, 5, 0] = np.nan


@pytest.fixture(scope="session")
def good() -> Sample:
    return make_sample()


@pytest.fixture(scope="session")
def bad() -> Sample:
    return make_sample(break_codes, break_pixels)
