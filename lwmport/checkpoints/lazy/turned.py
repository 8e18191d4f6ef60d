"""A tensor with its last axis in front, read in rows by whoever goes through it: what it is made of is read once."""

import contextlib
from collections.abc import Iterator

from lwmport.checkpoints.layout import Layout
from lwmport.checkpoints.lazy.layouts import Relaid
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.types import Array


class LastInFront(Relaid):
    """A tensor [..., outputs] as [outputs, ...]."""

    def __init__(self, source: Lazy) -> None:
        shape = source.spec.shape
        axes = (len(shape) - 1, *range(len(shape) - 1))
        super().__init__(source, Layout(view=shape, axes=axes, shape=tuple(shape[axis] for axis in axes)))
        self._held: Array | None = None

    def rows(self, begin: int, end: int) -> Array:
        """Return the values of some outputs."""
        return self._rows(self._source.read() if self._held is None else self._held, begin, end)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the source meanwhile, where it is not a file's own memory."""
        self._held = self._source.read()
        try:
            yield
        finally:
            self._held = None


class FrontLast(Relaid):
    """A tensor [outputs, ...] as [..., outputs] again."""

    def __init__(self, source: Lazy) -> None:
        shape = source.spec.shape
        axes = (*range(1, len(shape)), 0)
        super().__init__(source, Layout(view=shape, axes=axes, shape=tuple(shape[axis] for axis in axes)))


def held(tensor: Lazy) -> contextlib.AbstractContextManager[None]:
    """Return what keeps the source of a tensor while rows are read of it, if it is turned."""
    return tensor.held() if isinstance(tensor, LastInFront) else contextlib.nullcontext()
