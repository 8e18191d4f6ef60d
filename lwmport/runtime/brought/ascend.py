"""Dumps of an Ascend device, and what msit, msprobe and msaccucmp.py make of them: raw dumps, arrays, tables.

An operator of the device's model may stand for several nodes. The dump itself, the JSON of ``atc --mode=1`` or the
table tells whose output it is. Where none does, it has the operator's own name, which matches nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from lwmport.runtime.brought.ascend_dump import read_dump
from lwmport.runtime.brought.ascend_fusion import is_model, origins_in
from lwmport.runtime.brought.ascend_names import GOLDEN, NET, OTHER, RAW, Kinds, Part, kinds_of, part_of
from lwmport.runtime.brought.ascend_table import Row, is_table, rows_of
from lwmport.runtime.brought.layouts import MODEL
from lwmport.runtime.brought.listing import File, Listing
from lwmport.runtime.brought.stored import OtherValues, Stored, in_bytes, in_npy, unknown_bytes
from lwmport.runtime.brought.tensor import NONE, Brought, BroughtTensor
from lwmport.wording import few, shown

KIND: Final = "msit"
INPUT: Final = "input_"

Key = tuple[str, str, int]
"""Operator as a file name spells it, empty for the whole model; role; index."""


def fits(found: Listing) -> bool:
    """Return whether there is a dump, an array made of one, or a table of a comparison."""
    return any(
        RAW.fullmatch(file.last) or part_of(file.last) or GOLDEN.fullmatch(file.last) or is_table(file)
        for file in found.files
    )


def read(found: Listing) -> Brought:
    """Return the tensors of dumps and tables; a row of a table and a dump of the same tensor are one.

    Raises:
        ArtifactError: a file is damaged or cut.
    """
    reader = _Reader(kinds_of(found))
    tensors = tuple(reader.tensors())
    return Brought(kind=KIND, tensors=tensors, notes=tuple(reader.notes()))


@dataclass(frozen=True, kw_only=True)
class _Values:
    """Where a tensor comes from, and its values, None where a table alone tells of it."""

    source: str
    stored: Stored | None = None
    layout: str = ""
    sample: int = 0


class _Reader:
    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._tables = [file for file in kinds.others if is_table(file)]
        self._models = [file for file in kinds.others if is_model(file)]
        rows = [row for file in self._tables for row in rows_of(file)]
        self._rows: dict[Key, Row] = {(_spelled(row.operator), row.role, row.index): row for row in rows}
        self._origins: defaultdict[tuple[str, int], set[tuple[str, int]]] = defaultdict(set)
        for file in self._models:
            for (operator, index), origin in origins_in(file).items():
                self._origins[_spelled(operator), index].add(origin)
        self._used: set[Key] = set()
        self._fused: list[str] = []
        self._own: list[str] = []
        self._aside: list[str] = []

    def tensors(self) -> Iterator[BroughtTensor]:
        """Yield what has values, then the rows of tables that have none."""
        yield from self._raw()
        if not self._kinds.raw:
            yield from self._parts()
        yield from self._net()
        if not self._device:
            yield from self._golden()
        for key, row in self._rows.items():
            if key not in self._used:
                yield self._made(key, row.operator, _Values(source=row.source))

    def notes(self) -> Iterator[str]:
        """Yield what was left aside, once all tensors are there."""
        kinds = self._kinds
        known = {file.name for file in (*self._tables, *self._models)}
        for those, why in (
            (self._aside, "they have no values that can be read"),
            (_told(kinds.slices), "they are parts of tensors, or the device's own records"),
            (_told(file for file in kinds.others if file.name not in known), "they are neither dumps nor tables"),
            (_told(file for file, _ in kinds.parts if kinds.raw), "the dumps that they were made of tell more"),
            (_told(file for file, _ in kinds.golden if self._device), "they are the reference's values"),
            (self._fused, "they stand for several nodes, and no JSON of atc --mode=1 tells whose output they are"),
        ):
            if those:
                yield f"{len(those):,} left aside, for {why}: {few(those)}"
        if self._own:
            yield (
                f"{len(self._own):,} taken for outputs of the nodes whose names they have, for neither a dump, a table "
                f"nor a JSON of atc --mode=1 tells whose they are: {few(map(shown, self._own))}"
            )

    @property
    def _device(self) -> bool:
        """Whether anything comes from the device."""
        return bool(self._kinds.raw or self._kinds.parts or self._kinds.net or self._rows)

    def _raw(self) -> Iterator[BroughtTensor]:
        for file, operator in self._kinds.raw:
            dump = read_dump(file)
            self._aside.extend(dump.aside)
            for one in dump.tensors:
                values = _Values(
                    source=f"{file.told}, {one.role} {one.index}",
                    stored=one.stored,
                    layout=one.layout,
                    sample=_step(file),
                )
                origin = one.origin if one.role == "output" else None
                yield self._made((operator, one.role, one.index), dump.operator or operator, values, origin)

    def _parts(self) -> Iterator[BroughtTensor]:
        for file, part in self._kinds.parts:
            if (stored := self._array(file, part)) is not None:
                values = _Values(source=file.told, stored=stored, layout=part.format, sample=_step(file))
                yield self._made((part.operator, part.role, part.index), part.operator, values)

    def _net(self) -> Iterator[BroughtTensor]:
        arrays = {file.name.removesuffix(".npy") for file in self._kinds.net if file.last.endswith(".npy")}
        for file in self._kinds.net:
            name = NET.fullmatch(file.last)
            twice = file.name.removesuffix(".bin") in arrays
            if name and not twice and (stored := self._array(file)) is not None:
                yield self._made(("", "output", int(name["index"])), "", _Values(source=file.told, stored=stored))

    def _golden(self) -> Iterator[BroughtTensor]:
        for file, operator in self._kinds.golden:
            index = GOLDEN.fullmatch(file.last)
            if (stored := self._array(file)) is not None:
                role = "input" if operator.startswith(INPUT) else "output"
                key = (operator.removeprefix(INPUT), role, int(index["index"]) if index else 0)
                yield self._made(key, key[0], _Values(source=file.told, stored=stored))

    def _array(self, file: File, part: Part | None = None) -> Stored | None:
        try:
            if file.last.endswith(".npy"):
                return in_npy(file)
            return _numbers(file, part) if part else unknown_bytes(file)
        except OtherValues as error:
            self._aside.append(str(error))
            return None

    def _made(self, key: Key, operator: str, values: _Values, origin: tuple[str, int] | None = None) -> BroughtTensor:
        self._used.add(key)
        row, stored = self._rows.get(key), values.stored
        origin = origin or self._origin(key, row)
        if origin is None and stored and operator and key[1] == "output" and not row:
            self._own.append(operator)
        name, index = origin or (operator, key[2])
        return BroughtTensor(
            names=(name,) if name else (),
            role=key[1],
            index=index,
            sample=values.sample,
            shape=stored.shape if stored else row.shape if row else None,
            dtype=stored.dtype if stored else row.dtype if row else "",
            layout="" if values.layout in MODEL else values.layout,
            source=values.source,
            load=stored.load if stored else None,
            statistics=row.statistics if row else NONE,
        )

    def _origin(self, key: Key, row: Row | None) -> tuple[str, int] | None:
        """Return the node of the model, and which of its outputs, that a tensor of the device is."""
        told = self._origins.get((key[0], key[2]), set()) if key[1] == "output" else set()
        if len(told) == 1:
            return next(iter(told))
        if row and len(row.nodes) == 1:
            return row.nodes[0], key[2]
        if row and row.nodes and key[1] == "output":
            self._fused.append(row.source)
        return None


def _numbers(file: File, part: Part) -> Stored:
    """Return the values of a .bin. Those in bfloat16 were made float32, whatever its name says."""
    widened = part.dtype == "bfloat16" and file.bytes == 4 * part.count
    return in_bytes(file, "float32" if widened else part.dtype, (part.count,))


def _told(files: Iterable[File]) -> list[str]:
    return [file.told for file in files]


def _spelled(operator: str) -> str:
    """Return an operator's name as the device's files have it."""
    return OTHER.sub("_", operator)


def _step(file: File) -> int:
    """Return the run of a dump: the device puts each into a folder with its number."""
    step = file.folder.rpartition("/")[2]
    return int(step) if step.isdecimal() and len(step) < 7 else 0
