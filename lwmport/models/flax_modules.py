"""Modules of flax as functions of flat weights: names are paths, as in a checkpoint (``encoder/Conv_0/kernel``)."""

from collections.abc import Mapping
from typing import Any

import flax.traverse_util
import jax
from flax import linen as nn

from lwmport.types import WeightSpec


def module_weights(module: nn.Module, shape: tuple[int, ...]) -> dict[str, WeightSpec]:
    """Return the shape and dtype of every weight of a module by name, for a float32 input of a shape.

    Nothing is allocated.
    """
    tree = jax.eval_shape(module.init, jax.random.key(0), jax.ShapeDtypeStruct(shape, "float32"))["params"]
    flat = flax.traverse_util.flatten_dict(tree, sep="/")
    return {name: WeightSpec(shape=leaf.shape, dtype=str(leaf.dtype)) for name, leaf in sorted(flat.items())}


def run_module(module: nn.Module, weights: Mapping[str, Any], method: Any, value: Any) -> Any:
    """Return what a method of a module gives for an input."""
    params = flax.traverse_util.unflatten_dict(dict(weights), sep="/")
    return module.apply({"params": params}, value, method=method)
