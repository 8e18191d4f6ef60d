"""What a device made of a bundle's golden samples comes home: judged, and in the report beside the CPU's numbers."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import lwmport
from lwmport.cli.main import cli
from lwmport.errors import ArtifactError, UsageError
from lwmport.handoff import standalone
from lwmport.pipeline.bundle.run import BundleRequest, bundle
from lwmport.pipeline.bundle.verify import VerifyOutcome, VerifyRequest, verify
from lwmport.reports.files import read_report
from lwmport.types import Status

CONFIG = {
    "resolution": 16, "hidden_channels": 32, "channel_mult": [1], "num_res_blocks": 1, "z_channels": 8,
    "num_embeddings": 64, "quantized_embed_dim": 8,
}  # fmt: skip
OUTPUT = "pixel_values"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    out, path = folder / "out", folder / "decoder.zip"
    lwmport.convert(component="vqgan-decoder", format="onnx", out=out, config=CONFIG, dialect="ascend")
    bundle(BundleRequest(folder=out, target="ascend", out=path, samples=2, calibration=0, soc="Ascend310P3"))
    return path


@pytest.fixture
def unpacked(made: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "unpacked")
    return tmp_path / "unpacked"


@pytest.fixture
def came(unpacked: Path, tmp_path: Path) -> Path:
    """Return the golden outputs as a device would have written them: one sample as .npy, the other one raw."""
    for sample in ("000", "001"):
        place = tmp_path / "came" / "vqgan-decoder" / sample
        place.mkdir(parents=True)
        golden = unpacked / f"golden/vqgan-decoder/{sample}/outputs/{OUTPUT}.npy"
        if sample == "000":
            shutil.copy(golden, place)
        else:
            np.load(golden).tofile(place / f"{OUTPUT}.bin")
    return tmp_path / "came"


def judged(made: Path, came: Path, out: Path, unpacked: Path, **options: Any) -> VerifyOutcome:
    """Judge here and by the bundle's own verify.py, which must agree."""
    found = verify(VerifyRequest(path=made, results=came, out=out, **options))
    words = [word for name in ("precision",) if name in options for word in (f"--{name}", options[name])]
    code = standalone.main(["--outputs", str(came), *words], unpacked)
    assert code == {Status.PASSED: 0, Status.FAILED: 1, Status.NOT_JUDGED: 3}[found.validations[0].status]
    return found


def test_they_pass_and_the_page_names_the_device(made: Path, came: Path, unpacked: Path, tmp_path: Path) -> None:
    found = judged(made, came, tmp_path / "page", unpacked)
    assert found.status is Status.PASSED
    assert "on a CPU (3 photographs) and on Ascend 310P3 (2 golden samples)" in found.sentence
    assert "not run on" not in found.sentence
    report = read_report(tmp_path / "page")
    assert [part.title for part in report.components] == ["vqgan-decoder", "vqgan-decoder on Ascend 310P3"]
    section = report.components[1]
    assert [diff.name for diff in section.validation.diffs] == [f"000/{OUTPUT}", f"001/{OUTPUT}"]
    assert section.validation.runner == "Ascend 310P3; its outputs came back in came"
    assert "vqgan-decoder on Ascend 310P3" in (tmp_path / "page" / "report.html").read_text()
    assert "vqgan-decoder on Ascend 310P3" in (tmp_path / "page" / "report.md").read_text()


def test_the_user_names_the_device(made: Path, came: Path, unpacked: Path, tmp_path: Path) -> None:
    found = judged(made, came, tmp_path / "page", unpacked, device="our test rack's 910B")
    assert "on our test rack's 910B (2 golden samples)" in found.sentence


def spoil(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        path = folder / f"vqgan-decoder/000/{OUTPUT}.npy"
        np.save(path, change(np.load(path)))

    return write


BROKEN = {
    "sign": (spoil(lambda array: -array), "the sign is changed"),
    "layout": (spoil(lambda array: array.transpose(0, 3, 1, 2)), "shape: "),
    "dtype": (spoil(lambda array: array.astype(np.float64)), "dtype: "),
    "NaN": (spoil(lambda array: np.where(array > 0, np.nan, array).astype(np.float32)), "NaN"),
    "no array": (lambda folder: (folder / f"vqgan-decoder/000/{OUTPUT}.npy").write_bytes(b"x"), "is no array"),
    "cut": (lambda folder: (folder / f"vqgan-decoder/001/{OUTPUT}.bin").write_bytes(b"xxxx"), "size: expected"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_fails_and_is_diagnosed(
    name: str, made: Path, came: Path, unpacked: Path, tmp_path: Path
) -> None:
    damage, words = BROKEN[name]
    damage(came)
    found = judged(made, came, tmp_path / "page", unpacked)
    assert found.status is Status.FAILED
    assert "Not equal on Ascend 310P3 (2 golden samples): 1 of 2 outputs of vqgan-decoder disagree" in found.sentence
    assert "vqgan-decoder: numerically equal on a CPU" in found.sentence
    assert words in found.validations[0].reason


def test_what_did_not_come_back_is_not_judged(made: Path, came: Path, unpacked: Path, tmp_path: Path) -> None:
    shutil.rmtree(came / "vqgan-decoder" / "001")
    found = verify(VerifyRequest(path=made, results=came, out=tmp_path / "page"))
    assert (found.status, len(found.validations[0].diffs)) == (Status.PASSED, 1)
    assert "1 golden sample of vqgan-decoder (001) on Ascend 310P3" in found.sentence
    shutil.rmtree(came / "vqgan-decoder")
    found = judged(made, came, tmp_path / "page", unpacked)
    assert found.status is Status.NOT_JUDGED
    assert found.sentence.startswith(f"Not judged: expected vqgan-decoder/000/{OUTPUT}.npy or .bin and the like in ")
    assert "Not compiled for, not run on Ascend 310P3." in found.sentence


def test_a_coarser_precision_counts(made: Path, came: Path, unpacked: Path, tmp_path: Path) -> None:
    spoil(lambda array: (array + 1e-3).astype(np.float32))(came)
    assert judged(made, came, tmp_path / "page", unpacked).status is Status.FAILED
    assert judged(made, came, tmp_path / "page", unpacked, precision="float16").status is Status.PASSED
    with pytest.raises((UsageError, ArtifactError), match=r"expected .*precision .*float16"):
        verify(VerifyRequest(path=made, results=came, out=tmp_path / "page", precision="int4"))


def test_on_the_command_line(made: Path, came: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(made, tmp_path / "sent.zip"))
    words = ["verify", str(copy), "--results", str(came), "--device", "Ascend 310P3"]
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    lines = done.stdout.splitlines()
    assert done.return_value == 0
    assert lines[-2] == f"report: {tmp_path / 'sent-results' / 'report.html'}"
    assert lines[-1].startswith("PASSED  Numerically equal on a CPU")
    found = json.loads(CliRunner().invoke(cli, [*words, "--json"], standalone_mode=False).stdout)
    assert (found["status"], found["report"]) == ("passed", str(tmp_path / "sent-results" / "report.html"))
    assert json.loads((tmp_path / "sent-results" / "report.json").read_text())["sentence"] == found["sentence"]


def test_a_page_that_came_home_can_be_made_again(made: Path, came: Path, tmp_path: Path) -> None:
    verify(VerifyRequest(path=made, results=came, out=tmp_path / "page"))
    before = (tmp_path / "page" / "report.html").read_bytes()
    assert CliRunner().invoke(cli, ["report", str(tmp_path / "page")], standalone_mode=False).return_value == 0
    assert (tmp_path / "page" / "report.html").read_bytes() == before


def test_the_readme_says_what_was_proven_and_what_was_not(unpacked: Path) -> None:
    said = " ".join((unpacked / "README.txt").read_text().split())
    assert "Numerically equal on a CPU (3 photographs): 1 of 1 outputs agree with JAX, every value within" in said
    assert "Not compiled for, not run on Ascend 310P3." in said
    assert "lwmport verify BUNDLE.zip --results DIR puts it into the report." in said
    assert "Not compiled for, not run on Ascend 310P3." in (unpacked / "report" / "report.md").read_text()


def test_what_would_change_nothing_is_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected --results beside --device"):
        VerifyRequest(path=made, device="x")
    with pytest.raises(UsageError, match="expected --results or --runner"):
        VerifyRequest(path=made, results=tmp_path, runner="onnxruntime")
    with pytest.raises(ArtifactError, match="expected a folder of outputs"):
        verify(VerifyRequest(path=made, results=tmp_path / "nowhere"))
