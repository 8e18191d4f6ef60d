"""A port on a user's inputs: every stage that runs a model runs it on them."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import lwmport
from lwmport.errors import UsageError
from lwmport.pipeline.port.jobs import read_jobs
from lwmport.pipeline.port.run import PortRequest, port
from lwmport.reports.files import read_report
from lwmport.types import Status

CONFIG = {
    "resolution": 16, "hidden_channels": 32, "channel_mult": [1], "num_res_blocks": 1, "z_channels": 8,
    "num_embeddings": 64, "quantized_embed_dim": 8,
}  # fmt: skip


def request(folder: Path, count: int = 5, **options: object) -> PortRequest:
    random = np.random.default_rng(0)
    np.savez(folder / "in.npz", pixel_values=random.uniform(-1, 1, (count, 16, 16, 3)).astype(np.float32))
    conversion = lwmport.Request(
        component="vqgan-encoder",
        format="onnx",
        out=folder / "port",
        config=CONFIG,
        inputs=folder / "in.npz",
        **options,
    )
    return PortRequest(conversion=conversion, target="cpu")


def test_every_stage_runs_on_them(tmp_path: Path) -> None:
    asked = request(tmp_path)
    found = port(asked)
    assert found.status is Status.PASSED, found.sentence
    inputs = read_report(asked.models).inputs
    assert inputs is not None
    assert inputs.words == "5 samples of in.npz"
    with zipfile.ZipFile(asked.bundle) as archive:
        (part,) = json.loads(archive.read("spec.json"))["components"]
    assert [sample["title"] for sample in part["samples"]] == [f"in.npz, sample {number}" for number in range(3)]
    assert part["calibration"]["count"] == 2
    before = asked.digest()
    assert request(tmp_path, 6).digest() != before, "other inputs are another port"


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    asked = request(tmp_path, samples=6)
    with pytest.raises(UsageError, match="expected at least 6 samples in"):
        port(asked)
    assert not asked.out.exists()


def test_a_job_names_them_beside_its_file(tmp_path: Path) -> None:
    (tmp_path / "jobs.toml").write_text(
        '[[jobs]]\ncomponent = "vqgan-encoder"\nconfig = "debug"\ntarget = "cpu"\ninputs = "in.npz"\nsamples = 2\n'
    )
    (job,) = read_jobs(tmp_path / "jobs.toml").jobs
    assert (job.request.conversion.inputs, job.request.conversion.samples) == (tmp_path / "in.npz", 2)
    assert "--inputs" in job.words
