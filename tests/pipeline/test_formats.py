"""What every format and dialect owes its user, whichever it is: parametrised over the table, so a new one is tested."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lwmport
from lwmport import manifest
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.converters import converter_for
from lwmport.converters.dialects import DIALECTS, dialect_for
from lwmport.errors import LoweringError, MissingExtraError, PortError
from lwmport.graphs.trace import trace
from lwmport.models.families import resolve
from lwmport.models.schemes import RANGES
from lwmport.types import Component, Signature, Status, TensorSpec

LOWERED = [dialect for dialect in DIALECTS.values() if dialect.lowered and dialect.rounding != RANGES]
"""All but those of whole folders and of quantised models alone, which have tests of their own."""

pytestmark = pytest.mark.parametrize("dialect", LOWERED, ids=lambda dialect: dialect.name)
HALVES = ("vqgan-encoder", "vqgan-decoder")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return ``made(dialect) -> outcome`` of the debug VQGAN, converted and validated once for all tests."""
    outcomes: dict[str, Any] = {}

    def convert(dialect: Any) -> Any:
        if dialect.name not in outcomes:
            out = tmp_path_factory.mktemp(dialect.name) / "out"
            outcomes[dialect.name] = lwmport.convert(_request(dialect, out, validate=True))
        return outcomes[dialect.name]

    return convert


def _request(dialect: Any, out: Path, *, validate: bool, component: str = "vqgan") -> lwmport.Request:
    request = lwmport.Request(
        component=component, format=dialect.format, dialect=dialect.name, out=out, config="debug", validate=validate
    )
    try:
        converter_for(dialect)
        _opened(dialect)
    except MissingExtraError as error:
        pytest.skip(str(error))
    return request


def _opened(dialect: Any) -> None:
    from lwmport import extras

    needed = {"saved_model": "tensorflow", "frozen_graph": "tensorflow", "tflite": "ai_edge_litert"}
    for module in {needed.get(dialect.format), "tf2onnx" if dialect.name == "tf2onnx" else None} - {None}:
        extras.require(str(module))


def test_every_output_is_within_tolerance(dialect: Any, made: Any) -> None:
    outcome = made(dialect)
    assert outcome.status is Status.PASSED, outcome.report.sentence
    judged = {section.validation.component for section in outcome.report.components}
    assert judged >= set(HALVES)


def test_the_signature_is_the_same_in_every_format(dialect: Any, made: Any) -> None:
    outcome = made(dialect)
    expected = {part.name: trace(part).signature for part in resolve("vqgan", "debug").components}
    assert {part.name: part.signature for part in outcome.manifest.components} == expected


def test_the_artifact_runs_by_the_names_of_its_signature(dialect: Any, made: Any) -> None:
    outcome = made(dialect)
    (decoder,) = (part for part in outcome.manifest.components if part.name == "vqgan-decoder")
    found = lwmport.load(outcome.out / decoder.path).run(codebook_indices=np.zeros((1, 16, 16), np.int32))
    assert {name: (array.shape, str(array.dtype)) for name, array in found.items()} == {
        "pixel_values": ((1, 32, 32, 3), "float32")
    }


def test_the_files_are_those_of_the_manifest_and_nothing_else(dialect: Any, made: Any) -> None:
    outcome = made(dialect)
    names = {file.name for part in manifest.read(outcome.out).components for file in part.files}
    found = {path.relative_to(outcome.out).as_posix() for path in outcome.out.rglob("*") if path.is_file()}
    ours = {name for name in found if name.startswith(("report.", "pictures/", "manifest.json"))}
    assert found - ours == names
    assert not manifest.changed_files(outcome.manifest.components, outcome.out)


def test_what_it_cannot_hold_is_refused_by_name_and_leaves_nothing(dialect: Any, tmp_path: Path) -> None:
    _request(dialect, tmp_path, validate=False)
    if dialect.name == "xla":
        pytest.skip("XLA holds whatever JAX can trace")
    spec = TensorSpec(name="x", shape=("batch", 8), dtype="float32")
    component = Component(
        name="odd",
        family="odd",
        signature=Signature(inputs=(spec,), outputs=(replace(spec, name="y"),)),
        weights={},
        config={},
        apply=lambda _, inputs: {"y": _sorted(inputs["x"])},
    )
    program = trace(component)
    with pytest.raises(LoweringError, match="sort"):
        converter_for(dialect)(
            program, SeededWeights({}, 0), dialect_for(dialect.format, dialect.name), tmp_path, lambda *_: None
        )
    assert not list(tmp_path.iterdir())


def _sorted(x: Any) -> Any:
    import jax

    return jax.lax.sort(x)


def test_the_same_request_gives_the_same_bytes_and_a_failure_at_the_last_moment_leaves_none(
    dialect: Any, made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One conversion shows both: it fails when all is written and digested but the manifest."""
    first = {part.name: part.files for part in made(dialect).manifest.components}
    request = _request(dialect, tmp_path / "out", validate=False, component="vqgan-decoder")
    again: list[manifest.Manifest] = []

    def full(found: manifest.Manifest, folder: Path) -> None:
        again.append(found)
        assert not manifest.changed_files(found.components, folder)
        raise PortError("cannot write: No space left on device")

    monkeypatch.setattr(manifest, "write", full)
    with pytest.raises(PortError, match="No space left"):
        lwmport.convert(request)
    assert not list(tmp_path.iterdir())
    ((decoder,),) = (found.components for found in again)
    assert decoder.files == first["vqgan-decoder"]
