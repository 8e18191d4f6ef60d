"""What an artifact that is not float32 loses in pictures and codes stands beside its verdict, on trained weights."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lwmport
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.pipeline.bundle.run import BundleRequest, bundle
from lwmport.pipeline.validate.accuracy import SEEDED, accuracy_of, exact_outputs
from lwmport.pipeline.validate.reference_runs import gather
from lwmport.pipeline.validate.request import ValidateRequest
from lwmport.pipeline.validate.run import validate
from lwmport.pipeline.validate.test_inputs import Sampling
from lwmport.reports.record import ComponentReport
from lwmport.reports.render import escape_markdown
from lwmport.types import Status
from lwmport.validators.accuracy import Accuracy


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory, trained_vqgan: Path) -> lwmport.Outcome:
    """Both halves in float16."""
    return converted(tmp_path_factory.mktemp("narrow") / "out", trained_vqgan, Options(precision="float16"))


def converted(
    out: Path, checkpoint: Path | None, options: Options, component: str = "vqgan", taps: str | None = None
) -> lwmport.Outcome:
    weights: dict[str, Any] = {"config": "debug"} if checkpoint is None else {"checkpoint": str(checkpoint)}
    options = replace(options, settings=() if checkpoint is None else ("resolution=64",))
    request = lwmport.Request(component=component, format="onnx", out=out, options=options, taps=taps, **weights)
    return lwmport.convert(request)


def sections(outcome: lwmport.Outcome) -> dict[str, ComponentReport]:
    return {part.validation.component: part for part in outcome.report.components}


def stated(section: ComponentReport) -> dict[str, Accuracy]:
    return {one.output: one for one in section.accuracy}


def test_codes_and_pictures_are_stated_beside_float32_and_the_photographs(narrow: lwmport.Outcome) -> None:
    assert narrow.status is Status.PASSED, narrow.report.sentence
    encoder, decoder = (stated(sections(narrow)[name]) for name in ("vqgan-encoder", "vqgan-decoder"))
    codes = encoder["codebook_indices"].codes
    assert codes is not None
    assert codes.codes == 3 * 32 * 32
    assert 0.99 < codes.agreeing / codes.codes <= 1
    made = decoder["pixel_values"]
    assert made.pictures is not None
    assert made.originals is not None
    assert made.float32_originals is not None
    assert len(made.pictures.psnr_db) == 3
    assert 60 < min(made.pictures.psnr_db) < float("inf")
    np.testing.assert_allclose(made.originals.psnr_db, made.float32_originals.psnr_db, atol=0.05)
    assert min(made.float32_originals.psnr_db) > 20
    assert "SSIM" in made.words
    assert SEEDED not in made.words


def test_report_page_and_bundle_say_it(narrow: lwmport.Outcome, trained_vqgan: Path, tmp_path: Path) -> None:
    words = stated(sections(narrow)["vqgan-decoder"])["pixel_values"].words
    told = json.loads((narrow.out / "report.json").read_text())
    assert words in [one["words"] for part in told["components"] for one in part["accuracy"]]
    assert words in (narrow.out / "report.html").read_text()
    line = f"- Beside float32, without a verdict: {escape_markdown(words)}"
    assert line in (narrow.out / "report.md").read_text()
    request = BundleRequest(
        folder=narrow.out,
        target="cpu",
        out=tmp_path / "bundle",
        checkpoint=str(trained_vqgan),
        samples=1,
        calibration=0,
    )
    made = bundle(request)
    with zipfile.ZipFile(made.out) as whole:
        (name,) = (name for name in whole.namelist() if name.endswith("report/report.md"))
        assert line in whole.read(name).decode()


def test_users_own_pictures_are_stated_too(narrow: lwmport.Outcome, trained_vqgan: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((64, 64)).save(tmp_path / "mine.png")
    decoder = narrow.out / "vqgan-decoder.onnx"
    found = validate(ValidateRequest(artifact=decoder, checkpoint=str(trained_vqgan), inputs=tmp_path, samples=1))
    (section,) = found.report.components
    (statement,) = section.accuracy
    assert statement.pictures is not None
    assert len(statement.pictures.psnr_db) == 1
    assert statement.float32_originals is not None


def test_stored_weights_are_held_against_exact_ones(trained_vqgan: Path, tmp_path: Path) -> None:
    found = converted(tmp_path / "out", trained_vqgan, Options(store="float16"), "vqgan-decoder")
    statement = stated(sections(found)["vqgan-decoder"])["pixel_values"]
    (diff,) = sections(found)["vqgan-decoder"].validation.diffs
    assert statement.pictures is not None
    assert 45 < min(statement.pictures.psnr_db) < diff.metrics["worst_psnr_db"] - 10


def test_seeded_weights_are_said_to_say_nothing_and_each_layer_is_stated_where_it_is_tapped(tmp_path: Path) -> None:
    seeded = converted(tmp_path, None, Options(precision="float16"), "vqgan-decoder", taps="layers")
    section = sections(seeded)["vqgan-decoder"]
    (statement,) = section.accuracy
    assert statement.words.endswith(SEEDED)
    losses = [layer.sqnr_db for layer in section.layers]
    assert len(losses) > 8
    assert losses[0] > losses[-1] > 40
    assert losses[-1] == pytest.approx(statement.sqnr_db, abs=1)  # of the pixels before they are clipped
    page = (tmp_path / "report.html").read_text()
    assert all(layer.name in page for layer in section.layers)


def test_nothing_is_stated_of_float32_nor_of_what_is_not_there() -> None:
    family = resolve("vqgan-decoder", "debug")
    weights = SeededWeights(family.weights, 0)
    run = gather(family.components[0], weights, 1, sampling=Sampling(count=1))
    found = exact_outputs(weights, run)
    assert accuracy_of(weights, run, found, found, "float32") == ()
    assert accuracy_of(weights, run, found, [{}], "float16") == ()
    (statement,) = accuracy_of(weights, run, found, found, "float16")
    assert statement.sqnr_db == float("inf")
