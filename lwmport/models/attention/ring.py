"""Ring attention over a device mesh: each rank keeps its queries, and keys and values travel round the ring.

Source: Liu, Zaharia and Abbeel, "Ring Attention with Blockwise Transformers", arXiv:2310.01889, algorithm 1. The mesh
has LWM's four axes; ``sp`` is the ring, ``dp`` and ``fsdp`` share out the batch, ``tp`` the heads.
"""

import math
from typing import Any, Final

import jax
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from lwmport.errors import ConfigError
from lwmport.models.attention.blocks import AttentionPlan, Slice, result
from lwmport.models.attention.causal import as_float32, attend, check_ring, scaled

AXES: Final = ("dp", "fsdp", "tp", "sp")
RING: Final = "sp"
_HEADS: Final = P(("dp", "fsdp"), "tp", RING, None)
_TOKENS: Final = P(("dp", "fsdp"), RING)


def device_mesh(mesh_dim: str) -> Mesh:
    """Return a mesh of LWM's notation: four sizes in the order of `AXES`, or ``name:size`` each; one may be -1.

    A leading ``!`` (do not rearrange the devices) is accepted; devices are taken in their own order anyway.

    Raises:
        ConfigError: not such a text, or sizes that do not add up to the devices here.
    """
    devices = jax.devices()
    sizes = _sizes(mesh_dim)
    known = math.prod(size for size in sizes if size > 0)
    if -1 in sizes:
        sizes = [len(devices) // known if size == -1 else size for size in sizes]
    if math.prod(sizes) != len(devices):
        raise ConfigError(f"expected a mesh of all {len(devices)} devices as mesh_dim, found {mesh_dim!r}")
    return Mesh(np.array(devices).reshape(sizes), AXES)


def _sizes(mesh_dim: str) -> list[int]:
    parts = [part.strip() for part in mesh_dim.removeprefix("!").split(",")]
    named = dict(part.split(":", 1) for part in parts if ":" in part)
    texts = [named.get(axis, "") for axis in AXES] if named else parts
    whole = all(text == "-1" or (text.isdecimal() and int(text) > 0) for text in texts)
    if len(parts) != len(AXES) or len(texts) != len(AXES) or not whole or texts.count("-1") > 1:
        raise ConfigError(f"expected {','.join(AXES)} as four sizes, one of them -1 at most, found {mesh_dim!r}")
    return [int(text) for text in texts]


def ring_attention(
    heads: tuple[jax.Array, jax.Array, jax.Array],
    mask: jax.Array,
    plan: AttentionPlan,
    mesh: Mesh,
    segments: Any = None,
) -> jax.Array:
    """Return the causal attention [b, h, s, d] of rotated queries, keys and values, computed by a ring.

    Args:
        heads: queries [b, h, s, d], keys and values [b, n, s, d], n a divisor of h.
        mask: [b, s], 0 where a token is padding.
        plan: how a rank attends to the keys that it holds.
        mesh: its axis ``sp`` is the ring.
        segments: [b, s] numbers of packed sequences, or None.

    Raises:
        UsageError: the ring does not divide the tokens.
    """
    check_ring(heads[0].shape[2], heads[1].shape[2], mesh.shape[RING])

    def one_rank(heads: Any, mask: Any, segments: Any) -> jax.Array:
        return _one_rank(heads, mask, segments, plan)

    specs = ((_HEADS,) * 3, _TOKENS, None if segments is None else _TOKENS)
    # The carry of a loop starts equal on all ranks and ends different, which the check of replication refuses.
    shared = jax.shard_map(one_rank, mesh=mesh, in_specs=specs, out_specs=_HEADS, check_vma=False)
    return shared(heads, mask, segments)


def _one_rank(heads: Any, mask: Any, segments: Any, plan: AttentionPlan) -> jax.Array:
    """Return what one rank computes: it attends to what it holds and passes that on, once for each rank."""
    query, key, value = heads
    ranks, rank, size = jax.lax.axis_size(RING), jax.lax.axis_index(RING), query.shape[2]
    queries = Slice((scaled(query),), segments=segments, offset=rank * size)
    held, state = ((as_float32(key), as_float32(value)), mask, segments), None
    for step in range(ranks):
        if step:
            held = jax.lax.ppermute(held, RING, [(source, (source + 1) % ranks) for source in range(ranks)])
        keys = Slice(*held, (rank - step) % ranks * size)
        state = attend(queries, keys, state, plan)
    if state is None:
        raise AssertionError("a ring has one rank at least")
    return result(state).astype(query.dtype)
