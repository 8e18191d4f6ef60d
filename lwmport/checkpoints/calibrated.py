"""Weights whose rounding follows from what they are multiplied with: made once, kept in a folder, read from there.

A folder has a folder for each tensor, ``codes.npy``, ``scales.npy`` and ``zeros.npy`` in it, which appear together. Of
channels that are scaled it has ``NAME.npy``, NAME being the weight that makes them.
"""

from collections.abc import Iterable, MutableMapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote

import numpy as np

from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.checkpoints.quantised import QuantisedTensor
from lwmport.errors import CheckpointError
from lwmport.quantise.packing import packed, unpacked
from lwmport.quantise.rounding import Grid
from lwmport.types import Array, Scheme

PARTS: Final = ("codes", "scales", "zeros")


class Rounding(NamedTuple):
    """How one matrix is rounded: packed codes uint8 [inputs, bytes], scales and zero points [groups, outputs]."""

    codes: Array
    scales: Array
    zeros: Array


class Rounder(Protocol):
    """Knows how the matrices of a model are rounded."""

    def rounding(self, name: str) -> Rounding:
        """Return the rounding of a matrix; what has to be run for it is run now.

        Raises:
            PortError: it cannot be found out.
        """

    def factors(self, name: str) -> Array:
        """Return what a vector is divided by, float32 [channels]; what has to be run for it is run now.

        Raises:
            PortError: it cannot be found out.
        """


class CalibratedTensor(QuantisedTensor):
    """A matrix [inputs, outputs] whose codes a `Rounder` knows."""

    def __init__(
        self, exact: Lazy, scheme: Scheme, name: str, recent: MutableMapping[str, Grid], rounder: Rounder | None
    ) -> None:
        super().__init__(exact, scheme, name, recent)
        self._rounder = rounder

    def _coded(self, begin: int, end: int) -> tuple[Array, Grid]:
        """Return the codes of rows [groups, values, outputs], and their grid."""
        found = self._found()
        codes = unpacked(found.codes[begin:end], self.scheme.bits, self.shape[1])
        if len(codes) % self.group:
            codes = np.pad(codes, [(0, -len(codes) % self.group), (0, 0)])
        return codes.reshape(-1, self.group, self.shape[1]), self._grid(begin, end)

    def _grid(self, begin: int, end: int) -> Grid:
        found = self._found()
        groups = slice(begin // self.group, -(-end // self.group))
        return Grid(found.scales[groups, None], found.zeros[groups, None])

    def _found(self) -> Rounding:
        if self._rounder is None:
            raise CheckpointError(
                f"{self.name}: expected a rounding by {self.scheme.method}, which runs the model, found none here"
            )
        return self._rounder.rounding(self.name)


class Folded(Lazy):
    """A vector divided by factors that a `Rounder` knows."""

    def __init__(self, exact: Lazy, name: str, rounder: Rounder | None) -> None:
        super().__init__(exact.spec)
        self._exact, self._name, self._rounder = exact, name, rounder

    def rows(self, begin: int, end: int) -> Array:
        """Return some of its values."""
        if self._rounder is None:
            raise CheckpointError(
                f"{self._name}: expected factors of its channels, which a run of the model finds, found none here"
            )
        found = self._exact.rows(begin, end) / self._rounder.factors(self._name)[begin:end]
        return found.astype(self.spec.dtype, copy=False)


class Roundings:
    """The roundings of a model in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: str) -> Rounding | None:
        """Return a rounding, mapped; None where there is none yet."""
        place = self._place(name)
        if not place.is_dir():
            return None
        return Rounding(*(np.load(place / f"{part}.npy", mmap_mode="r", allow_pickle=False) for part in PARTS))

    def put(self, name: str, codes: Array, grid: Grid, bits: int) -> None:
        """Keep the codes of a matrix and its grid; whole or not at all."""
        place = self._place(name)
        unfinished = place.with_name(f"{place.name}.unfinished")
        unfinished.mkdir(parents=True, exist_ok=True)
        for part, array in zip(PARTS, (packed(codes, bits), *grid), strict=True):
            np.save(unfinished / f"{part}.npy", array, allow_pickle=False)
        unfinished.replace(place)

    def factors(self, name: str) -> Array | None:
        """Return the factors of channels, by the weight that makes them; None where there are none yet."""
        place = self._factors_place(name)
        return np.load(place, allow_pickle=False) if place.is_file() else None

    def put_factors(self, name: str, factors: Array) -> None:
        """Keep the factors of channels; whole or not at all."""
        place = self._factors_place(name)
        unfinished = place.with_name(f"{place.name}.unfinished")
        self._folder.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            np.save(file, factors, allow_pickle=False)
        unfinished.replace(place)

    def digest(self, names: Iterable[str], scaled: Iterable[str] = ()) -> str:
        """Return the SHA-256 of some roundings, and of the factors of some channels."""
        found = sha256()
        for name in sorted(scaled):
            factors = self.factors(name)
            found.update(name.encode() if factors is None else name.encode() + factors.tobytes())
        for name in sorted(names):
            found.update(name.encode())
            for part in self.find(name) or ():
                found.update(np.ascontiguousarray(part).data)
        return found.hexdigest()

    def _place(self, name: str) -> Path:
        return self._folder / quote(name, safe="")

    def _factors_place(self, name: str) -> Path:
        return self._folder / f"{quote(name, safe='')}.npy"
