"""Draws as LWM's own scripts make them: JAX's random numbers, keys split in their order.

Sources: LWM's lwm/vision_generation.py and lwm/vision_llama.py; tux, jax_utils.py (JaxRNG).
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
        self._next = jax.random.split(jax.random.PRNGKey(seed))[1]
        self._key: Any = None

    def __call__(self, scores: Array, step: int) -> Array:
        """Return ids, int64 [rows], drawn by ``jax.random.categorical`` from scores float32 [rows, vocabulary].

        Step 0 begins another call of ``generate``.
        """
        if step == 0:
            rest, self._key = jax.random.split(self._next)
            self._next = jax.random.split(rest)[1]
        key, self._key = jax.random.split(self._key)
        return np.asarray(jax.random.categorical(key, scores, axis=-1), np.int64)
