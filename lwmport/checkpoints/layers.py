"""The tensors that a model reads, out of a checkpoint that holds them stacked or in another dtype."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from lwmport.checkpoints.fit import is_floating
from lwmport.checkpoints.lazy.layers import Part
from lwmport.checkpoints.lazy.layouts import Cast
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.checkpoints.streaming import pieces_of
from lwmport.errors import CheckpointError
from lwmport.types import Array, Weights, WeightSpec


@runtime_checkable
class Digested(Protocol):
    """Weights that know their SHA-256: a checkpoint, or seeded ones."""

    def digest(self) -> str:
        """Return the hexadecimal SHA-256 of what decides every number."""


class LazyWeights:
    """Weights (`lwmport.types.Weights`) made of lazy tensors; what was asked for is let go, nothing is kept."""

    def __init__(self, tensors: Mapping[str, Lazy], source: Mapping[str, Any], digest: Callable[[], str]) -> None:
        self.source = source
        self.digest = digest
        self._tensors = dict(tensors)
        self._specs = MappingProxyType({name: tensor.spec for name, tensor in self._tensors.items()})

    @property
    def specs(self) -> Mapping[str, WeightSpec]:
        """Shape and dtype of every tensor."""
        return self._specs

    def lazy(self, name: str) -> Lazy:
        """Return one tensor as what can be read in parts.

        Raises:
            CheckpointError: no such tensor.
        """
        if name not in self._tensors:
            raise CheckpointError(f"expected one of {len(self._tensors)} tensors, found {name!r}")
        return self._tensors[name]

    def read(self, name: str) -> Array:
        """Return one tensor, read-only; mapped where the file holds these very values.

        Raises:
            CheckpointError: no such tensor, it cannot be read, or a value does not fit the dtype.
        """
        return self.lazy(name).read()

    def pieces(self, name: str) -> Iterator[Array]:
        """Yield the values of one tensor in C order, as 1-D arrays of a few MiB: a writer need not hold it.

        Raises:
            CheckpointError: no such tensor, it cannot be read, or a value does not fit the dtype.
        """
        return self.lazy(name).pieces()


class LayeredWeights(LazyWeights):
    """The tensors ``specs`` of a checkpoint, layers sliced out of stacked tensors and dtypes cast, one at a time.

    Args:
        checkpoint: where they lie.
        specs: name -> shape and dtype wanted.
        sources: name in the checkpoint -> (tensor, axis, layer) there, for those that are a layer of a stacked tensor.
        located: name -> name in the checkpoint, where that is another one.

    Raises:
        CheckpointError: the checkpoint lacks one, or holds it in another shape or a dtype that is not cast.
    """

    def __init__(
        self,
        checkpoint: Weights,
        specs: Mapping[str, WeightSpec],
        sources: Mapping[str, tuple[str, int, int]],
        located: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        there = {name: located.get(name, name) for name in specs}
        tensors = {
            name: _wanted(checkpoint, there[name], spec, sources.get(there[name])) for name, spec in specs.items()
        }
        super().__init__(tensors, checkpoint.source, lambda: digest_of(checkpoint))


def lazy_tensor(weights: Weights, name: str) -> Lazy:
    """Return one tensor of any weights as what can be read in parts; some can only be read whole.

    Raises:
        CheckpointError: no such tensor.
    """
    if hasattr(weights, "lazy"):
        lazy: Lazy = weights.lazy(name)
        return lazy
    if name not in weights.specs:
        raise CheckpointError(f"expected one of {len(weights.specs)} tensors, found {name!r}")
    return _Whole(weights, name)


def digest_of(weights: Weights) -> str:
    """Return the SHA-256 of what decides every number of some weights.

    Raises:
        CheckpointError: they do not know it.
    """
    if not isinstance(weights, Digested):
        raise CheckpointError(f"expected weights with a digest, found {weights.source['description']}")
    return weights.digest()


class _Whole(Lazy):
    """A tensor of weights that give whole tensors only."""

    def __init__(self, weights: Weights, name: str) -> None:
        super().__init__(weights.specs[name])
        self._weights, self._name = weights, name

    def rows(self, begin: int, end: int) -> Array:
        array = self.read()
        return array[begin:end] if self.spec.shape else array.reshape(1)

    def pieces(self) -> Iterator[Array]:
        return pieces_of(self._weights, self._name)

    def read(self) -> Array:
        return self._weights.read(self._name)


def _wanted(checkpoint: Weights, name: str, spec: WeightSpec, source: tuple[str, int, int] | None) -> Lazy:
    found = lazy_tensor(checkpoint, name) if source is None else _layer(checkpoint, name, source)
    if found.spec.shape != spec.shape:
        raise CheckpointError(f"{name}: expected the shape {spec.shape}, found {found.spec.shape} in the checkpoint")
    return as_dtype(found, spec.dtype, name)


def _layer(checkpoint: Weights, name: str, source: tuple[str, int, int]) -> Lazy:
    tensor, axis, layer = source
    try:
        return Part(lazy_tensor(checkpoint, tensor), axis, layer)
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {tensor}: {error}") from error


def as_dtype(tensor: Lazy, dtype: str, name: str) -> Lazy:
    """Return a tensor in a floating dtype, itself if it is in that already.

    Raises:
        CheckpointError: one of the two dtypes is not floating.
    """
    if tensor.spec.dtype == dtype:
        return tensor
    if not is_floating(tensor.spec.dtype) or not is_floating(dtype):
        raise CheckpointError(f"{name}: expected {dtype}, found {tensor.spec.dtype}, which is not cast to it")
    return Cast(tensor, dtype, name)
