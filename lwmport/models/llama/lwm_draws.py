"""Draws as LWM's own scripts make them: JAX's random numbers, keys split in their order.

LWM runs on JAX 0.4.29. JAX made other numbers of the same keys from 0.5 on, and keeps the old ones behind
``jax_threefry_partitionable``.

Sources: LWM's lwm/vision_generation.py and lwm/vision_llama.py; tux, jax_utils.py (JaxRNG); JAX's CHANGELOG.md (0.5.0).
"""

from typing import Any

import jax
import numpy as np

from lwmport.types import Array


class LwmDraws:
    """The draws of one run of a script of LWM's: one key for each call of its ``generate``, split once a token.

    Args:
        seed: what the script's ``--seed`` is (1234 unless told).
    """

    def __init__(self, seed: int) -> None:
        with jax.threefry_partitionable(new_val=False):
            self._next = jax.random.split(jax.random.PRNGKey(seed))[1]
        self._key: Any = None

    def __call__(self, scores: Array, step: int) -> Array:
        """Return ids, int64 [rows], drawn by ``jax.random.categorical`` from scores float32 [rows, vocabulary].

        Step 0 begins another call of ``generate``.
        """
        with jax.threefry_partitionable(new_val=False):
            if step == 0:
                rest, self._key = jax.random.split(self._next)
                self._next = jax.random.split(rest)[1]
            self._key, ids = _drawn(self._key, scores)
        return np.asarray(ids, np.int64)


@jax.jit
def _drawn(key: Any, scores: Any) -> tuple[Any, Any]:
    """Return the key of the next token, and ids [rows]."""
    now, following = jax.random.split(key)
    return following, jax.random.categorical(now, scores, axis=-1)
