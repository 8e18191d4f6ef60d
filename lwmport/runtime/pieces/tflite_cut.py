"""A few operators of a TFLite file as a TFLite file of their own, in memory: tables, and the constants behind."""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Final

import numpy as np

from lwmport import extras
from lwmport.errors import ArtifactError
from lwmport.runtime.pieces.tflite_options import ints, is_body
from lwmport.runtime.pieces.tflite_tables import Tables
from lwmport.runtime.pieces.tflite_values import packed
from lwmport.types import Array

IDENTIFIER: Final = b"TFL3"
VERSION: Final = 3
"""Of the schema, which its readers ask for."""

ALIGNMENT: Final = 64
"""Of constants in the file: TFLite's kDefaultTensorAlignment."""

_ANYWHERE: Final = 1 << 40
"""Stands for a place that is not known yet; 0 would be left out of the tables and change their length."""


class Cut:
    """Gathers what a file of some operators needs.

    Tensors, operators, codes, buffers and subgraphs are those of the whole file with new numbers. Tensors keep their
    quantisation and their sparse form, operators their options.

    Attributes:
        content: the new file.
        places: tensor of the whole file's main subgraph -> its number in the new one.
    """

    def __init__(
        self,
        tables: Tables,
        operators: Sequence[int],
        shapes: Mapping[int, tuple[int, ...]],
        values: Mapping[int, Array],
        wanted: Sequence[int],
    ) -> None:
        """Cut operators out of a file.

        Args:
            tables: the whole file.
            operators: places of operators in its main subgraph, in order.
            shapes: tensors that become inputs -> their shapes.
            values: tensors that become constants, with other values than the file's, or that it has no value of.
            wanted: tensors that become outputs.
        """
        self._tables, self._schema = tables, tables.schema
        self._codes: dict[int, int] = {}
        self._buffers: dict[tuple[int, int], int] = {}
        self._data: list[Array] = []
        self._bodies: list[int] = []
        chosen = [tables.main.operators[place] for place in operators]
        met = [place for each in chosen for side in (each.inputs, each.outputs) for place in ints(side) if place >= 0]
        met += [place for each in chosen for place in ints(each.intermediates) if place >= 0]
        met += [scales for place in met if (scales := tables.block_scales(place)) is not None]
        self.places = {place: number for number, place in enumerate(dict.fromkeys([*met, *shapes]))}
        main = self._schema.SubGraphT(
            tensors=[self._tensor(place, shapes, values) for place in self.places],
            inputs=[self.places[place] for place in shapes],
            outputs=[self.places[place] for place in wanted],
            operators=[self._operator(each, self.places) for each in chosen],
        )
        self._subgraphs = [main]
        while len(self._subgraphs) <= len(self._bodies):  # bodies have bodies
            self._subgraphs.append(self._subgraph(self._bodies[len(self._subgraphs) - 1]))
        self.content = self._packed()

    def _tensor(self, place: int, shapes: Mapping[int, tuple[int, ...]], values: Mapping[int, Array]) -> Any:
        """Return a tensor of the main subgraph, with the shape and the value that it is given."""
        found = copy(self._tables.main.tensors[place])
        if (scales := self._tables.block_scales(place)) is not None:
            found.quantization = copy(found.quantization)
            found.quantization.details = copy(found.quantization.details)
            found.quantization.details.scales = self.places[scales]
        if place in shapes:
            _reshape(found, shapes[place])
            found.buffer, found.isVariable = 0, False
        elif place in values:
            _reshape(found, values[place].shape)
            found.isVariable = False
            word = self._tables.types.get(found.type, "")
            found.sparsity, found.buffer = None, self._buffer((-1, place), packed(values[place], word))
        elif place in self._tables.made:
            found.buffer = 0
        else:
            self._keep(found)
        return found

    def _keep(self, tensor: Any) -> None:
        """Give a copied tensor its value in the whole file."""
        tensor.buffer = self._buffer((0, tensor.buffer), self._tables.content(tensor))

    def _buffer(self, key: tuple[int, int], content: Array) -> int:
        """Return the number of a buffer; 0 is the empty one."""
        if not len(content):
            return 0
        if key not in self._buffers:
            self._data.append(content)
            self._buffers[key] = len(self._data)
        return self._buffers[key]

    def _operator(self, operator: Any, places: Mapping[int, int] | range) -> Any:
        """Return an operator with the new numbers of its tensors, of its code and of its bodies."""
        found = copy(operator)
        found.opcodeIndex = self._codes.setdefault(operator.opcodeIndex, len(self._codes))
        found.debugMetadataIndex = -1
        for side in ("inputs", "outputs", "intermediates"):
            numbers = getattr(operator, side)
            if numbers is not None:
                setattr(found, side, [places[place] if place >= 0 else -1 for place in ints(numbers)])
        if operator.largeCustomOptionsOffset > 1:
            start, size = operator.largeCustomOptionsOffset, operator.largeCustomOptionsSize
            found.customOptions = np.frombuffer(self._tables.data, np.uint8, size, start)
            found.largeCustomOptionsOffset = found.largeCustomOptionsSize = 0
        found.builtinOptions = self._options(operator.builtinOptions)
        found.builtinOptions2 = self._options(operator.builtinOptions2)
        return found

    def _options(self, options: Any) -> Any:
        """Return options that name the new subgraphs of an operator's bodies."""
        if options is None or not any(map(is_body, vars(options))):
            return options
        found = copy(options)
        for name, value in vars(options).items():
            if is_body(name):
                one = isinstance(value, int)
                numbers = [self._body(index) for index in ([value] if one else ints(value))]
                setattr(found, name, numbers[0] if one else numbers)
        return found

    def _body(self, index: int) -> int:
        """Return the new number of a subgraph that an operator runs."""
        if not index:
            raise ArtifactError("expected an operator to run another subgraph than its own, found number 0")
        if index > 0 and index not in self._bodies:
            self._bodies.append(index)
        return 1 + self._bodies.index(index) if index > 0 else index

    def _subgraph(self, index: int) -> Any:
        """Return a subgraph that an operator runs, with all that is in it."""
        found = copy(self._tables.model.subgraphs[index])
        found.tensors, found.debugMetadataIndex = [copy(tensor) for tensor in found.tensors], -1
        for tensor in found.tensors:
            self._keep(tensor)
        same = range(len(found.tensors))
        found.operators = [self._operator(each, same) for each in found.operators]
        return found

    def _packed(self) -> bytes:
        """Return the file: its tables are packed twice, with any and with the true places of constants."""
        length = len(self._tables_at([_ANYWHERE] * len(self._data)))
        starts, end = [], length
        for content in self._data:
            starts.append(-(-end // ALIGNMENT) * ALIGNMENT)
            end = starts[-1] + content.nbytes
        parts: list[Any] = [self._tables_at(starts)]
        end = length
        for start, content in zip(starts, self._data, strict=True):
            parts += [bytes(start - end), content.data]
            end = start + content.nbytes
        whole = b"".join(parts)
        self._tables.give_back()
        return whole

    def _tables_at(self, starts: Sequence[int]) -> bytes:
        schema, flatbuffers = self._schema, extras.require("flatbuffers")
        sizes = [content.nbytes for content in self._data]
        behind = [schema.BufferT(offset=start, size=size) for start, size in zip(starts, sizes, strict=True)]
        model = schema.ModelT(
            version=VERSION,
            operatorCodes=[self._tables.model.operatorCodes[index] for index in self._codes],
            subgraphs=self._subgraphs,
            description="",
            buffers=[schema.BufferT(), *behind],
        )
        builder = flatbuffers.Builder(1 << 12)
        builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
        return bytes(builder.Output())


def _reshape(tensor: Any, shape: tuple[int, ...]) -> None:
    """Give a tensor a shape; sizes that the file leaves open stay so, where there are as many."""
    opened = ints(tensor.shapeSignature)
    fits = len(opened) == len(shape) and all(o in {-1, size} for o, size in zip(opened, shape, strict=True))
    tensor.shape, tensor.hasRank = list(shape), True
    tensor.shapeSignature = opened if fits and opened else None
