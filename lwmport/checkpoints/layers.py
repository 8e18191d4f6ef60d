"""The weights of one component: layers cut out of stacked tensors, in the dtypes that the component takes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lwmport.errors import CheckpointError
from lwmport.types import Array, Weights, WeightSpec, dtype_of


class LayeredWeights:
    """Weights (`lwmport.types.Weights`) read out of others, a tensor at a time.

    Args:
        weights: where the tensors come from.
        specs: name, shape and dtype of every tensor wanted.
        sources: name -> (tensor, axis, layer) for those that are one layer of a stacked tensor.
    """

    def __init__(
        self, weights: Weights, specs: Mapping[str, WeightSpec], sources: Mapping[str, tuple[str, int, int]]
    ) -> None:
        self._weights = weights
        self._specs = dict(specs)
        self._sources = dict(sources)

    @property
    def specs(self) -> Mapping[str, WeightSpec]:
        """Shape and dtype of every tensor."""
        return self._specs

    @property
    def source(self) -> Mapping[str, Any]:
        """Where the weights come from."""
        return self._weights.source

    def read(self, name: str) -> Array:
        """Return one tensor in the shape and dtype of its specification.

        Raises:
            CheckpointError: no such tensor, or it is too large for the dtype.
        """
        if name not in self._specs:
            raise CheckpointError(f"expected one of {len(self._specs)} tensors, found {name!r}")
        tensor, axis, layer = self._sources.get(name, (name, 0, -1))
        array = self._weights.read(tensor)
        array = array if layer < 0 else np.take(array, layer, axis=axis)
        return array.astype(dtype_of(self._specs[name].dtype), copy=False)
