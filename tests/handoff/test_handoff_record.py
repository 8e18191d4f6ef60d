"""The records of a bundle: sealed, read back strictly, and never believed when changed."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lwmport import plain
from lwmport.errors import ArtifactError
from lwmport.handoff import record
from lwmport.handoff.processing import prepared, processing_of
from lwmport.handoff.record import Bundle, Spec
from lwmport.manifest import FileEntry
from lwmport.models.families import resolve
from lwmport.models.llama.family import FAMILY as LLAMA
from lwmport.models.options import Options
from lwmport.models.spec import FamilySpec
from lwmport.types import Kind, Normalisation, Preprocessing, Signature, TensorSpec
from lwmport.validators.pictures import scaled

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


NOTHING_TOLD = FamilySpec(name="x", components=())


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
    found = processing_of(
        Signature(inputs=(pixels, codes), outputs=(pixels, codes)), FamilySpec(name="x", components=())
    )
    assert set(found) == {"inputs/pixels", "inputs/codes", "outputs/pixels"}
    scaling = found["inputs/pixels"].scaling
    assert scaling is not None
    assert [(value - scaling.mean) * scaling.scale for value in (0, 255)] == pytest.approx([-1, 1])
    assert scaling.channels == "RGB"
    assert any("short side is 32" in step for step in found["inputs/pixels"].steps)
    assert found["inputs/codes"].steps == ("integers from 0 to 63",)


def test_a_picture_may_have_a_mean_and_a_deviation_for_each_channel() -> None:
    how = Normalisation(mean=(0.5, 0.25, 0.0), deviation=(0.5, 0.25, 1.0))
    pixels = TensorSpec(
        name="pixels", shape=("batch", 3, 16, 24), dtype="float32", kind=Kind.PICTURE, layout="NCHW",
        value_range=how.value_range,
    )  # fmt: skip
    family = replace(NOTHING_TOLD, preprocessing={"pixels": Preprocessing(normalisation=how)})
    found = processing_of(Signature(inputs=(pixels,), outputs=()), family)["inputs/pixels"]
    assert (found.scaling, found.normalisation) == (None, how)
    assert how.value_range == (-1.0, 3.0)
    assert "covers 16 x 24 (height x width)" in found.steps[1]
    assert "mean [0.5, 0.25, 0], deviation [0.5, 0.25, 1]" in found.steps[2]
    assert prepared(Signature(inputs=(pixels,), outputs=(pixels,)), family.preprocessing) == {
        "pixels": "; ".join(found.steps)
    }
    white = np.full((1, 16, 24, 3), 255, np.float32)
    assert np.array_equal(scaled(white, pixels, how)[0, :, 0, 0], [1, 3, 1])
    assert scaled(white, pixels, how).shape == (1, 3, 16, 24)


def test_every_tensor_of_a_language_model_says_what_it_is_outside() -> None:
    signatures = [part.signature for name in ("llama-block", "llama", "llama-embed", "llama-head", "vision-llama")
                  for part in resolve(name, "debug").components]  # fmt: skip
    for signature in signatures:
        found = processing_of(signature, LLAMA)
        for spec in signature.inputs:
            assert found[f"inputs/{spec.name}"].steps, spec.name
        for spec in signature.outputs:
            assert found[f"outputs/{spec.name}"].steps, spec.name
    masks = processing_of(signatures[0], LLAMA)["inputs/attention_mask"].steps
    assert masks[0] == "integers from 0 to 1"
    assert "padding" in masks[1]


@pytest.mark.parametrize(("static", "axis", "first"), [(False, "tokens", "no tokens"), (True, "slots", "zeros")])
def test_a_cache_says_where_it_comes_from_and_where_it_goes(axis: str, first: str, *, static: bool) -> None:
    decode = resolve("llama", "debug", Options(static=static)).components[-1]
    found = processing_of(decode.signature, LLAMA)
    axes = f"axes [batch, heads, {axis}, head size]"
    words = f"{axes}: {first} before the first run, then present.0.key of the run before"
    assert found["inputs/past_key_values.0.key"].steps == (words,)
    assert found["outputs/present.0.key"].steps[0].endswith("to give to the next run as past_key_values.0.key")
