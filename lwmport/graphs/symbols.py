"""The sizes that a signature names, as JAX's symbolic dimensions: ``batch``, ``past + sequence``."""

from collections.abc import Mapping
from typing import Any

import jax

from lwmport.types import Signature


def sizes_of(signature: Signature, fixed: Mapping[str, int]) -> dict[str, Any]:
    """Return each size that a signature has as text -> its value: a number if it is fixed, else a symbolic dimension.

    All are expressions over one set of names, so that ``past + sequence`` is the sum of the other two. JAX takes every
    name as at least 1; that a cache may be empty is a matter of the operators that a program uses, which all allow it.
    """
    scope = jax.export.SymbolicScope()
    texts = dict.fromkeys(dim for spec in (*signature.inputs, *signature.outputs) for dim in spec.shape)
    found: dict[str, Any] = {}
    for text in texts:
        if isinstance(text, str):
            found[text] = fixed[text] if text in fixed else jax.export.symbolic_shape(text, scope=scope)[0]
    return found


def names_of(sizes: Mapping[str, Any]) -> dict[str, str]:
    """Return how JAX prints each symbolic size -> how the signature writes it."""
    return {str(size): text for text, size in sizes.items() if not isinstance(size, int)}
