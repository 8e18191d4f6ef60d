"""A family of somebody else's package: every command takes it, and no file of ours knows it."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

import lwmport
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.cli.listing import catalogue
from lwmport.cli.main import cli
from lwmport.converters.dialects import DIALECTS
from lwmport.errors import CheckpointError, ConfigError, LoweringError, UsageError
from lwmport.models import specs
from lwmport.models.families import parts_of, resolve, takers
from lwmport.models.options import Options
from lwmport.models.schemes import RANGES
from lwmport.models.spec import FamilySpec, PartSpec
from lwmport.pipeline.bundle.verify import VerifyRequest, verify
from lwmport.pipeline.check import CheckRequest, check_artifacts, verdict
from lwmport.pipeline.checkpoint.make import Recipe, make
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.port.run import PortOutcome, PortRequest, port
from lwmport.targets.dialects import ALL_DIALECTS
from lwmport.types import Array, Status

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tests" / "data" / "family_package"
OURS = tuple(specs.FAMILIES.table)
EVERY = {**DIALECTS, **ALL_DIALECTS}
LOWERED = {name: own for name, own in EVERY.items() if own.lowered and own.rounding != RANGES}
"""All but those of whole folders and of quantised models alone."""


@pytest.fixture(scope="module")
def installed() -> Iterator[None]:
    """Put the package where Python finds it, as pip would; take it away again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PACKAGE)
        yield


@pytest.fixture(scope="module")
def ported(installed: None, tmp_path_factory: pytest.TempPathFactory) -> PortOutcome:
    """Return the whole family, taken to a target."""
    del installed
    out = tmp_path_factory.mktemp("family") / "out"
    request = ConvertRequest(component="tiny", format="onnx", config="debug", out=out)
    return port(PortRequest(conversion=request, target="cpu"))


def arrays() -> dict[str, Array]:
    """Return a checkpoint of the whole model, with a tensor that no component reads."""
    random = np.random.default_rng(0)
    shapes = {"body/conv/kernel": (3, 3, 3, 4), "body/conv/bias": (4,), "classifier/kernel": (4, 3)}
    found: dict[str, Any] = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    return {**found, "optimizer/count": np.zeros(1, np.int32)}


def converted(component: str, out: Path, **fields: Any) -> Any:
    dialect = LOWERED[fields.pop("dialect", "onnx")]
    request = ConvertRequest(
        component=component, format=dialect.format, dialect=dialect.name, config="debug", out=out, **fields
    )
    return lwmport.convert(request)


@pytest.mark.usefixtures("installed")
def test_it_is_listed_with_the_package_that_brings_it() -> None:
    found = catalogue()
    assert found["components"]["tiny-body"] == "a picture to features"
    assert found["families"] == {**dict.fromkeys(OURS, "lwmport"), "tiny-classifier": "tiny-classifier"}
    assert parts_of("tiny", Options(static=True)) == ("tiny-body", "tiny-head")
    assert resolve("tiny").config == {"size": 32, "width": 8, "classes": 10}


def test_it_is_listed_without_jax() -> None:
    code = (
        "import sys; from lwmport.cli.listing import catalogue\n"
        "assert 'tiny-body' in catalogue()['components']\n"
        "assert 'tiny_classifier' in sys.modules and 'jax' not in sys.modules"
    )
    paths = os.pathsep.join((str(PACKAGE), str(ROOT)))
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": paths})


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("dialect", LOWERED)
def test_it_converts_in_every_dialect_and_passes(dialect: str, tmp_path: Path) -> None:
    component = "tiny-head" if dialect == "tf2onnx" else "tiny"  # each component there costs a process with TensorFlow
    made = converted(component, tmp_path / "out", dialect=dialect)
    assert made.status is Status.PASSED
    assert made.manifest.versions["tiny-classifier"] == "1.0"
    rules = [part.preflight for part in made.report.components if part.preflight is not None]
    assert all(found.status is Status.PASSED for found in rules)
    described = {part.validation.inputs for part in made.report.components}
    assert described <= {f"{before}photographs: astronaut, coffee, cat" for before in ("", "outputs of tiny-body for ")}


def test_it_is_ported_checked_and_validated_again(ported: PortOutcome) -> None:
    assert ported.status is Status.PASSED
    models = ported.out / "models"
    assert lwmport.validate(lwmport.ValidateRequest(artifact=models)).status is Status.PASSED
    assert verdict(check_artifacts(CheckRequest(artifact=models, target="cpu"))) is Status.PASSED


def test_its_bundle_says_what_surrounds_the_model_and_whose_work_it_is(ported: PortOutcome) -> None:
    with zipfile.ZipFile(next(ported.out.glob("*.zip"))) as archive:
        notice, table = (archive.read(name).decode() for name in ("NOTICE.txt", "spec.md"))
    assert "astronaut: Eileen Collins; NASA, public domain" in notice
    assert "LWM" not in notice
    assert "mean [0.485, 0.456, 0.406], deviation [0.229, 0.224, 0.225]" in table
    assert "one number for each class" in table
    assert "Two layers: float32 lowerings of them agree to 1e-6." in table


def test_a_bundle_is_verified_with_its_family_and_without(ported: PortOutcome, monkeypatch: pytest.MonkeyPatch) -> None:
    path = next(ported.out.glob("*.zip"))
    known = verify(VerifyRequest(path=path))
    assert (known.status, {one.reference for one in known.validations}) == (Status.PASSED, {"golden outputs"})
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder != str(PACKAGE)])
    unknown = verify(VerifyRequest(path=path))
    assert unknown.status is Status.PASSED
    words = "golden outputs, by the bundle's own tolerances: the family 'tiny-classifier' is not installed here"
    assert {one.reference for one in unknown.validations} == {words}
    shown = CliRunner().invoke(cli, ["verify", str(path)])
    assert (shown.exit_code, f", against {words}\n" in shown.output) == (0, True)


@pytest.mark.usefixtures("installed")
def test_a_component_takes_its_part_of_a_checkpoint_and_tells_what_is_left_over(tmp_path: Path) -> None:
    save_file(arrays(), tmp_path / "whole.safetensors")
    told: list[str] = []

    class Telling:
        def phase(self, text: str) -> None:
            told.append(text)

        def progress(self, *_: Any) -> None: ...

    request = ConvertRequest(
        component="tiny-head", format="onnx", config="debug", out=tmp_path / "out",
        checkpoint=str(tmp_path / "whole.safetensors"),
    )  # fmt: skip
    made = lwmport.convert(request, Telling())
    assert made.status is Status.PASSED
    assert made.manifest.weights["left_over"] == ["optimizer/count"]
    words = "of which 1 are left over: optimizer/count"
    assert words in made.report.weights.description
    assert any(text.startswith("checkpoint whole.safetensors") and words in text for text in told)
    kernel = lwmport.load(tmp_path / "out" / "tiny-head.onnx").run(features=np.eye(4, dtype=np.float32)[:1])["logits"]
    np.testing.assert_allclose(kernel, arrays()["classifier/kernel"][:1], rtol=1e-6)


@pytest.mark.usefixtures("installed")
def test_a_checkpoint_that_lacks_what_a_component_reads_is_refused(tmp_path: Path) -> None:
    save_file({name: array for name, array in arrays().items() if "conv" not in name}, tmp_path / "head.safetensors")
    with pytest.raises(CheckpointError, match=r"expected the 2 tensors of tiny-classifier, .* 2 missing: body/conv/"):
        converted("tiny-body", tmp_path / "out", checkpoint=str(tmp_path / "head.safetensors"))


@pytest.mark.usefixtures("installed")
def test_a_seeded_checkpoint_has_the_names_of_the_whole_and_the_same_numbers(tmp_path: Path) -> None:
    make(Recipe(component="tiny", config="debug"), tmp_path / "made")
    opened = open_checkpoint(tmp_path / "made")
    assert (opened.format, set(opened.specs)) == ("safetensors", set(arrays()) - {"optimizer/count"})
    seeded = converted("tiny-head", tmp_path / "seeded", validate=False)
    read = converted("tiny-head", tmp_path / "read", validate=False, checkpoint=str(tmp_path / "made"))
    files = [(made.out / "tiny-head.onnx").read_bytes() for made in (seeded, read)]
    assert files[0] == files[1]


@pytest.mark.usefixtures("installed")
def test_what_it_does_not_take_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LoweringError, match="for the format hf, found tiny-body"):
        lwmport.convert(ConvertRequest(component="tiny", format="hf", config="debug", out=tmp_path / "out"))
    with pytest.raises(UsageError, match=r"expected --sequence of llama, .* found --sequence 4 for tiny-head"):
        converted("tiny-head", tmp_path / "out", options=Options(sequence=4))
    with pytest.raises(UsageError, match=r"expected a configuration or .json file out of small, debug, found 'big'"):
        resolve("tiny", "big")
    with pytest.raises(ConfigError, match="expected int as size, found 'x'"):
        resolve("tiny", {"size": "x"})
    with pytest.raises(UsageError, match="found 'sise'; did you mean 'size'"):
        resolve("tiny", "debug", Options(settings=("sise=3",)))
    assert not list(tmp_path.iterdir())


RECORD = """from lwmport.models.spec import FamilySpec, PartSpec
PART = PartSpec(name='{part}', summary="", factory="x:y")
FAMILY = FamilySpec(name="visitor", components=(PART,), configs="x:y"{more})
"""

REFUSED = {
    "a component of ours": ("llama", "", "the component 'llama', which the family 'llama' has"),
    "a group of ours": ("vision-llama", "", "the component 'vision-llama', which the family 'llama' has"),
    "a name that ours has in manifests": (
        "new",
        ", aliases=('vision-llama',)",
        "the family 'vision-llama', which the family 'llama' has",
    ),
    "a component of another package": ("tiny-body", "", "'tiny-body', which the family 'tiny-classifier' has"),
    "a name that leads out of a folder": (
        "../new",
        "",
        "expected a name of letters, digits, '.', '_' and '-' as component, found '../new'",
    ),
    "an option that there is not": ("new', options=('layers',), prefix='", "", "found 'layers'; did you mean 'layer'?"),
    "stacks that nothing tells": ("new", ", sources='x:y'", "expected weights beside sources in the family visitor"),
    "components that are none": ("new", ", groups={'both': 3}", "TypeError: 'int' object is not iterable"),
}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("case", REFUSED)
def test_a_family_that_cannot_be_taken_costs_one_line(case: str, install_package: Callable[..., None]) -> None:
    part, more, words = REFUSED[case]
    record = RECORD.format(part=part, more=more)
    install_package("visitor", "visitor", record, specs.GROUP, {"visitor": "FAMILY"})
    listed = catalogue()["families"]
    assert list(listed) == [*OURS, "tiny-classifier", "visitor (left out)"]
    line = listed["visitor (left out)"]
    assert words in line
    assert resolve("vqgan", "debug").name == "vqgan"
    with pytest.raises(UsageError) as caught:
        resolve("something else")
    assert str(caught.value).endswith(f"; {line}")


@pytest.mark.parametrize("name", specs.FAMILIES)
def test_our_own_records_contradict_nothing(name: str) -> None:
    specs.check_record(specs.FAMILIES[name])


def test_every_option_that_only_some_take_is_taken_by_somebody() -> None:
    quantised = {"quantize", "group_size", "symmetric", "method", "keep", "recipe"}
    everybody = {"settings", "precision", "keep_float32", "static", "rounding", "packing", "store", *quantised}
    assert set(takers()) == {*Options.__dataclass_fields__} - everybody


def test_the_document_shows_the_package_to_the_letter() -> None:
    text = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")
    shown = re.findall(r"`([\w./]+)`:\n\n```\w+\n(.*?)```", text, re.DOTALL)
    assert [name for name, _ in shown] == ["tiny_classifier.py", "pyproject.toml"]
    for name, code in shown:
        assert code == (PACKAGE / name).read_text(encoding="utf-8")
    entry = (PACKAGE / "tiny_classifier-1.0.dist-info" / "entry_points.txt").read_text(encoding="utf-8")
    assert "tiny-classifier = tiny_classifier:FAMILY" in entry
    assert 'tiny-classifier = "tiny_classifier:FAMILY"' in shown[1][1]


def test_the_document_names_every_field_of_a_record() -> None:
    text = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")
    left_out = [name for record in (FamilySpec, PartSpec) for name in record.__dataclass_fields__
                if f"`{name}`" not in text]  # fmt: skip
    assert left_out == ["name", "name", "summary", "factory"]
