"""The flow as a library: convert, load and run (videos too), validate against JAX and against each other."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import lwmport
from lwmport import manifest, memory, placing
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.writers.write import write_checkpoint
from lwmport.errors import ArtifactError, CheckpointError, ConfigError, PortError, RunnerError, UsageError
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.runtime.runners.jax import JaxRunner, quantized
from lwmport.types import Status, size_of

OPTIONS = {
    "plain": {},
    "attention": {"attn_resolutions": [16], "no_attn_mid_block": False},
    "average pooling": {"resample_with_conv": False},
    "one channel": {"num_channels": 1},
}
SMALL = {
    "resolution": 32,
    "hidden_channels": 32,
    "channel_mult": [1, 2],
    "num_res_blocks": 1,
    "z_channels": 16,
    "num_embeddings": 64,
    "quantized_embed_dim": 16,
}


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pipeline") / "out"
    request = lwmport.Request(component="vqgan", format="onnx", out=out, config="debug", batch="dynamic", seed=5)
    assert lwmport.convert(request).status is Status.PASSED
    return out


def test_a_video_is_accepted(dynamic: Path) -> None:
    video = np.random.default_rng(0).uniform(-1, 1, (2, 3, 32, 32, 3)).astype(np.float32)
    encoder = lwmport.load(dynamic / "vqgan-encoder.onnx")
    found = encoder.run(pixel_values=video)
    assert found["codebook_indices"].shape == (2, 3, 16, 16)
    single = encoder.run(pixel_values=video[1, 2:])
    assert np.array_equal(found["codebook_indices"][1, 2:], single["codebook_indices"])
    pixels = lwmport.load(dynamic / "vqgan-decoder.onnx").run(codebook_indices=found["codebook_indices"])
    assert pixels["pixel_values"].shape == video.shape


def test_end_of_frame_tokens_are_refused(dynamic: Path) -> None:
    codes = np.full((1, 16, 16), 64, np.int32)
    with pytest.raises(RunnerError, match="between 0 and 63"):
        lwmport.load(dynamic / "vqgan-decoder.onnx").run(codebook_indices=codes)


def test_loading_needs_the_manifest(dynamic: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="expected a model file or a folder of artifacts, found nothing at"):
        lwmport.load(tmp_path / "x.onnx")
    (tmp_path / "x.onnx").touch()
    with pytest.raises(ArtifactError, match="expected a manifest"):
        lwmport.load(tmp_path / "x.onnx")
    with pytest.raises(ArtifactError, match=r"expected one of vqgan-encoder\.onnx"):
        lwmport.load(dynamic / "other.onnx")


def test_an_artifact_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=f"found nothing at {tmp_path / 'nothing'}"):
        lwmport.validate(lwmport.Trial(artifact=tmp_path / "nothing"))
    with pytest.raises(ArtifactError, match="found: No such file or directory; convert into this folder first"):
        lwmport.validate(lwmport.Trial(artifact=tmp_path))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_every_option_of_the_model_converts_and_passes(options: dict[str, object], tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**SMALL, **options}))
    request = lwmport.Request(component="vqgan", format="onnx", out=tmp_path / "out", config=str(config), batch=2)
    outcome = lwmport.convert(request)
    assert outcome.status is Status.PASSED, outcome.report


def test_one_artifact_is_the_reference_of_another(dynamic: Path, tmp_path: Path) -> None:
    other = lwmport.Request(
        component="vqgan", format="onnx", out=tmp_path / "o", config="debug", dialect="onnx", opset=17, seed=5
    )
    lwmport.convert(other)
    outcome = lwmport.validate(lwmport.Trial(artifact=tmp_path / "o", reference=str(dynamic)))
    assert outcome.status is Status.PASSED
    assert outcome.report is not None
    assert outcome.report.components[0].validation.reference == "out/vqgan-encoder.onnx"


def test_weights_of_another_seed_fail(dynamic: Path, tmp_path: Path) -> None:
    request = lwmport.Request(component="vqgan-decoder", format="onnx", out=tmp_path / "o", config="debug", seed=6)
    lwmport.convert(request)
    outcome = lwmport.validate(lwmport.Trial(artifact=tmp_path / "o", reference=str(dynamic)))
    assert outcome.status is Status.FAILED


def test_a_checkpoint_must_be_named_again_and_be_the_same(tmp_path: Path) -> None:
    family = resolve("vqgan", "debug")
    for seed in (1, 2):
        write_checkpoint(SeededWeights(family.weights, seed), tmp_path / f"{seed}.pkl", "pickle")
    request = lwmport.Request(
        component="vqgan-decoder",
        format="onnx",
        out=tmp_path / "o",
        config="debug",
        checkpoint=str(tmp_path / "1.pkl"),
        validate=False,
    )
    lwmport.convert(request)
    with pytest.raises(CheckpointError, match="name it with --checkpoint"):
        lwmport.validate(lwmport.Trial(artifact=tmp_path / "o"))
    with pytest.raises(CheckpointError, match="expected the weights that were converted"):
        lwmport.validate(lwmport.Trial(artifact=tmp_path / "o", checkpoint=str(tmp_path / "2.pkl")))
    outcome = lwmport.validate(lwmport.Trial(artifact=tmp_path / "o", checkpoint=str(tmp_path / "1.pkl")))
    assert outcome.status is Status.PASSED


@pytest.mark.parametrize("form", ["pickle", "msgpack_stream", "flax_msgpack", "safetensors"])
def test_the_format_of_the_checkpoint_changes_no_byte(form: str, tmp_path: Path) -> None:
    weights = SeededWeights(resolve("vqgan", "debug").weights, 0)
    write_checkpoint(weights, tmp_path / "checkpoint", form)
    common = {"component": "vqgan-decoder", "format": "onnx", "config": "debug", "validate": False}
    lwmport.convert(lwmport.Request(out=tmp_path / "a", checkpoint=str(tmp_path / "checkpoint"), **common))
    lwmport.convert(lwmport.Request(out=tmp_path / "b", **common))
    for name in ("vqgan-decoder.onnx", "vqgan-decoder.onnx.data"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_named_and_nothing_is_written(value: float, tmp_path: Path) -> None:
    family = resolve("vqgan-decoder", SMALL)
    seeded = SeededWeights(family.weights, 0)
    arrays = {name: seeded.read(name).copy() for name in family.weights}
    arrays["decoder/Conv_0/kernel"].reshape(-1)[3] = value
    save_file(arrays, tmp_path / "bad.safetensors")
    request = lwmport.Request(
        component="vqgan-decoder",
        format="onnx",
        config=SMALL,
        checkpoint=str(tmp_path / "bad.safetensors"),
        out=tmp_path / "out",
    )
    with pytest.raises(CheckpointError, match=r"bad.safetensors.*found NaN or infinite ones in decoder/Conv_0/kernel;"):
        lwmport.convert(request)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.safetensors"]


@pytest.mark.parametrize("scarce", [False, True])
def test_the_reference_tells_what_it_quantized(monkeypatch: pytest.MonkeyPatch, *, scarce: bool) -> None:
    monkeypatch.setattr(memory, "is_scarce", lambda _: scarce)
    family = resolve("vqgan-encoder", "debug")
    (component,) = family.components
    weights = SeededWeights(family.weights, 0)
    pixels = np.zeros((1, 32, 32, 3), np.float32)
    runner = JaxRunner(component, weights)
    (found,) = quantized(component, weights, [{"pixel_values": pixels}])
    made_of = found["codebook_indices"]
    distances = ((made_of.vectors[..., None, :] - made_of.codebook) ** 2).sum(-1)
    assert np.array_equal(distances.argmin(-1), runner.run({"pixel_values": pixels})["codebook_indices"])


def test_a_bad_configuration_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hidden_channels": 33}')
    request = lwmport.Request(
        component="vqgan", format="onnx", out=tmp_path / "out", config=str(tmp_path / "config.json")
    )
    with pytest.raises(ConfigError, match="multiple of 32"):
        lwmport.convert(request)
    assert not (tmp_path / "out").exists()


def test_an_unknown_reference_is_named(dynamic: Path) -> None:
    with pytest.raises(UsageError, match="found nowhere"):
        lwmport.validate(lwmport.Trial(artifact=dynamic, reference="nowhere"))


def test_the_manifest_names_the_chain(dynamic: Path) -> None:
    made = manifest.read(dynamic)
    assert made.verdict == "passed"
    assert {part.name for part in made.components} == {"vqgan-encoder", "vqgan-decoder"}
    digests = {made.weights_sha256, *(part.program_sha256 for part in made.components)}
    assert len(digests) == 3
    assert all(len(value) == 64 for value in digests)


def test_a_report_about_other_models_does_not_stay(tmp_path: Path) -> None:
    request = lwmport.Request(component="vqgan-decoder", format="onnx", out=tmp_path, config="debug")
    lwmport.convert(request)
    assert (tmp_path / "report.html").is_file()
    lwmport.convert(replace(request, seed=1, validate=False))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("report", "pictures"))]


@pytest.mark.parametrize("name", ["vqgan-decoder.onnx", "manifest.json"])
def test_no_old_report_stays_beside_a_manifest_of_other_models(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where folders cannot be exchanged, no manifest vouches for what is there while files are put in place."""
    monkeypatch.setattr(placing, "_exchange", lambda *_, **__: False)
    request = lwmport.Request(component="vqgan-decoder", format="onnx", out=tmp_path, config="debug")
    lwmport.convert(request)
    rename = Path.replace

    def end(self: Path, target: Path) -> Path:
        if target == tmp_path / name:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", end)
        with pytest.raises(KeyboardInterrupt):
            lwmport.convert(replace(request, seed=1, validate=False))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(("report", "pictures", "manifest"))]


def test_a_run_that_fails_at_its_end_leaves_models_manifest_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = lwmport.Request(component="vqgan-decoder", format="onnx", out=tmp_path, config="debug")
    lwmport.convert(request)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(placing, "place", full)
    with pytest.raises(PortError, match="No space left"):
        lwmport.convert(replace(request, seed=1, validate=False))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_commands_can_be_pasted_and_name_no_folder(tmp_path: Path) -> None:
    request = lwmport.Request(
        component="vqgan",
        format="onnx",
        out=tmp_path,
        config="/some where/c.json",
        checkpoint="params::/some where/w",
        options=Options(settings=("channel_mult=[1, 2]",), precision="float16"),
    )
    convert, validate = request.commands()
    words = shlex.split(convert)
    assert words[words.index("--set") + 1] == "channel_mult=[1, 2]"
    assert words[words.index("--config") + 1] == "c.json"
    assert words[words.index("--checkpoint") + 1] == "params::w"
    assert "some where" not in convert + validate


@pytest.mark.parametrize(("dim", "size"), [(3, 3), ("past", 6), ("past + sequence", 15), ("past + 16", 22)])
def test_sizes_of_a_trial_may_be_sums_of_names_and_numbers(dim: int | str, size: int) -> None:
    assert size_of(dim, {"past": 6, "sequence": 9}) == size


def test_a_model_of_fixed_length_behind_any_cache_is_tried_with_and_without_padding(tmp_path: Path) -> None:
    request = lwmport.Request(
        component="llama-block", format="onnx", out=tmp_path, config="debug", options=Options(sequence=4)
    )
    outcome = lwmport.convert(request)
    assert outcome.status is Status.PASSED
    assert outcome.report is not None
    diffs = outcome.report.components[0].validation.diffs
    cases = {diff.name.partition("/")[0] for diff in diffs}
    assert cases == {"prefill", "continuation", "padded prefill", "padded decode"}
