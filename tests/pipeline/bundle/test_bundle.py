"""A handoff made by the real pipeline: whole, the same bytes twice, and nothing changed in it goes unseen."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import command_line
import numpy as np
import pytest

import lwmport
from lwmport import digest, manifest
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.writers.write import write_checkpoint
from lwmport.errors import ArtifactError, CheckpointError, ChildError, PortError, UsageError
from lwmport.handoff import record
from lwmport.handoff.opening import Archive
from lwmport.handoff.packing import pack
from lwmport.models.families import resolve
from lwmport.pipeline.bundle import replay
from lwmport.pipeline.bundle.run import BundleRequest, bundle
from lwmport.pipeline.bundle.verify import VerifyRequest, verify
from lwmport.pipeline.compile.run import CompileRequest, compile_artifacts
from lwmport.types import Status

CONFIG = {
    "resolution": 16,
    "hidden_channels": 32,
    "channel_mult": [1],
    "num_res_blocks": 1,
    "z_channels": 8,
    "num_embeddings": 64,
    "quantized_embed_dim": 8,
}
"""Small enough for XLA to compile at once: 16 x 16 pixels, 16 x 16 codes."""


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / "out"
    request = lwmport.Request(component="vqgan", format="onnx", out=out, config=CONFIG, dialect="ort")
    assert lwmport.convert(request).status is Status.PASSED
    return out


def request(folder: Path, out: Path, **options: Any) -> BundleRequest:
    return BundleRequest(**{"folder": folder, "target": "cpu", "out": out, "samples": 2, "calibration": 3, **options})


@pytest.fixture(scope="module")
def made(converted: Path) -> Path:
    """Return a bundle that the command line made, in a process of its own: its bytes are those that this one makes."""
    path = converted.parent / "bundle.zip"
    words = ("bundle", str(converted), "--target", "cpu", "--out", str(path), "--samples", "2", "--calibration", "3")
    command = [sys.executable, "-m", "lwmport", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sha256"] == digest.of_file(path)
    return path


def test_it_holds_what_an_engineer_needs(made: Path) -> None:
    with zipfile.ZipFile(made) as archive:
        names = set(archive.namelist())
        spec = json.loads(archive.read("spec.json"))
        assert archive.testzip() is None
    assert names >= {"README.txt", "LICENSE", "NOTICE.txt", "verify.py", "spec.md", "models/manifest.json"}
    assert names >= {f"report/report.{suffix}" for suffix in ("html", "json", "md")}
    (encoder, decoder) = spec["components"]
    assert {sample["title"] for sample in encoder["samples"]} == {"photographs: astronaut", "photographs: coffee"}
    assert encoder["samples"][0]["inputs"]["pixel_values"]["npy"] in names
    assert decoder["calibration"]["count"] == 3
    assert decoder["calibration"]["stacked"]["codebook_indices"] in names
    assert not [name for name in names if name.endswith(".bin")], "arrays are there once"
    assert encoder["processing"]["inputs/pixel_values"]["scaling"]["mean"] == 127.5
    assert decoder["tolerances"]["pixel_values"]["float16"]["atol"] == 2e-2
    ranges = {**encoder["observed"], **decoder["observed"]}
    assert sorted(ranges) == [
        *("inputs/codebook_indices", "inputs/pixel_values"),
        *("outputs/codebook_indices", "outputs/pixel_values", "outputs/quantized_states"),
    ]
    assert -1 <= ranges["inputs/pixel_values"][0] < ranges["inputs/pixel_values"][1] <= 1


def test_the_runner_that_is_named_runs_the_models(made: Path) -> None:
    found = verify(VerifyRequest(path=made, runner="openvino"))
    assert found.status is Status.NOT_JUDGED
    assert len(found.validations) == 2
    assert all(validation.reason.startswith("OpenVINO has no lwmport.G") for validation in found.validations)
    assert found.sentence.startswith("Not judged: vqgan-encoder: OpenVINO has no lwmport.GroupNorm32")
    with pytest.raises(UsageError, match=r"for \.onnx, use --runner onnxruntime or"):
        verify(VerifyRequest(path=made, runner="litert"))


def test_the_same_folder_gives_the_same_bytes(converted: Path, made: Path, tmp_path: Path) -> None:
    bundle(request(converted, tmp_path / "again.zip"))
    assert (tmp_path / "again.zip").read_bytes() == made.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.zip"]


def test_calibration_that_the_compiler_has_as_its_own_lies_there_alone(converted: Path, tmp_path: Path) -> None:
    bundle(request(converted, tmp_path / "aipu.zip", target="aipu", soc="X2_1204MP3"))
    with zipfile.ZipFile(tmp_path / "aipu.zip") as archive:
        names, spec = archive.namelist(), json.loads(archive.read("spec.json"))
        table = archive.read("spec.md").decode()
        (own,) = (name for name in names if name.startswith("compile/vqgan-decoder/") and name.endswith(".npy"))
        assert np.load(io.BytesIO(archive.read(own))).shape == (3, 16, 16)
    assert not [name for name in names if name.startswith("calibration/")]
    assert spec["components"][1]["calibration"] == {"count": 3, "stacked": {}}
    assert "Calibration: 3 runs in `compile/vqgan-decoder`." in table


@pytest.mark.parametrize("name", ["vqgan-decoder.onnx", "vqgan-decoder.onnx.data", "manifest.json", "report.html"])
@pytest.mark.parametrize("linked", [False, True])
def test_it_is_written_over_no_file_of_the_folder(name: str, *, linked: bool, converted: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in converted.iterdir() if path.is_file()}
    out = converted / name
    if linked:
        out = tmp_path / "out.zip"
        out.symlink_to(converted / name)
    with pytest.raises(UsageError, match=r"expected a new place as --out, found .*; name another"):
        bundle(request(converted, out))
    assert {path.name: path.read_bytes() for path in converted.iterdir() if path.is_file()} == before


def test_a_bundle_in_the_folder_may_be_made_again(converted: Path, made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(converted, folder)
    for _ in range(2):
        bundle(request(folder, folder / "bundle.zip"))
    assert (folder / "bundle.zip").read_bytes() == made.read_bytes()


def test_its_own_checker_passes_and_runs_the_models(made: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(made, tmp_path)
    words = [sys.executable, str(tmp_path / "verify.py")]
    done = subprocess.run([*words, "--run", "onnxruntime", "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["outputs"]
    assert {(row["component"], row["output"], row["sample"]) for row in rows if row["passed"]} == {
        *(
            ("vqgan-encoder", name, f"00{sample}")
            for name in ("codebook_indices", "quantized_states")
            for sample in "01"
        ),
        *(("vqgan-decoder", "pixel_values", f"00{sample}") for sample in "01"),
    }
    model = tmp_path / "models/vqgan-decoder.onnx.data"
    content = bytearray(model.read_bytes())
    content[12345] ^= 1
    model.write_bytes(content)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "models/vqgan-decoder.onnx.data: changed" in done.stdout


def test_the_models_in_it_are_judged_like_any_folder(made: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(made, tmp_path)
    assert lwmport.validate(lwmport.Trial(artifact=tmp_path / "models")).status is Status.PASSED


def test_golden_and_calibration_share_no_input(made: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(made, tmp_path)
    seen = [np.load(path) for path in sorted(tmp_path.glob("golden/vqgan-encoder/*/inputs/*.npy"))]
    seen += list(np.load(tmp_path / "calibration/vqgan-encoder/pixel_values.npy"))
    assert len({array.tobytes() for array in seen}) == 5
    assert {array.shape for array in seen} == {(1, 16, 16, 3)}


def test_verify_passes(made: Path) -> None:
    found = verify(VerifyRequest(path=made, sha256=digest.of_file(made)))
    assert found.status is Status.PASSED, found.sentence
    assert [validation.component for validation in found.validations] == ["vqgan-encoder", "vqgan-decoder"]
    assert len(found.validations[0].diffs) == 4


def test_the_digest_that_was_told_decides(made: Path) -> None:
    assert command_line.lwmport("verify", made, "--sha256", digest.of_file(made), "--no-run").returncode == 0
    done = command_line.lwmport("verify", made, "--sha256", "0" * 64, "--no-run", "--json")
    assert done.returncode == 1
    assert "expected the SHA-256 0000" in json.loads(done.stdout)["sentence"]


def rebuilt(made: Path, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """Return the bundle with its files changed, as our own writer writes it; bundle.json stays as it was."""
    with Archive(made) as archive:
        contents = {name: b"".join(archive.pieces(name)) for name in archive.entries}
    change(contents)
    last = contents.pop(record.NAME)
    file = io.BytesIO()
    pack(file, dict(contents), (record.NAME, lambda _: last), lambda *_: None)
    return file.getvalue()


def resealed(made: Path, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """Return the bundle with its files changed and every digest made right again."""
    with Archive(made) as archive:
        contents = {name: b"".join(archive.pieces(name)) for name in archive.entries}
    bundled = record.unseal(contents.pop(record.NAME), record.NAME)
    change(contents)
    sha256 = manifest_digest(contents)
    file = io.BytesIO()
    seal = lambda files: record.seal(replace(bundled, files=files, manifest_sha256=sha256))  # noqa: E731 - a callback
    pack(file, dict(contents), (record.NAME, seal), lambda *_: None)
    return file.getvalue()


def manifest_digest(contents: dict[str, bytes]) -> str:
    import hashlib

    return hashlib.sha256(contents.get("models/manifest.json", b"")).hexdigest()


def edit(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], None]:
    def change(contents: dict[str, bytes]) -> None:
        assert old in contents[name]
        contents[name] = contents[name].replace(old, new, 1)

    return change


TAMPERED: dict[str, tuple[Callable[[dict[str, bytes]], Any], str]] = {
    "missing": (lambda files: files.pop("spec.md"), "spec.md: missing"),
    "extra": (lambda files: files.update({"setup.py": b"import os"}), "setup.py: not named in bundle.json"),
    "renamed": (lambda files: files.update({"spec.txt": files.pop("spec.md")}), "spec.md: missing"),
    "changed": (edit("README.txt", b"verify.py", b"verity.py"), "README.txt: changed"),
    "longer": (lambda files: files.update({"LICENSE": files["LICENSE"] + b"!"}), "LICENSE: changed"),
    "manifest": (edit("models/manifest.json", b'"passed"', b'"failed"'), "models/manifest.json: changed"),
    "record": (edit("bundle.json", b'"target": "cpu"', b'"target": "npu"'), "bundle.json: expected it as it was"),
    "spaces in the record": (edit("bundle.json", b"{\n", b"{ \n"), "bundle.json: expected it as it was"),
    "no JSON": (lambda files: files.update({"bundle.json": b"{"}), "bundle.json: expected JSON"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_was_changed_is_named(name: str, made: Path, tmp_path: Path) -> None:
    change, reason = TAMPERED[name]
    path = tmp_path / "x.zip"
    path.write_bytes(rebuilt(made, change))
    found = verify(VerifyRequest(path=path))
    assert found.status is Status.FAILED
    assert any(failure.startswith(reason) for failure in found.failures), found.failures
    assert not found.validations


def test_a_changed_byte_anywhere_fails(made: Path, tmp_path: Path) -> None:
    content = made.read_bytes()
    path = tmp_path / "x.zip"
    for place in range(7, len(content), len(content) // 40):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x40]) + content[place + 1 :])
        try:
            found = verify(VerifyRequest(path=path, run=False))
        except ArtifactError:
            continue
        assert found.status is Status.FAILED, f"byte {place} may be changed"


def test_a_changed_byte_of_a_model_is_told_with_1(made: Path, tmp_path: Path) -> None:
    content = bytearray(made.read_bytes())
    with Archive(made) as archive:
        content[archive.entries["models/vqgan-decoder.onnx.data"].start + 99] ^= 1
    (tmp_path / "x.zip").write_bytes(content)
    done = command_line.lwmport("verify", tmp_path / "x.zip")
    assert done.returncode == 1
    assert "models/vqgan-decoder.onnx.data: changed" in done.stdout


PIXELS = "golden/vqgan-decoder/000/outputs/pixel_values.npy"


def _header(words: str) -> Callable[[dict[str, bytes]], None]:
    """Return what gives an array another header; later words of one key count."""

    def change(contents: dict[str, bytes]) -> None:
        text = f"{{'fortran_order': False, {words}, 'shape': (1, 16, 16, 3)}}".ljust(117) + "\n"
        head = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
        contents[PIXELS] = head + contents[PIXELS][128:]

    return change


def _golden_negated(contents: dict[str, bytes]) -> None:
    stem = "golden/vqgan-decoder/000/outputs/pixel_values"
    array = -np.load(io.BytesIO(contents[f"{stem}.npy"]))
    file = io.BytesIO()
    np.save(file, array)
    contents[f"{stem}.npy"] = file.getvalue()


def _manifest_of_another_model(contents: dict[str, bytes]) -> None:
    value = json.loads(contents["models/manifest.json"])
    value["components"][0]["path"] = "../../../../../tmp/evil.onnx"
    spec = json.loads(contents["spec.json"])
    spec["components"][0]["model"] = "models/../../../../../tmp/evil.onnx"
    contents |= {"models/manifest.json": record.text(value), "spec.json": record.text(spec)}


def _masked(shape: tuple[int, ...], output: str = "pixel_values") -> Callable[[dict[str, bytes]], None]:
    """Return what gives the decoder's first sample a mask of its own."""

    def change(contents: dict[str, bytes]) -> None:
        stem = f"golden/vqgan-decoder/000/relevant/{output}"
        array, file = np.ones(shape, bool), io.BytesIO()
        np.save(file, array)
        contents[f"{stem}.npy"] = file.getvalue()
        spec = json.loads(contents["spec.json"])
        mask = {"npy": f"{stem}.npy", "shape": list(shape), "dtype": "bool"}
        spec["components"][1]["samples"][0]["relevant"][output] = mask
        contents["spec.json"] = record.text(spec)

    return change


def _other_codes(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    """Return what changes the encoder's record of its codebook."""

    def changed(contents: dict[str, bytes]) -> None:
        spec = json.loads(contents["spec.json"])
        change(spec["components"][0])
        contents["spec.json"] = record.text(spec)

    return changed


def _flat(part: dict[str, Any]) -> None:
    part["codes"]["codebook_indices"]["codebook"]["shape"] = [64 * 8]


def _of_pixels(part: dict[str, Any]) -> None:
    part["codes"]["pixel_values"] = part["codes"].pop("codebook_indices")


def _other_states(part: dict[str, Any]) -> None:
    part["codes"]["codebook_indices"]["states"] = "codebook_indices"


def _no_vectors(part: dict[str, Any]) -> None:
    part["samples"][0]["vectors"] = {}


def _negative_sizes(contents: dict[str, bytes]) -> None:
    spec = json.loads(contents["spec.json"])
    found = spec["components"][1]["samples"][0]["outputs"]["pixel_values"]
    found["shape"] = [-found["shape"][0], -found["shape"][1], *found["shape"][2:]]
    contents["spec.json"] = record.text(spec)


RESEALED: dict[str, tuple[Callable[[dict[str, bytes]], Any], str]] = {
    "model": (edit("models/vqgan-decoder.onnx.data", b"\0", b"\1"), "not the file that models/manifest.json names"),
    "no array": (
        lambda files: files.update({"golden/vqgan-decoder/000/outputs/pixel_values.npy": b"1"}),
        "expected a .npy file, found damage",
    ),
    "an array of objects": (
        _header("'descr': '|O'"),
        "expected numbers and no negative sizes, found object[1, 16, 16, 3]",
    ),
    "another dtype": (_header("'descr': '<i4'"), "as the record says, found int32[1, 16, 16, 3]"),
    "Fortran order": (_header("'descr': '<f4', 'fortran_order': True"), "in Fortran order"),
    "an open bracket": (_header("'descr': ('<f4'"), "expected a .npy file, found damage"),
    "more bytes": (
        lambda files: files.update({PIXELS: files[PIXELS] + b"1"}),
        "expected float32[1, 16, 16, 3], found 3073 bytes",
    ),
    "a mask of another size": (_masked((1, 7, 1, 1)), "expected a shape that broadcasts to [1, 16, 16, 3]"),
    "a mask of more axes": (_masked((1, 1, 16, 16, 3)), "expected a shape that broadcasts to [1, 16, 16, 3]"),
    "a mask without an output": (_masked((1,), "pixels"), "expected an output pixels for it"),
    "a flat codebook": (
        _other_codes(_flat),
        "expected the codes that codebook_indices and quantized_states of 000 fit",
    ),
    "codes of pixels": (_other_codes(_of_pixels), "expected the codes that pixel_values and quantized_states of 000"),
    "codes without states": (_other_codes(_other_states), "codebook_indices and codebook_indices of 000 fit"),
    "codes without vectors": (_other_codes(_no_vectors), "and quantized_states of 000 fit"),
    "negative sizes": (_negative_sizes, "no negative sizes, found float32[-1, -16, 16, 3]"),
    "dtype": (edit("spec.json", b'"dtype": "int32"', b'"dtype": "object"'), "the signature of vqgan-encoder"),
}


@pytest.mark.parametrize("name", RESEALED)
def test_records_that_contradict_each_other_fail(name: str, made: Path, tmp_path: Path) -> None:
    change, reason = RESEALED[name]
    path = tmp_path / "x.zip"
    path.write_bytes(resealed(made, change))
    found = verify(VerifyRequest(path=path))
    assert found.status is Status.FAILED
    assert any(reason in failure for failure in found.failures), found.failures


def test_a_mask_that_fits_is_taken(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(resealed(made, _masked((16, 1, 1))))
    assert verify(VerifyRequest(path=path)).status is Status.PASSED


def test_a_bundle_that_agrees_with_itself_still_has_to_agree_with_its_models(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(resealed(made, _golden_negated))
    found = verify(VerifyRequest(path=path))
    assert found.status is Status.FAILED
    assert not found.failures
    assert [validation.status for validation in found.validations] == [Status.PASSED, Status.FAILED]
    with pytest.raises(AssertionError):
        assert verify(VerifyRequest(path=path, sha256=digest.of_file(made), run=False)).status is Status.PASSED


@pytest.mark.parametrize("cause", ["time", "memory", "signal", "error"])
def test_a_model_that_does_not_end_well_is_not_judged(cause: str, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes too much, or kills its runtime here, may be right elsewhere."""

    def refuse(*_: object) -> NoReturn:
        raise ChildError("expected the runs to end", cause=cause)

    monkeypatch.setattr(replay, "run_all", refuse)
    found = verify(VerifyRequest(path=made))
    assert [validation.status for validation in found.validations] == [Status.NOT_JUDGED, Status.NOT_JUDGED]
    assert all("expected the runs to end" in f"{part.reason} {part.runner}" for part in found.validations)


def test_a_manifest_that_leads_out_is_refused(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(resealed(made, _manifest_of_another_model))
    with pytest.raises(ArtifactError, match="leads out of the bundle"):
        verify(VerifyRequest(path=path))


def test_a_tensorflow_graph_is_run_only_for_who_knows_whose_it_is(made: Path, tmp_path: Path) -> None:
    def graph(contents: dict[str, bytes]) -> None:
        for name in ("models/manifest.json", "spec.json"):
            contents[name] = contents[name].replace(b"vqgan-decoder.onnx", b"vqgan-decoder.pb")
        for name in [name for name in contents if name.startswith("models/vqgan-decoder")]:
            contents[name.replace(".onnx", ".pb")] = contents.pop(name)

    path = tmp_path / "x.zip"
    path.write_bytes(resealed(made, graph))
    found = verify(VerifyRequest(path=path))
    assert found.status is Status.NOT_JUDGED, found
    assert "may read and write files" in found.validations[1].reason


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    pack(file, {"a": b"1"}, ("b", lambda _: b""), lambda *_: None)
    (tmp_path / "x.zip").write_bytes(file.getvalue())
    with pytest.raises(ArtifactError, match=r"expected bundle\.json"):
        verify(VerifyRequest(path=tmp_path / "x.zip"))
    with pytest.raises(ArtifactError, match="expected a bundle at"):
        verify(VerifyRequest(path=tmp_path / "none.zip"))


def test_what_did_not_pass_is_not_handed_over(converted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(converted, folder)
    with (folder / "vqgan-decoder.onnx.data").open("r+b") as file:
        file.write(b"\x55" * 64)
    with pytest.raises(ArtifactError, match=r"vqgan-decoder\.onnx\.data as it was converted"):
        bundle(request(folder, tmp_path / "b.zip", samples=1, calibration=0))
    manifest.write(replace(manifest.read(folder), verdict="failed"), folder)
    with pytest.raises(ArtifactError, match="found them failed"):
        bundle(request(folder, tmp_path / "b.zip"))
    with pytest.raises(UsageError, match="expected one target, found 'npu'"):
        bundle(request(converted, tmp_path / "b.zip", target="npu"))
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


@pytest.mark.parametrize("soc", [None, "Ascend310P9"])
def test_a_device_is_asked_for_where_the_compiler_asks(soc: str | None, converted: Path, tmp_path: Path) -> None:
    reasons = []
    compiled = CompileRequest(artifact=converted, target="ascend", soc=soc, out=tmp_path / "c")
    for work in (
        lambda: bundle(request(converted, tmp_path / "b.zip", target="ascend", soc=soc)),
        lambda: compile_artifacts(compiled),
    ):
        with pytest.raises(UsageError, match=rf"expected --soc out of .*, found '?{soc or 'none'}") as error:
            work()
        reasons.append(str(error.value))
    assert reasons[0] == reasons[1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("relative", [False, True])
def test_an_error_names_the_model_where_it_lies(
    *, relative: bool, converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lite"
    shutil.copytree(converted, folder)
    manifest.write(replace(manifest.read(folder), artifact_format="tflite"), folder)
    monkeypatch.chdir(tmp_path)
    if relative:
        folder = Path("lite")
    options = {"target": "ascend", "soc": "Ascend310P3", "samples": 1, "calibration": 0}
    with pytest.raises(UsageError, match=r"expected an artifact in onnx or .*, found tflite") as error:
        bundle(request(folder, Path("b.zip"), **options))
    assert f"({folder}/vqgan-encoder.onnx); convert with --to onnx" in str(error.value)
    assert ".lwmport" not in str(error.value)


def test_a_model_that_the_rules_refuse_goes_with_the_findings(converted: Path, tmp_path: Path) -> None:
    options = {"target": "ascend", "soc": "Ascend310P3", "samples": 1, "calibration": 0}
    found = bundle(request(converted, tmp_path / "b.zip", **options))
    assert found.status is Status.FAILED
    rules = {finding.rule for finding in found.preflights[0].findings if finding.severity == "error"}
    assert rules
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        said = json.loads(archive.read("check/vqgan-encoder/preflight.json"))
        assert {finding["rule"] for finding in said["findings"]} >= rules
        assert b"not listed" in archive.read("check/vqgan-encoder/operators.txt")
        assert b"bash compile/vqgan-encoder/vqgan-encoder.sh" in archive.read("README.txt")
        assert b"--soc_version=Ascend310P3" in archive.read("compile/vqgan-encoder/vqgan-encoder.sh")


def test_the_checkpoint_must_be_named_again(tmp_path: Path) -> None:
    write_checkpoint(SeededWeights(resolve("vqgan", CONFIG).weights, 1), tmp_path / "w.pkl", "pickle")
    made = lwmport.Request(
        component="vqgan-encoder",
        format="onnx",
        out=tmp_path / "o",
        config=CONFIG,
        dialect="ort",
        batch="dynamic",
        checkpoint=str(tmp_path / "w.pkl"),
    )
    lwmport.convert(made)
    with pytest.raises(CheckpointError, match="name it with --checkpoint"):
        bundle(request(tmp_path / "o", tmp_path / "b.zip"))
    bundle(request(tmp_path / "o", tmp_path / "b.zip", checkpoint=str(tmp_path / "w.pkl")))
    found = verify(VerifyRequest(path=tmp_path / "b.zip"))
    assert found.status is Status.PASSED
    said = zipfile.ZipFile(tmp_path / "b.zip").read("NOTICE.txt").decode()
    assert "Llama 2 community license" not in said, "the weights of this checkpoint are random"


def test_no_room_to_unpack_is_one_line(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_archive: Archive, _name: str, _folder: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Archive, "unpack", full)
    with pytest.raises(PortError, match=r"cannot unpack models/.*No space left on device; set TMPDIR"):
        verify(VerifyRequest(path=made))
