"""Tensors of a Compass model as its optimizer and its simulator dump them, named by the ``.txt`` in the same folder.

``float32/`` and ``quant/`` of the optimizer's ``dump=true`` hold the model before and after it was quantised; both hold
floats. Quantised values are turned back by the scale that the ``.txt`` tells. ``output.bin``, ``output0.bin`` and
``out_1.bin`` are outputs of the model.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from lwmport.errors import ArtifactError
from lwmport.runtime.brought.compass_files import Names, is_dump
from lwmport.runtime.brought.compass_ir import Graph, Top, graph_in, is_ir
from lwmport.runtime.brought.layouts import EITHER
from lwmport.runtime.brought.listing import File, Listing
from lwmport.runtime.brought.stored import OtherValues, Stored, in_bytes, in_npy, number_type
from lwmport.runtime.brought.tensor import Brought, BroughtTensor
from lwmport.types import Array
from lwmport.wording import few

KIND: Final = "compass"
FLOAT: Final = "float32"
QUANT: Final = "quant"
MANY: Final = "has a scale a channel, which the .txt does not tell"
UNTOLD: Final = f"may be quantised or not: only the folder, {FLOAT}/ or {QUANT}/, tells"
MOVING: Final = frozenset({"Reshape", "Transpose"})
"""Layers that only move values. The parser exchanges one with a layer beside it, and both keep their names: a Reshape
then has the values of the Mul behind it. Seen with Compass_Unified_Parser 4.3."""

OUTPUT: Final = re.compile(r"out(?:put)?_?(?P<index>\d{0,4})\.bin")
WIDENED: Final = {("bfloat16", 4): "float32", ("float8_e4m3fn", 2): "float16", ("float8_e5m2", 2): "float16"}
"""(dtype, bytes of a value in the file) -> what ``aipuforward`` writes, for numpy has not the dtype."""


def fits(found: Listing) -> bool:
    """Return whether there is a ``.txt`` of Compass, or a file with a name as its dumps have."""
    return any(is_ir(file) or is_dump(file.last) for file in found.files)


def read(found: Listing) -> Brought:
    """Return the tensors of a dump, those of the quantised model where both are there.

    Raises:
        ArtifactError: there is no ``.txt`` that names them, or a file is damaged or cut.
    """
    graphs = [graph_in(file) for file in found.files if is_ir(file)]
    if not graphs:
        raise ArtifactError(
            f"{found.root}: expected Compass's .txt, which names the layers, beside their dumps, found none; copy "
            "MODEL.txt, or that of the quantised model, into the folder"
        )
    graphs.sort(key=lambda graph: graph.quantised, reverse=True)
    if [graph.quantised for graph in graphs] not in ([True], [False], [True, False]):
        raise ArtifactError(
            f"{found.root}: expected the .txt of one model, or of it and its quantised one, found {len(graphs)}; leave "
            "those of other stages out"
        )
    reader = _Reader(found, graphs)
    tensors = tuple(reader.tensors())
    return Brought(kind=KIND, tensors=tensors, notes=tuple(reader.notes()))


class _Reader:
    """Reads a folder by its graphs, the quantised one first."""

    def __init__(self, found: Listing, graphs: Sequence[Graph]) -> None:
        self._files = [file for file in found.files if not is_ir(file)]
        self._graphs = [(graph, Names(graph)) for graph in graphs]
        self._root = found.root.absolute().name
        self._both = {FLOAT, QUANT} <= {_last(file.folder) for file in self._files}
        self._strange: list[str] = []
        self._float: list[str] = []
        self._aside: list[str] = []
        self._moving: list[str] = []

    def tensors(self) -> Iterator[BroughtTensor]:
        """Yield the tensors of all files that a graph knows."""
        for file in self._files:
            if self._both and _last(file.folder) == FLOAT:
                self._float.append(file.told)
                continue
            tops = list(self._tops(file))
            if tops and tops[0].kind in MOVING and not OUTPUT.fullmatch(file.last):
                self._moving.append(file.told)
            elif not tops:
                self._strange.append(file.told)
            elif (tensor := self._tensor(file, tops)) is not None:
                yield tensor

    def notes(self) -> Iterator[str]:
        """Yield what was left aside, once all tensors are there."""
        for those, why in (
            (self._float, f"{QUANT}/ has the quantised model, which is the device's; name {FLOAT}/ for these"),
            (self._aside, "their values cannot be read"),
            (self._moving, "such layers only move values, and the parser may have exchanged them with others"),
            (self._strange, "no output of a layer in the .txt is meant"),
        ):
            if those:
                yield f"{len(those):,} left aside, for {why}: {few(those)}"

    def _tops(self, file: File) -> Iterator[Top]:
        """Yield what a file holds in each graph that knows it; of the float model alone in its own folder."""
        output = OUTPUT.fullmatch(file.last)
        for graph, names in self._graphs:
            if self._folder(file) == FLOAT and graph.quantised and len(self._graphs) > 1:
                continue
            if output:
                yield from _output(graph, int(output["index"] or 0))
            elif (top := names.top_of(file.last)) is not None:
                yield top

    def _tensor(self, file: File, tops: Sequence[Top]) -> BroughtTensor | None:
        try:
            top, stored = (tops[0], in_npy(file)) if file.last.endswith(".npy") else _numbers(file, tops)
        except OtherValues as error:
            self._aside.append(str(error))
            return None
        if top.quantised and self._folder(file) != FLOAT:
            if top.many or (file.last.endswith(".npy") and self._folder(file) != QUANT):
                self._aside.append(f"{file.told} {MANY if top.many else UNTOLD}")
                return None
            stored = _real(stored, top)
        position = OUTPUT.fullmatch(file.last)
        return BroughtTensor(
            names=() if position else tuple(dict.fromkeys((top.node, top.layer))),
            role="output",
            index=int(position["index"] or 0) if position else top.index,
            shape=stored.shape,
            dtype=stored.dtype,
            layout=EITHER if position and top.layout else top.layout,
            source=file.told,
            load=stored.load,
        )

    def _folder(self, file: File) -> str:
        """Return the name of the folder that a file lies in."""
        return _last(file.folder) or self._root


def _last(folder: str) -> str:
    return folder.rpartition("/")[2]


def _output(graph: Graph, index: int) -> Iterator[Top]:
    name = graph.outputs[index] if index < len(graph.outputs) else None
    yield from (top for top in graph.tops if top.name == name)


def _numbers(file: File, tops: Sequence[Top]) -> tuple[Top, Stored]:
    """Return the tensor whose bytes are as many as a file has, and its values.

    Raises:
        ArtifactError: none of them has so many.
    """
    for top in tops:
        size, rest = divmod(file.bytes, math.prod(top.shape) or 1)
        dtype = number_type(WIDENED.get((top.dtype, size), top.dtype))
        if dtype is not None and not rest and size == dtype.itemsize:
            return top, in_bytes(file, dtype.name, top.shape)
    told = " or ".join(f"{top.dtype}{list(top.shape)}" for top in tops)
    raise ArtifactError(f"{file.told}: expected {told}, as the .txt tells, found {file.bytes:,} bytes; copy it again")


def _real(stored: Stored, top: Top) -> Stored:
    """Return quantised values as the numbers that they stand for."""
    scale, zero = top.scale or 1.0, top.zero

    def load() -> Array:
        return ((stored.load().astype(np.float64) + zero) / scale).astype(np.float32)

    return Stored(shape=stored.shape, dtype="float32", load=load)
