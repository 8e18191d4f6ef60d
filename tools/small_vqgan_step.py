"""One step of training the VQGAN of the project: its loss, its codebook, and what is kept between steps.

The codebook is a moving average of the latents that chose each code (van den Oord et al., 2017, appendix A.1); a code
that hardly any latent chooses begins anew as a latent of the batch. The gradient passes the codebook straight through.
"""

from functools import partial
from typing import Any, Final
from unittest import mock

import flax.traverse_util
import jax
import jax.numpy as jnp
import optax

from lwmport.models.composites import basic
from lwmport.models.vqgan.config import VQGANConfig
from lwmport.models.vqgan.network import VQGAN

CONFIG: Final = VQGANConfig(
    resolution=128,
    hidden_channels=32,
    channel_mult=(2, 2),
    num_res_blocks=1,
    z_channels=16,
    num_embeddings=512,
    quantized_embed_dim=8,
)
"""64 channels at both sizes: with 32, a group of a normalisation is one channel, and no brightness passes the last one
of the encoder and of the decoder."""

RATES: Final = (2e-3, 5e-5)
"""Adam's learning rate after ``WARM_UP`` steps and at the end; a cosine between them."""

WARM_UP: Final = 50
PLAIN: Final = 0.15
"""Part of the steps at the front that train without the codebook."""

DECAY: Final = 0.99
LEAST_USE: Final = 0.05
"""Latents of a batch that choose a code, on a moving average; below that the code begins anew. The average is 1."""

ABSOLUTE: Final = 0.1
EDGES: Final = 0.05
COLOURS: Final = 2.0
"""Weights of the mean absolute error of pixels, of their differences to their neighbours, and of the squared error of
each picture's mean colour. Of squared errors of pixels it is 1."""

State = dict[str, Any]


MIRRORED: Final = {
    "encoder/DownsamplingBlock_0/Downsample_0/Conv_0/kernel": -1,
    "encoder/Conv_1/kernel": -2,
    "decoder/UpsamplingBlock_0/Upsample_0/Conv_0/kernel": -1,
    "decoder/Conv_1/kernel": -2,
}
"""Kernels before and behind a last normalisation -> the axis on which every second channel is minus the one before it.

A group is then a signal and its mirror image, whose mean is 0, and silu(x) - silu(-x) = x: what follows sees the signal
itself, brightness included (Balduzzi et al., 2017, "looks linear")."""


def initial(seed: int, steps: int) -> State:
    """Return what training begins with: residual blocks that are the identity or their shortcut, and `MIRRORED`."""
    params = jax.jit(VQGAN(CONFIG).init)(jax.random.key(seed), jnp.zeros((1, 32, 32, 3)))["params"]
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    zeroed = {
        name: value * 0 if "ResnetBlock" in name and name.endswith("Conv_1/kernel") else value
        for name, value in flat.items()
    }
    mirrored = {name: _mirrored(zeroed[name], axis) for name, axis in MIRRORED.items()}
    params = flax.traverse_util.unflatten_dict({**zeroed, **mirrored}, sep="/")
    return {
        "params": params,
        "optimizer": _optimizer(steps).init(params),
        "counts": jnp.ones(CONFIG.num_embeddings),
        "sums": jnp.zeros((CONFIG.num_embeddings, CONFIG.quantized_embed_dim)),
        "step": jnp.int32(0),
    }


def _mirrored(kernel: jax.Array, axis: int) -> jax.Array:
    half = jnp.moveaxis(kernel, axis, -1)[..., ::2]
    both = jnp.stack([half, -half], axis=-1).reshape(*half.shape[:-1], -1)
    return jnp.moveaxis(both, -1, axis)


def codebook(state: State) -> Any:
    """Return the codes [codes, dimension]."""
    return state["sums"] / state["counts"][:, None]


def differentiable() -> Any:
    """Return a context in which the network computes the same values by functions that JAX can differentiate.

    It cannot differentiate composites.
    """
    return mock.patch.multiple(basic, group_norm=_group_norm, silu=jax.nn.silu, upsample_nearest=_upsample_nearest)


@partial(jax.jit, static_argnames="steps")
def step(state: State, pictures: jax.Array, steps: int) -> tuple[State, jax.Array]:
    """Return the next state, and the mean squared error of the reconstructed pictures [b, h, w, 3]."""
    quantize = (state["step"] >= PLAIN * steps).astype(jnp.float32)
    (_, (error, z, index)), gradient = jax.value_and_grad(_loss, has_aux=True)(
        state["params"], codebook(state), pictures, quantize
    )
    updates, optimizer = _optimizer(steps).update(gradient, state["optimizer"])
    counts, sums = _moved(state, z.reshape(-1, z.shape[-1]), index, quantize)
    made = {
        "params": optax.apply_updates(state["params"], updates),
        "optimizer": optimizer,
        "counts": counts,
        "sums": sums,
        "step": state["step"] + 1,
    }
    return made, error


@jax.jit
def rebuilt(state: State, pictures: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return reconstructed pictures [b, h, w, 3], and the codes [n] that they are made of."""
    codes, z = codebook(state), _latents(state["params"], pictures)
    index = _nearest(codes, z)
    return jnp.clip(_decoded(state["params"], codes[index].reshape(z.shape)), -1, 1), index


def _loss(params: Any, codes: jax.Array, pictures: jax.Array, quantize: jax.Array) -> tuple[jax.Array, Any]:
    z = _latents(params, pictures)
    index = _nearest(codes, jax.lax.stop_gradient(z))
    chosen = codes[index].reshape(z.shape)
    made = _decoded(params, z + quantize * jax.lax.stop_gradient(chosen - z))
    slopes = sum(jnp.abs(one - other).mean() for one, other in zip(_slopes(made), _slopes(pictures), strict=True))
    error = jnp.square(made - pictures).mean()
    colours = jnp.square((made - pictures).mean((1, 2))).mean()
    commitment = quantize * jnp.square(z - jax.lax.stop_gradient(chosen)).mean()
    shape = ABSOLUTE * jnp.abs(made - pictures).mean() + EDGES * slopes + COLOURS * colours
    return error + shape + CONFIG.commitment_cost * commitment, (error, z, index)


def _moved(state: State, z: jax.Array, index: jax.Array, quantize: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the averages of the codebook after latents z [n, d] chose codes [n]."""
    codes = CONFIG.num_embeddings
    chosen = jax.nn.one_hot(index, codes) * (codes / len(z))
    counts = DECAY * state["counts"] + (1 - DECAY) * chosen.sum(0)
    sums = DECAY * state["sums"] + (1 - DECAY) * (chosen.T @ z)
    key = jax.random.fold_in(jax.random.key(1), state["step"])
    fresh = z[jax.random.choice(key, len(z), (codes,), replace=len(z) < codes)]
    dead = (counts < LEAST_USE) | (quantize == 0)
    return jnp.where(dead, 1.0, counts), jnp.where(dead[:, None], fresh, sums)


def _optimizer(steps: int) -> optax.GradientTransformation:
    most, least = RATES
    rate = optax.warmup_cosine_decay_schedule(0, most, WARM_UP, steps, least)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate, b2=0.99))


def _latents(params: Any, pictures: jax.Array) -> Any:
    return VQGAN(CONFIG).apply({"params": params}, pictures, method=VQGAN.latents)


def _decoded(params: Any, states: jax.Array) -> Any:
    def run(network: VQGAN, states: jax.Array) -> Any:
        return network.decoder(network.post_quant_conv(states))

    return VQGAN(CONFIG).apply({"params": params}, states, method=run)


def _nearest(codes: jax.Array, z: jax.Array) -> jax.Array:
    return jnp.argmin((codes**2).sum(1) - 2 * z.reshape(-1, z.shape[-1]) @ codes.T, axis=1)


def _slopes(pictures: jax.Array) -> tuple[jax.Array, jax.Array]:
    return pictures[:, 1:] - pictures[:, :-1], pictures[:, :, 1:] - pictures[:, :, :-1]


def _group_norm(x: jax.Array, scale: jax.Array, bias: jax.Array, *, groups: int, epsilon: float) -> jax.Array:
    """Return `basic.group_norm`; means are taken a channel at a time, which XLA does faster on a CPU."""
    channels = x.shape[-1]

    def means(values: jax.Array) -> jax.Array:
        return jnp.repeat(values.mean((1, 2)).reshape(len(x), groups, -1).mean(-1), channels // groups, axis=-1)

    mean = means(x)
    factor = jax.lax.rsqrt(jnp.maximum(means(x * x) - mean * mean, 0.0) + epsilon) * scale
    return x * factor[:, None, None] + (bias - mean * factor)[:, None, None]


def _upsample_nearest(x: jax.Array, *, factor: int) -> jax.Array:
    return x.repeat(factor, 1).repeat(factor, 2)
