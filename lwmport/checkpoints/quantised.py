"""One weight as integers of a few bits: its codes, scales, zero points and the values that a consumer makes of them.

All are promises over the same exact tensor, read a few groups at a time. A matrix [inputs, outputs] has its groups
along the inputs, a table [rows, width] along the width. A kernel of a convolution is a matrix whose inputs are all of
its axes but the last.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final, TypeVar

import numpy as np

from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.checkpoints.streaming import PIECE, cut
from lwmport.errors import CheckpointError
from lwmport.quantise.even import least_code, storable
from lwmport.quantise.methods import EVEN, METHODS
from lwmport.quantise.packing import packed, paired
from lwmport.quantise.rounding import Grid, codes_of, values_of, without_least
from lwmport.types import Array, Scheme, WeightSpec, dtype_of

THREADS: Final = 2

Made = TypeVar("Made")


class QuantisedTensor:
    """A weight, the scheme that it is rounded by, and where its groups lie.

    Args:
        exact: the weight.
        scheme: with scales.
        name: for messages.
        recent: where the grid of the tensor that was last gone through is kept, one for all tensors of a model.

    Attributes:
        shape: the weight seen as a matrix; its groups lie along ``axis``.
        axis: 0 or 1.
        group: values of a group.
        groups: groups along the axis; the last one is filled up with zeros.
        grid_shape: that of the scales.
    """

    def __init__(self, exact: Lazy, scheme: Scheme, name: str, recent: MutableMapping[str, Grid]) -> None:
        self.exact, self.scheme, self.name = exact, scheme, name
        shape = exact.spec.shape
        self.axis = 0 if scheme.channel == -1 else 1
        self.shape = (math.prod(shape[:-1]), shape[-1]) if self.axis == 0 else (shape[0], math.prod(shape[1:]))
        self.group = scheme.group or self.shape[self.axis]
        self.groups = -(-self.shape[self.axis] // self.group)
        self.grid_shape = (self.groups, self.shape[1]) if self.axis == 0 else (self.shape[0], self.groups)
        self._choose = (EVEN if scheme.even else METHODS)[scheme.method]
        self._least = least_code(scheme.bits) if scheme.even else 0
        self._recent = recent

    @property
    def rows_of_a_step(self) -> int:
        """Rows of the matrix that hold whole groups: the least that can be rounded at once."""
        return self.group if self.axis == 0 else 1

    def rounded(self, begin: int, end: int) -> tuple[Array, Grid]:
        """Return the codes of some rows of the matrix, [end - begin, ...], and the grid of their groups.

        ``begin`` is the first row of a step, ``end`` that behind the last one of a step, or behind the matrix.

        Raises:
            CheckpointError: they cannot be read, or one is no finite number.
        """
        codes, grid = self._coded(begin, end)
        return self._flat(codes, end - begin), grid

    def restored(self, begin: int, end: int) -> Array:
        """Return what a consumer makes of some rows, as `rounded` takes them.

        Raises:
            CheckpointError: as `rounded` does.
        """
        codes, grid = self._coded(begin, end)
        return self._flat(values_of(codes, grid), end - begin)

    def _coded(self, begin: int, end: int) -> tuple[Array, Grid]:
        """Return the codes of rows with an axis of groups, as `_grouped` has it, and their grid."""
        values, grid = self._grouped(begin, end)
        return codes_of(values, grid, self.scheme.bits, self._least), grid

    def _grid(self, begin: int, end: int) -> Grid:
        return self._grouped(begin, end)[1]

    def _grouped(self, begin: int, end: int) -> tuple[Array, Grid]:
        """Return rows with an axis of groups, the values of one along axis 1 or 2, and their grid."""
        values = self._rows(begin, end)
        axis, missing = self.axis, -values.shape[self.axis] % self.group
        if missing:
            widths = [(0, missing), (0, 0)] if axis == 0 else [(0, 0), (0, missing)]
            values = np.pad(values, widths)
        shape = (-1, self.group, values.shape[1]) if axis == 0 else (values.shape[0], -1, self.group)
        values = values.reshape(shape)
        return values, self.grid_of(values, axis + 1)

    def grid_of(self, values: Array, axis: int, **more: Array) -> Grid:
        """Return the grid that the method chooses for groups along an axis, its scales as they are stored.

        ``more`` is what the method takes besides.

        Raises:
            CheckpointError: a value is no finite number.
        """
        grid: Grid = self._choose(values, axis, self.scheme.bits, symmetric=self.scheme.symmetric, **more)
        if self.scheme.even:
            grid = grid._replace(scales=storable(grid.scales, self.scheme.scales))
        elif self.scheme.activations and len(self.exact.spec.shape) == 4:
            grid = without_least(grid, self.scheme.bits)
        if self.scheme.scales != "float32" and not self.scheme.even:
            grid = grid._replace(scales=grid.scales.astype(self.scheme.scales).astype(np.float32))
        if not np.isfinite(grid.scales).all():
            raise CheckpointError(
                f"{self.name}: expected finite numbers, found others, which no scale stands for; "
                "give --keep a pattern that fits it"
            )
        return grid

    def _flat(self, grouped: Array, rows: int) -> Array:
        """Return values without the axis of groups, and without what filled the last one up."""
        if self.axis == 0:
            return grouped.reshape(-1, grouped.shape[2])[:rows]
        return grouped.reshape(rows, -1)[:, : self.shape[1]]

    def _rows(self, begin: int, end: int) -> Array:
        """Return rows of the matrix, float32; of a kernel with more axes whole rows of its own are read."""
        each = self.shape[0] // self.exact.row_count
        first, last = begin // each, -(-end // each)
        read = self.exact.rows(first, last).reshape(-1, self.shape[1])
        return np.asarray(read[begin - first * each : end - first * each], np.float32)

    def steps(self, nbytes: int = PIECE) -> Iterator[tuple[int, int]]:
        """Yield the first row and that behind the last of parts of about ``nbytes`` in float32."""
        least = self.rows_of_a_step
        step = max(1, nbytes // (4 * self.shape[1] * least)) * least
        for begin in range(0, self.shape[0], step):
            yield begin, min(begin + step, self.shape[0])

    def each(self, make: Callable[[int, int], Made]) -> Iterator[Made]:
        """Yield what ``make`` returns for every part in order; other threads make those that come next."""
        parts = self.steps()
        with self.exact.held(), ThreadPoolExecutor(THREADS) as pool:
            made = deque(pool.submit(make, *part) for part in islice(parts, THREADS + 1))
            while made:
                yield made.popleft().result()
                made.extend(pool.submit(make, *part) for part in islice(parts, 1))

    def codes(self) -> Iterator[Array]:
        """Yield the codes of all rows. The grid is kept behind it, for it is written next."""
        grids = []
        for codes, grid in self.each(self.rounded):
            grids.append(grid)
            yield codes
        self._recent.clear()
        self._recent[self.name] = self._joined(grids)

    def grid(self) -> Grid:
        """Return scales and zero points, `grid_shape` each: those of the codes that were just made, or made again."""
        found = self._recent.get(self.name)
        return found or self._joined(list(self.each(self._grid)))

    def _joined(self, grids: list[Grid]) -> Grid:
        scales, zeros = (np.concatenate([grid[part] for grid in grids]).reshape(self.grid_shape) for part in (0, 1))
        return Grid(scales, zeros)

    def blocks(self) -> Iterator[Array]:
        """Yield the packed codes in the order [channels, groups, bytes of a group], flat, in parts."""
        if self.axis == 1:
            for codes in self.codes():
                yield packed(self._filled(codes).reshape(len(codes), self.groups, self.group), self.scheme.bits).ravel()
            return
        made = np.empty((self.shape[1], self.groups, self.group * self.scheme.bits // 8), np.uint8)
        at = 0
        for codes in self.codes():
            grouped = self._filled(codes).reshape(-1, self.group, self.shape[1])
            if self.scheme.bits == 4:
                grouped = paired(grouped[:, 0::2], grouped[:, 1::2])
            made[:, at : at + len(grouped)] = grouped.transpose(2, 0, 1)
            at += len(grouped)
        yield from cut(made.reshape(-1))

    def _filled(self, codes: Array) -> Array:
        """Return codes whose last group is whole: filled up with 0, which nobody reads."""
        missing = -codes.shape[self.axis] % self.group
        if not missing:
            return codes
        return np.pad(codes, [(0, missing), (0, 0)] if self.axis == 0 else [(0, 0), (0, missing)])


class Codes(Lazy):
    """The codes of a tensor in its own shape: uint8, or int8 with the zero point 0."""

    def __init__(self, tensor: QuantisedTensor) -> None:
        super().__init__(WeightSpec(shape=tensor.exact.spec.shape, dtype=tensor.scheme.dtype))
        self._tensor = tensor

    def rows(self, begin: int, end: int) -> Array:
        """Return the codes of some rows."""
        return self._signed(_rows(self._tensor, lambda first, last: self._tensor.rounded(first, last)[0], begin, end))

    def pieces(self) -> Iterator[Array]:
        """Yield the codes of all rows, flat."""
        for codes in self._tensor.codes():
            yield self._signed(codes).reshape(-1)

    def _signed(self, codes: Array) -> Array:
        return codes if self.spec.dtype == "uint8" else (codes ^ np.uint8(128)).view(np.int8)


class Values(Lazy):
    """What a consumer makes of a tensor."""

    def __init__(self, tensor: QuantisedTensor) -> None:
        super().__init__(WeightSpec(shape=tensor.exact.spec.shape, dtype=tensor.scheme.computed))
        self._tensor = tensor

    def rows(self, begin: int, end: int) -> Array:
        """Return the values of some rows."""
        return _rows(self._tensor, self._tensor.restored, begin, end)

    def pieces(self) -> Iterator[Array]:
        """Yield the values of all rows, flat."""
        for values in self._tensor.each(self._tensor.restored):
            yield values.reshape(-1)


class Blocks(Lazy):
    """The packed codes of a matrix or a table, [channels, groups, bytes of a group]."""

    def __init__(self, tensor: QuantisedTensor) -> None:
        shape = (tensor.shape[1 - tensor.axis], tensor.groups, tensor.group * tensor.scheme.bits // 8)
        super().__init__(WeightSpec(shape=shape, dtype="uint8"))
        self._tensor = tensor

    def rows(self, begin: int, end: int) -> Array:
        """Return some channels."""
        found: Array = self.read()[begin:end]
        return found

    def pieces(self) -> Iterator[Array]:
        """Yield the bytes of all channels, flat."""
        return self._tensor.blocks()


class Grids(Lazy):
    """The scales of a tensor, or its zero points (uint8): [groups, channels] of a matrix, [rows, groups] of a table."""

    def __init__(self, tensor: QuantisedTensor, dtype: str) -> None:
        super().__init__(WeightSpec(shape=tensor.grid_shape, dtype=dtype))
        self._tensor, self._part = tensor, Grid._fields.index("zeros" if dtype == "uint8" else "scales")

    def rows(self, begin: int, end: int) -> Array:
        """Return some rows."""
        found: Array = self._tensor.grid()[self._part][begin:end]
        return found.astype(dtype_of(self.spec.dtype), copy=False)


def _rows(tensor: QuantisedTensor, make: Callable[[int, int], Array], begin: int, end: int) -> Array:
    """Return rows of a tensor's own first axis out of those of its matrix, made in whole steps."""
    each, least = tensor.shape[0] // tensor.exact.row_count, tensor.rows_of_a_step
    first = begin * each // least * least
    last = min(-(-end * each // least) * least, tensor.shape[0])
    found = make(first, last)[begin * each - first : end * each - first]
    return found.reshape(end - begin, *tensor.exact.spec.shape[1:])
