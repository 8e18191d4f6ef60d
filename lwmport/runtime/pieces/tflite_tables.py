"""What a TFLite file says of its main subgraph: names that are unique, operators with their settings, constants."""

import mmap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lwmport import extras
from lwmport.errors import ArtifactError
from lwmport.runtime.pieces.spec import Operator
from lwmport.runtime.pieces.tflite_options import bodies, ints, settings, text, words
from lwmport.runtime.pieces.tflite_values import bytes_of, read
from lwmport.types import Array, TensorSpec, dtype_of


class Tables:
    """The tables of a file, whose indices all lie in what they index.

    Attributes:
        model: all tables, as the schema's classes hold them.
        main: the subgraph that runs.
        names: a name for each tensor of it: its own, with its place behind it where it is empty or repeated.
        fixed: the tensors that are computed of constants alone, these included.

    Raises:
        ArtifactError: an index leads nowhere, operators are not in order, or weights lie in other files.
    """

    def __init__(self, model: Any, data: mmap.mmap) -> None:
        self.schema = extras.require("ai_edge_litert.schema_py_generated")
        self.model, self.data = model, data
        self.types = words("TensorType")
        self._codes = words("BuiltinOperator")
        _check(model, len(data))
        self.main = model.subgraphs[0]
        self.names = _unique([text(tensor.name) for tensor in self.main.tensors])
        self.made = {each for place in range(len(self.main.operators)) for each in self.outputs(place)}
        self._inputs = set(ints(self.main.inputs))
        self.constants = {place for place in range(len(self.names)) if self._is_constant(place)}
        _check_order(self)
        self.fixed = self._fixed()

    def spec(self, place: int) -> TensorSpec:
        """Return name, shape (``?`` for sizes that may change) and dtype of a tensor."""
        tensor = self.main.tensors[place]
        sizes = ints(tensor.shapeSignature) or ints(tensor.shape)
        shape = tuple("?" if size < 0 else size for size in sizes)
        return TensorSpec(name=self.names[place], shape=shape, dtype=self.dtype(place))

    def dtype(self, place: int) -> str:
        """Return numpy's name of the dtype of a tensor; in small letters the schema's, where numpy has none."""
        return self.types.get(self.main.tensors[place].type, "unknown").lower()

    def operator(self, place: int) -> Operator:
        """Return one operator of the main subgraph."""
        found, kind = self.main.operators[place], self.kind(self.main.operators[place])
        inputs, outputs = (
            tuple(self.names[each] if each >= 0 else "" for each in ints(side))
            for side in (found.inputs, found.outputs)
        )
        name = next(filter(None, outputs), f"{kind}#{place}")
        return Operator(name=name, type=kind, inputs=inputs, outputs=outputs, attributes=settings(found, self._body))

    def outputs(self, place: int) -> list[int]:
        """Return the tensors that an operator makes."""
        return [each for each in ints(self.main.operators[place].outputs) if each >= 0]

    def read(self, operators: Sequence[int]) -> set[int]:
        """Return the tensors that some operators read and none of them makes."""
        made = {each for place in operators for each in self.outputs(place)}
        return {each for place in operators for each in ints(self.main.operators[place].inputs) if each >= 0} - made

    def leading_to(self, wanted: Sequence[int], operators: Sequence[int]) -> list[int]:
        """Return those of some operators, in order, that tensors are computed by, and those that make nothing."""
        needed, found = set(wanted), list[int]()
        for place in reversed(operators):
            made = self.outputs(place)
            if not made or not needed.isdisjoint(made):
                needed.update(ints(self.main.operators[place].inputs))
                found.append(place)
        return found[::-1]

    def kind(self, operator: Any) -> str:
        """Return what an operator computes: the schema's word, or the own one of a custom operator."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        word = self._codes.get(number, f"operator {number}")
        return text(code.customCode) or word if word == "CUSTOM" else word

    def block_scales(self, place: int) -> int | None:
        """Return the tensor that holds the scales of one that is stored in blocks, None for any other."""
        return _block_scales(self.main.tensors[place])

    def content(self, tensor: Any) -> Array:
        """Return the bytes of a tensor as they lie in the file, none where it has no value there."""
        return self.raw(tensor.buffer)

    def raw(self, number: int) -> Array:
        """Return the bytes of a buffer, mapped from the file where they lie behind its tables."""
        buffer = self.model.buffers[number]
        if buffer.offset > 1:
            return np.frombuffer(self.data, np.uint8, buffer.size, buffer.offset)
        return np.asarray([] if buffer.data is None else buffer.data, np.uint8)

    def value(self, place: int) -> Array:
        """Return the value of a constant, mapped from the file where its dtype is one of whole bytes.

        Raises:
            ArtifactError: the file has not as many bytes as its shape needs, or keeps it in a form of its own.
        """
        tensor, spec = self.main.tensors[place], self.spec(place)
        word, shape = self.types.get(tensor.type, ""), ints(tensor.shape)
        if tensor.sparsity is not None or word in {"", "STRING", "RESOURCE", "VARIANT"}:
            how = "a sparse form" if tensor.sparsity is not None else f"the dtype {spec.dtype}"
            raise ArtifactError(f"expected plain numbers in the constant {spec.name}, found {how}")
        if tensor.isVariable:
            return np.zeros(shape, dtype_of(spec.dtype))
        content, needed = self.content(tensor), bytes_of(word, shape)
        if content.nbytes != needed:
            raise ArtifactError(f"expected {needed} bytes for {spec.dtype} {shape} {spec.name}, found {content.nbytes}")
        return read(content, word, shape)

    def give_back(self) -> None:
        """Let go of the memory in which parts of the file lie; they are read again when they are needed."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.data.madvise(mmap.MADV_DONTNEED)

    def _body(self, index: int) -> str:
        if index < 0:
            return ""
        kinds = Counter(self.kind(each) for each in self.model.subgraphs[index].operators or ())
        return f"subgraph {index}: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))

    def _is_constant(self, place: int) -> bool:
        """Return whether the file has the value; a tensor without elements needs no bytes, and variables are zero."""
        tensor = self.main.tensors[place]
        if place in self.made or place in self._inputs:
            return False
        return tensor.isVariable or len(self.content(tensor)) > 0 or 0 in ints(tensor.shape)

    def _fixed(self) -> set[int]:
        found = {place for place in self.constants if not self.main.tensors[place].isVariable}
        for each in self.main.operators:
            read = [place for place in ints(each.inputs) if place >= 0]
            if read and found.issuperset(read):
                found.update(ints(each.outputs))
        return found


def _check(model: Any, length: int) -> None:
    """Refuse indices that lead nowhere: Python would count negative ones from the end, and LiteRT reads beyond it."""
    if not model.subgraphs:
        raise ArtifactError("expected a subgraph in a TFLite file, found none")
    for subgraph in model.subgraphs:
        subgraph.tensors, subgraph.operators = subgraph.tensors or [], subgraph.operators or []
        _check_indices("buffer", (tensor.buffer for tensor in subgraph.tensors), len(model.buffers or ()))
        _check_indices("code", (each.opcodeIndex for each in subgraph.operators), len(model.operatorCodes or ()))
        for place in _places(subgraph):
            if not -1 <= place < len(subgraph.tensors):
                raise ArtifactError(f"expected one of {len(subgraph.tensors)} tensors, found number {place}")
        if any(each.largeCustomOptionsOffset + each.largeCustomOptionsSize > length for each in subgraph.operators):
            raise ArtifactError(f"expected options within the {length} bytes of the file, found some behind its end")
        if any(tensor.externalBuffer for tensor in subgraph.tensors):
            raise ArtifactError("expected weights inside of the TFLite file, found some in files beside it")


def _places(subgraph: Any) -> Iterator[int]:
    yield from (*ints(subgraph.inputs), *ints(subgraph.outputs))
    for each in subgraph.operators:
        yield from (*ints(each.inputs), *ints(each.outputs), *ints(each.intermediates))
    yield from (found for tensor in subgraph.tensors if (found := _block_scales(tensor)) is not None)


def _block_scales(tensor: Any) -> int | None:
    details: Any = None if tensor.quantization is None else tensor.quantization.details
    return int(details.scales) if hasattr(details, "blockSize") else None


def _check_indices(what: str, found: Iterator[int], count: int) -> None:
    for index in found:
        if not 0 <= index < count:
            raise ArtifactError(f"expected one of {count} {what}s, found number {index}")


def _check_order(tables: Tables) -> None:
    """Refuse an operator that reads what a later one makes, and one that runs a subgraph that is none."""
    known = set(range(-1, len(tables.names))) - tables.made
    for each in tables.main.operators:
        for place in ints(each.inputs):
            if place not in known:
                raise ArtifactError(f"expected operators in order, found {tables.names[place]} read before it is made")
        known.update(ints(each.outputs))
    for subgraph in tables.model.subgraphs:
        for each in subgraph.operators:
            _check_indices("subgraph", iter(bodies(each)), len(tables.model.subgraphs))


def _unique(names: Sequence[str]) -> list[str]:
    """Return the names, with the place of a tensor behind one that is empty or that another one before it has."""
    found: dict[str, None] = {}
    own = set(names)
    for place, name in enumerate(names):
        new = name
        if not name or name in found:
            new = f"{name}#{place}"
            while new in own or new in found:
                new += "#"
        found[new] = None
    return list(found)
