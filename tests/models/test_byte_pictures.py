"""A component that takes bytes computes what it computes of the numbers that Pillow's path makes of them."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import jax.numpy as jnp
import numpy as np
import pytest

from lwmport.errors import UnusedOptionError
from lwmport.models.byte_pictures import steps_of, with_byte_pictures
from lwmport.models.families import resolve, takers
from lwmport.models.options import Options
from lwmport.models.spec import FamilySpec
from lwmport.models.vqgan.family import FAMILY as VQGAN
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.unused_options import check_unused
from lwmport.types import Component, Kind, Normalisation, Preprocessing, Signature, TensorSpec
from lwmport.validators.pictures import pixels, scaled

CLIP: Final = Preprocessing(
    normalisation=Normalisation(
        mean=(0.48145466, 0.4578275, 0.40821073), deviation=(0.26862954, 0.26130258, 0.27577711)
    )
)
BYTES: Final = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 16, 16, 3)
"""A picture with every byte in each channel."""

BOUNDS: Final = {
    "CLIP": (CLIP, 4e-7),
    "VQGAN": (VQGAN.preprocessing["pixel_values"], 1e-7),
    "a range": (Preprocessing(), 1e-7),
}
"""What docs/preprocessing.md promises of every byte."""


def echo(layout: str, family: str = "echo") -> Component:
    """Return a component that gives its picture back."""
    shape = tuple({"N": "batch", "H": 16, "W": 16, "C": 3}[axis] for axis in layout)
    spec = TensorSpec(name="x", shape=shape, dtype="float32", kind=Kind.PICTURE, layout=layout, value_range=(-1.0, 1.0))
    return Component(
        name="echo",
        family=family,
        signature=Signature(inputs=(spec,), outputs=(replace(spec, name="y"),)),
        weights={},
        config={},
        apply=lambda _, inputs: {"y": inputs["x"]},
    )


def family(how: Preprocessing) -> FamilySpec:
    return FamilySpec(name="echo", components=(), preprocessing={"x": how})


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("name", BOUNDS)
def test_every_byte_is_within_the_stated_difference(name: str, layout: str) -> None:
    how, bound = BOUNDS[name]
    plain = echo(layout)
    made = with_byte_pictures(plain, family(how))
    (spec,) = made.signature.inputs
    assert (spec.shape, spec.dtype, spec.layout) == (("batch", 16, 16, 3), "uint8", "NHWC")
    found = np.asarray(made.apply({}, {"x": jnp.asarray(BYTES)})["y"])
    expected = scaled(BYTES.astype(np.float32), plain.signature.inputs[0], how.normalisation)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


def test_the_numbers_are_told() -> None:
    (spec,) = with_byte_pictures(echo("NCHW"), family(CLIP)).signature.inputs
    assert "(byte - shift) * scale, shift 122.770" in spec.description
    shift, scale = steps_of(spec, CLIP)
    assert (shift.dtype, scale.dtype) == (np.float32, np.float32)


def test_lwms_own_numbers_are_kept_to_the_bit() -> None:
    """The family says mean and deviation 0.5; doubling is exact, so that it is LWM's value / 127.5 - 1."""
    picture = resolve("vqgan-encoder", "debug").references[0].signature.inputs[0]
    found = scaled(BYTES.astype(np.float32), picture, VQGAN.preprocessing["pixel_values"].normalisation)
    assert np.array_equal(found, BYTES.astype(np.float32) / np.float32(127.5) - np.float32(1))


def test_what_feeds_a_component_takes_bytes_too() -> None:
    encoder, decoder = resolve("vqgan", "debug", Options(with_preprocessing=True, precision="float16")).components
    assert encoder.signature.inputs[0].dtype == "uint8"
    assert decoder.signature == resolve("vqgan-decoder", "debug", Options(precision="float16")).components[0].signature
    assert decoder.feeder is not None
    assert decoder.feeder.signature.inputs == encoder.signature.inputs


def test_what_is_quantized_is_made_of_bytes() -> None:
    plain = resolve("vqgan-encoder", "debug").references[0]
    made = with_byte_pictures(plain, VQGAN)
    given = pixels(1, (32, 32))
    random = np.random.default_rng(0)
    weights = {name: random.normal(0, 0.05, spec.shape).astype(np.float32) for name, spec in plain.weights.items()}
    assert plain.quantizer is not None
    assert made.quantizer is not None
    expected = plain.quantizer.vectors(weights, {"pixel_values": jnp.asarray(given / 127.5 - 1)})
    found = made.quantizer.vectors(weights, {"pixel_values": jnp.asarray(given.astype(np.uint8))})
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("component", "form", "words"), [
    ("vqgan-decoder", "onnx", "--with-preprocessing of"),
    ("llama-head", "onnx", "--with-preprocessing of"),
])  # fmt: skip
def test_who_takes_no_picture_is_told(component: str, form: str, words: str, tmp_path: Path) -> None:
    request = ConvertRequest(
        component=component, format=form, out=tmp_path, config="debug", options=Options(with_preprocessing=True)
    )
    with pytest.raises(UnusedOptionError, match=words):
        check_unused(request, request.lowering)


def test_components_that_take_pictures_say_so() -> None:
    assert "vqgan-encoder" in takers()["with_preprocessing"]
