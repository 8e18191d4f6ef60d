"""The tapped model on the whole road: told in the manifest, shut out of verdicts and bundles, gone with its model."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import lwmport
from lwmport import digest, manifest
from lwmport.cli.main import cli
from lwmport.errors import ArtifactError, UsageError
from lwmport.pipeline.bundle.run import BundleRequest, bundle
from lwmport.pipeline.bundle.verify import VerifyRequest, verify
from lwmport.pipeline.convert.request import Outcome
from lwmport.types import Status

SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2,
    "max_sequence_length": 64,
}  # fmt: skip
LAYERS = ("transformer/h/0", "transformer/h/1", "transformer/ln_f")


def convert(out: Path, component: str = "llama", **fields: Any) -> Outcome:
    given = {"format": "onnx", "config": SMALL, "validate": False, **fields}
    return lwmport.convert(lwmport.Request(component=component, out=out, **given))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return convert(tmp_path_factory.mktemp("tapped") / "out", taps="layers", validate=True)


@pytest.fixture
def folder(made: Outcome, tmp_path: Path) -> Path:
    """Return a copy of the folder, to be damaged."""
    return shutil.copytree(made.out, tmp_path / "copy")


def test_the_manifest_tells_of_it(made: Outcome) -> None:
    (part,) = manifest.read(made.out).components
    assert part.taps is not None
    assert (part.taps.kind, part.taps.path, part.taps.names) == ("layers", "llama.taps.onnx", LAYERS)
    (file,) = part.taps.files
    assert (file.name, file.sha256) == ("llama.taps.onnx", digest.of_file(made.out / file.name))
    assert [file.name for file in part.files] == ["llama.onnx", "llama.onnx.data"]
    assert "--taps layers" in made.manifest.reproduce[0]


def test_the_model_is_the_one_without_taps(made: Outcome, tmp_path: Path) -> None:
    (plain,), (tapped,) = convert(tmp_path).manifest.components, made.manifest.components
    assert plain.taps is None
    assert (plain.files, plain.signature, plain.program_sha256) == (
        tapped.files, tapped.signature, tapped.program_sha256,
    )  # fmt: skip
    assert {**plain.details, manifest.TAPS: tapped.details[manifest.TAPS]} == tapped.details


def test_it_is_loaded_like_the_model(made: Outcome) -> None:
    model, tapped = (lwmport.load(made.out / name) for name in ("llama.onnx", "llama.taps.onnx"))
    empty = np.zeros((1, 2, 0, 32), np.float32)
    inputs = {
        "input_ids": np.arange(4)[None], "position_ids": np.arange(4)[None], "attention_mask": np.ones((1, 4), int),
        **{f"past_key_values.{layer}.{kind}": empty for layer in range(2) for kind in ("key", "value")},
    }  # fmt: skip
    found, more = model.run(**inputs), tapped.run(**inputs)
    assert list(more) == [*found, *LAYERS]
    np.testing.assert_allclose(more["logits"], found["logits"], atol=1e-5)
    assert more["transformer/h/1"].shape == (1, 4, 64)


def test_the_verdict_is_about_the_model(made: Outcome, folder: Path) -> None:
    assert made.status is Status.PASSED
    (section,) = made.report.components if made.report else ()
    assert [file.name for file in section.artifact.files] == ["llama.onnx", "llama.onnx.data"]
    (folder / "llama.taps.onnx").unlink()
    assert lwmport.validate(lwmport.Trial(artifact=folder)).status is Status.PASSED


def test_a_changed_one_is_told(folder: Path) -> None:
    with (folder / "llama.taps.onnx").open("ab") as file:
        file.write(b"more")
    assert manifest.changed_files(manifest.read(folder).components, folder) == ["llama.taps.onnx"]


def test_a_bundle_leaves_it_out(made: Outcome, tmp_path: Path) -> None:
    packed = bundle(BundleRequest(folder=made.out, target="cpu", out=tmp_path / "a.zip", samples=1, calibration=0))
    assert not [name for name in zipfile.ZipFile(packed.out).namelist() if "taps" in name]
    assert verify(VerifyRequest(path=packed.out)).status is Status.PASSED


def test_a_bundle_does_not_take_its_place(folder: Path) -> None:
    path = folder / "llama.taps.onnx"
    before = path.read_bytes()
    with pytest.raises(UsageError, match="expected a new place as --out"):
        bundle(BundleRequest(folder=folder, target="cpu", out=path, samples=1, calibration=0))
    assert path.read_bytes() == before


def test_it_goes_with_the_model_that_it_was_of(tmp_path: Path) -> None:
    fields = {"component": "vqgan-decoder", "config": "debug"}
    convert(tmp_path, taps="composites", **fields)
    own = {"vqgan-decoder.taps.onnx", "vqgan-decoder.taps.onnx.data"}
    rest = {"vqgan-decoder.onnx", "vqgan-decoder.onnx.data", "manifest.json"}
    assert {path.name for path in tmp_path.iterdir()} == rest | own
    convert(tmp_path, taps="layers", **fields)
    assert {path.name for path in tmp_path.iterdir()} == rest | {"vqgan-decoder.taps.onnx"}
    convert(tmp_path, **fields)
    assert {path.name for path in tmp_path.iterdir()} == rest


def test_a_prefill_and_a_decode_share_their_weights_with_both(tmp_path: Path) -> None:
    parts = convert(tmp_path, dialect="ascend", taps="composites").manifest.components
    assert [part.name for part in parts] == ["llama-prefill", "llama-decode"]
    for part in parts:
        assert part.taps is not None
        assert [file.name for file in part.taps.files] == [f"{part.name}.taps.onnx"]
        assert set(LAYERS) < set(part.taps.names)


def test_where_it_has_its_own_weights_the_plan_counts_them(tmp_path: Path) -> None:
    fields = {"component": "llama-block", "format": "tflite"}
    plain, tapped = (convert(tmp_path / str(taps), taps=taps, **fields).plan for taps in (None, "layers"))
    assert plain is not None
    assert tapped is not None
    assert tapped.write_bytes == 2 * plain.write_bytes
    found = {path.name for path in (tmp_path / "layers").iterdir()}
    assert {"llama-block-prefill.taps.tflite", "llama-block-decode.taps.tflite"} < found


def test_in_one_file_of_weights_they_are_counted_once(made: Outcome, tmp_path: Path) -> None:
    plain = convert(tmp_path).plan
    assert plain is not None
    assert made.plan is not None
    assert made.plan.write_bytes == plain.write_bytes
    assert (made.plan.seconds or 0) > (plain.seconds or 0)


def test_nothing_is_written_where_there_is_nothing_to_tap(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected layers to tap in llama-embed, found none"):
        convert(tmp_path / "out", "llama-embed", taps="layers")
    assert not (tmp_path / "out").exists()


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a kind of taps out of layers, composites, found 'layer'; did you"):
        convert(tmp_path, taps="layer")


@pytest.mark.parametrize("name", ["../other.onnx", "/other.onnx"])
def test_a_manifest_that_tells_of_a_place_outside_is_refused(name: str, folder: Path) -> None:
    path = folder / manifest.NAME
    path.write_text(path.read_text(encoding="utf-8").replace('"llama.taps.onnx"', f'"{name}"'), encoding="utf-8")
    with pytest.raises(ArtifactError, match="expected file names inside the folder"):
        manifest.read(folder)


def test_the_command_line_names_the_file(tmp_path: Path) -> None:
    words = ["convert", "--component", "vqgan-decoder", "--to", "onnx", "--config", "debug", "--no-validate"]
    found = CliRunner().invoke(cli, [*words, "--taps", "layers", "--out", str(tmp_path)])
    assert found.exit_code == 0
    assert "vqgan-decoder.taps.onnx  " in found.output
    assert ", 12 taps\n" in found.output
