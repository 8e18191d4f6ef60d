"""The components of the VQGAN: its two halves, each with its signature."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from lwmport.models.flax_modules import module_weights, run_module
from lwmport.models.vqgan.config import VQGANConfig
from lwmport.models.vqgan.network import VQGAN
from lwmport.types import Component, Kind, Quantizer, Signature, TensorSpec, WeightSpec

PIXEL_RANGE: Final = (-1.0, 1.0)

ENCODER_ROUNDS: Final = (
    "encoder/DownsamplingBlock_[1-9]*/ResnetBlock_*/Conv_0/kernel",
    "encoder/MidBlock_*/ResnetBlock_*/Conv_0/kernel",
)
"""The convolutions that may be of integers: the first of each residual block but those of the first level.

On a small trained VQGAN (tests/data/trained_vqgan) these three of twelve leave 98.5 % of the codes of three photographs
that it has never seen. Each of the others alone costs as much as all three or more, for what it gives goes on to all
that follows, and all twelve leave 85 % (benchmarks/int8_vqgan.py --sensitivity).
"""


@cache
def vqgan_weights(config: VQGANConfig) -> dict[str, WeightSpec]:
    """Return the shape and dtype of every weight of a VQGAN, by checkpoint name; nothing is allocated."""
    return module_weights(VQGAN(config), (1, config.resolution, config.resolution, config.num_channels))


def vqgan_encoder(config: VQGANConfig) -> Component:
    """Return the encoder: pixels in, codebook indices and quantized states out."""
    side = config.codes_per_side

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        states, indices = _run(config, weights, VQGAN.encode, inputs["pixel_values"])
        return {"codebook_indices": indices, "quantized_states": states}

    def latents(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
        return _run(config, weights, VQGAN.latents, inputs["pixel_values"])

    states = TensorSpec(
        name="quantized_states",
        shape=("batch", side, side, config.quantized_embed_dim),
        dtype="float32",
        layout="NHWC",
        description="the nearest code of each position, z + (e - z)",
    )
    codebook = "quantize/embeddings"
    return Component(
        name="vqgan-encoder",
        family="vqgan",
        signature=Signature(inputs=(_pixels(config),), outputs=(_indices(config), states)),
        weights=_part(config, ("encoder/", "quant_conv/", "quantize/")),
        config=config.to_json(),
        apply=apply,
        quantizer=Quantizer(indices="codebook_indices", states="quantized_states", codebook=codebook, vectors=latents),
        kept=frozenset({codebook}),  # which code is the nearest is decided in float32
        rounds=ENCODER_ROUNDS,
    )


def vqgan_decoder(config: VQGANConfig) -> Component:
    """Return the decoder: codebook indices in, pixels out."""

    def apply(weights: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {"pixel_values": _run(config, weights, VQGAN.decode, inputs["codebook_indices"])}

    return Component(
        name="vqgan-decoder",
        family="vqgan",
        signature=Signature(inputs=(_indices(config),), outputs=(_pixels(config),)),
        weights=_part(config, ("decoder/", "post_quant_conv/", "quantize/")),
        config=config.to_json(),
        apply=apply,
        feeder=vqgan_encoder(config),
        rounds=("*",),
    )


def _part(config: VQGANConfig, prefixes: tuple[str, ...]) -> dict[str, WeightSpec]:
    return {path: spec for path, spec in vqgan_weights(config).items() if path.startswith(prefixes)}


def _run(config: VQGANConfig, weights: Mapping[str, Any], method: Any, value: Any) -> Any:
    return run_module(VQGAN(config), weights, method, value)


def _pixels(config: VQGANConfig) -> TensorSpec:
    return TensorSpec(
        name="pixel_values",
        shape=("batch", config.resolution, config.resolution, config.num_channels),
        dtype="float32",
        kind=Kind.PICTURE,
        layout="NHWC",
        value_range=PIXEL_RANGE,
        description="pixels, value / 127.5 - 1",
    )


def _indices(config: VQGANConfig) -> TensorSpec:
    return TensorSpec(
        name="codebook_indices",
        shape=("batch", config.codes_per_side, config.codes_per_side),
        dtype="int32",
        kind=Kind.INDICES,
        layout="NHW",
        value_range=(0, config.num_embeddings - 1),
        description="rows of the codebook",
    )
