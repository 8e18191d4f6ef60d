"""The pool: every value that the reference computes in one case, and every weight, to be known again by its numbers."""

import shutil
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from lwmport import memory
from lwmport.errors import PortError
from lwmport.graphs.origins import Origin
from lwmport.pipeline.bisect.anchors import Print, print_of
from lwmport.pipeline.bisect.views import View, nearest, settled
from lwmport.runtime.runners.jax_streamed import StreamedJaxRunner, computed_bytes
from lwmport.types import Array, Component, Progress, Weights

ROUNDING: Final = {"float32": 3e-6, "float64": 3e-6, "float16": 4e-3, "bfloat16": 3e-2}
"""Dtype of a file -> the relative root mean square of what rounding makes of one step; clean exports have a third."""

SURE: Final = 1e-8
"""What is no farther than this needs no other candidate."""

HEADS: Final = (16, 256)
"""Least and largest size of a head whose halves may be laid out in another order."""


def rounding_of(dtype: str) -> float:
    """Return how far a value of a dtype may be from the reference's in one step; 0 for whole numbers."""
    return ROUNDING.get(dtype, 0.0)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One value, or one weight: ``weight`` is then its name. ``file`` holds a value, a weight is read again."""

    label: str
    shape: tuple[int, ...]
    print: Print
    file: Path | None = None
    weight: str = ""


@dataclass(frozen=True, kw_only=True)
class Match:
    """Which entry a tensor is, how it lies, and how far it is from it."""

    entry: Entry
    view: View
    error: float


@dataclass(kw_only=True)
class Use:
    """One operation of the reference that takes a weight: the values that it takes beside it, and what it gives."""

    operands: tuple[int, ...]
    result: int


@dataclass(kw_only=True)
class Pool:
    """What the reference computed in one case.

    ``uses`` are the operations that take a weight, by its name. ``numbers`` are the entries of values by the numbers of
    `lwmport.graphs.origins.Origin`. ``literals`` are the numbers that are written in the program.
    """

    weights: Weights
    entries: dict[int, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    known: dict[int, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    numbers: dict[int, Entry] = field(default_factory=dict)
    uses: dict[str, list[Use]] = field(default_factory=lambda: defaultdict(list))
    literals: set[float] = field(default_factory=set)
    heads: set[int] = field(default_factory=set)

    def value(self, entry: Entry) -> Array:
        """Return the value of an entry, mapped from its file where it has one."""
        if entry.file is not None:
            found: Array = np.load(entry.file, mmap_mode="r")
            return found
        return np.asarray(self.weights.read(entry.weight))

    def match(self, value: Array, dtype: str = "") -> Match | None:
        """Return the value of the reference that a tensor is, but for rounding; None where it is none of them."""
        return self._match(value, self.entries, rounding_of(dtype or value.dtype.name), ())

    def weight(self, value: Array) -> Match | None:
        """Return the weight, or what is computed of weights alone, that a constant is; None where it is none."""
        return self._match(value, self.known, rounding_of(value.dtype.name), self.heads)

    def near(self, value: Array, share: float) -> Match | None:
        """Return the value of the reference that a tensor is nearest to, within a share of its size."""
        return self._match(value, self.entries, share, ())

    def _match(
        self, value: Array, among: Mapping[int, list[Entry]], share: float, heads: Collection[int]
    ) -> Match | None:
        if value.size not in among or (made := print_of(_wide(value))) is None:
            return None
        best: Match | None = None
        for entry in among[value.size]:
            if entry.print.is_near(made, max(share, 1e-12)):
                found = nearest(value, self.value(entry), share, heads or self.heads)
                if found is not None and (best is None or found[1] < best.error):
                    best = Match(entry=entry, view=found[0], error=found[1])
                    if best.error <= SURE:
                        return best
        return best


def check_room(component: Component, inputs: Mapping[str, Array], scratch: Path) -> int:
    """Return the bytes that a component computes of some inputs, if there is room for them in memory and on disk.

    Raises:
        PortError: there is not.
    """
    needed, free = computed_bytes(component, inputs), shutil.disk_usage(scratch).free
    memory.check_free(needed, "hold what the reference computes beside the file's values")
    if free < needed:
        raise PortError(
            f"expected about {needed:,} bytes of free disk in {scratch.parent} for what the reference computes, found "
            f"{free:,}; make room, or set TMPDIR to a larger disk"
        )
    return needed


def pool_of(
    component: Component, weights: Weights, inputs: Mapping[str, Array], scratch: Path, progress: Progress
) -> Pool:
    """Return what a component computes of some inputs; values go to files in ``scratch``."""
    pool = Pool(weights=weights)
    _add_weights(pool, component, progress)
    runner = StreamedJaxRunner(component, weights)
    for number, name in enumerate(sorted(inputs)):
        _add(pool, Origin(number, name), np.asarray(inputs[name]), scratch)
    for origin, value in runner.computed(inputs):
        _add(pool, origin, value, scratch)
        pool.literals.update(origin.literals)
        for name in () if origin.alone else origin.weights:
            pool.uses[name].append(Use(operands=origin.operands, result=origin.number))
    return pool


def _add_weights(pool: Pool, component: Component, progress: Progress) -> None:
    done, total = 0, sum(spec.nbytes for spec in component.weights.values())
    for name in sorted(component.weights):
        value = np.asarray(pool.weights.read(name))
        if (made := print_of(value)) is not None:
            pool.known[value.size].append(Entry(label=name, shape=value.shape, print=made, weight=name))
        done += component.weights[name].nbytes
        progress(name, done, total)


def _add(pool: Pool, origin: Origin, value: Array, scratch: Path) -> None:
    made = print_of(_wide(value))
    if made is None:
        return
    among = pool.known if origin.alone else pool.entries
    twin = next((item for item in among[value.size] if _is_twin(item.print, made)), None)
    if twin is not None and (twin.weight or _axes(twin.shape) >= _axes(value.shape)):
        pool.numbers[origin.number] = twin
        return
    file = scratch / f"{origin.number}.npy"
    np.save(file, value)
    entry = Entry(label=origin.label, shape=value.shape, print=made, file=file)
    if twin is not None:
        among[value.size].remove(twin)
        pool.numbers.update({number: entry for number, item in pool.numbers.items() if item is twin})
    among[value.size].append(entry)
    pool.numbers[origin.number] = entry
    if value.ndim >= 4 and HEADS[0] <= value.shape[-1] <= HEADS[1] and value.shape[-1] % 2 == 0:
        pool.heads.add(value.shape[-1])


def _is_twin(one: Print, other: Print) -> bool:
    """Return whether two prints are of the same numbers in another order."""
    exact = (one.size, one.least, one.most) == (other.size, other.least, other.most)
    return exact and one.is_near(other, 1e-9)


def _axes(shape: tuple[int, ...]) -> int:
    return sum(size != 1 for size in shape)


def _wide(value: Array) -> Array:
    """Return a tensor as floats that have a print: without what a mask hides."""
    if value.dtype.kind in "bc":
        return value
    wide = settled(value)
    return np.where(np.isfinite(wide), wide, 0.0)
