"""The records of a bundle: sealed, read back strictly, and never believed when changed."""

import json
from typing import Any

import pytest

from lwmport import plain
from lwmport.errors import ArtifactError
from lwmport.handoff import record
from lwmport.handoff.processing import processing_of
from lwmport.handoff.record import Bundle, Spec
from lwmport.manifest import FileEntry
from lwmport.models.families import resolve
from lwmport.types import Kind, Signature, TensorSpec

BUNDLE = Bundle(
    format=record.FORMAT,
    lwmport="1",
    target="cpu",
    manifest_sha256="0" * 64,
    files=(FileEntry(name="a", bytes=1, sha256="1" * 64),),
)


def test_a_seal_comes_back() -> None:
    assert record.unseal(record.seal(BUNDLE), "here") == BUNDLE


def changed(**values: Any) -> bytes:
    return record.text({**json.loads(record.seal(BUNDLE)), **values})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (changed(target="npu"), "seal broken"),
        (changed(seal="0" * 64), "seal broken"),
        (changed(more=1), "unknown"),
        (changed(format="lwmport-bundle/2"), "expected the format"),
        (record.seal(BUNDLE).replace(b"\n", b"\r\n"), "seal broken"),
        (b"[]", "expected an object"),
        (b"\xff", "expected JSON"),
        (b"[" * 100000, "expected JSON"),
    ],
    ids=["value", "seal", "field", "format", "spaces", "list", "bytes", "depth"],
)
def test_what_was_changed_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason):
        record.unseal(content, "here")


SPEC = Spec(format=record.SPEC_FORMAT, target="cpu", reference="JAX", weights="seeded", components=())


def test_a_spec_comes_back() -> None:
    assert record.read_spec(record.text(plain.encode(SPEC)), "here") == SPEC


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({**plain.encode(SPEC), "format": "lwmport-spec/0"}, f"here: expected the format {record.SPEC_FORMAT}, found"),
        ({**plain.encode(SPEC), "components": [1]}, r"here\.components\[0\]: expected an object, found 1"),
        ({}, "here: expected the fields of Spec, found .missing"),
    ],
    ids=["format", "component", "nothing"],
)
def test_a_spec_that_is_not_as_it_was_written_is_refused(value: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason):
        record.read_spec(record.text(value), "here")


def test_pictures_are_prepared_as_lwm_does() -> None:
    pixels = TensorSpec(
        name="pixels",
        shape=(1, 32, 32, 3),
        dtype="float32",
        kind=Kind.PICTURE,
        layout="NHWC",
        value_range=(-1.0, 1.0),
    )
    codes = TensorSpec(name="codes", shape=(1, 4), dtype="int32", kind=Kind.INDICES, value_range=(0, 63))
    found = processing_of(Signature(inputs=(pixels, codes), outputs=(pixels, codes)))
    assert set(found) == {"inputs/pixels", "inputs/codes", "outputs/pixels"}
    scaling = found["inputs/pixels"].scaling
    assert scaling is not None
    assert [(value - scaling.mean) * scaling.scale for value in (0, 255)] == pytest.approx([-1, 1])
    assert scaling.channels == "RGB"
    assert any("short side is 32" in step for step in found["inputs/pixels"].steps)
    assert found["inputs/codes"].steps == ("integers from 0 to 63",)


def test_every_tensor_of_a_language_model_says_what_it_is_outside() -> None:
    signatures = [part.signature for name in ("llama-block", "llama", "llama-embed", "llama-head", "vision-llama")
                  for part in resolve(name, "debug").components]  # fmt: skip
    for signature in signatures:
        found = processing_of(signature)
        for spec in signature.inputs:
            assert found[f"inputs/{spec.name}"].steps, spec.name
        for spec in signature.outputs:
            assert found[f"outputs/{spec.name}"].steps, spec.name
    masks = processing_of(signatures[0])["inputs/attention_mask"].steps
    assert masks[0] == "integers from 0 to 1"
    assert "padding" in masks[1]
