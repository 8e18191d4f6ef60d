"""What a TFLite file says of its main subgraph: names that are unique, operators with their settings, constants."""

import mmap
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, Final

import numpy as np

from lwmport import extras
from lwmport.errors import ArtifactError
from lwmport.runtime.pieces.spec import Operator
from lwmport.types import Array, TensorSpec, dtype_of

ENUMERATIONS: Final = {
    "algorithm": "RngAlgorithm",
    "combiner": "CombinerType",
    "compareType": "StablehloComparisonType",
    "comparisonDirection": "StablehloComparisonDirection",
    "fusedActivationFunction": "ActivationFunctionType",
    "idxOutType": "TensorType",
    "inDataType": "TensorType",
    "kernelType": "LSTMKernelType",
    "keyDtype": "TensorType",
    "mode": "MirrorPadMode",
    "outDataType": "TensorType",
    "outType": "TensorType",
    "outputType": "TensorType",
    "padding": "Padding",
    "quantizedBiasType": "TensorType",
    "reduceFunction": "ReduceWindowFunction",
    "valueDtype": "TensorType",
    "weightsFormat": "FullyConnectedOptionsWeightsFormat",
}
"""Field of an options table -> the enumeration of the schema that its numbers are of."""

PACKED: Final = {"INT2": 2, "INT4": 4, "UINT4": 4}
"""Types of which a byte holds several values, the first one in its low bits -> bits of a value."""

_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


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
        self.types = _words(self.schema.TensorType)
        self._codes = _words(self.schema.BuiltinOperator)
        _check(model, len(data))
        self.main = model.subgraphs[0]
        self.names = _unique([_text(tensor.name) for tensor in self.main.tensors])
        self.made = {each for place in range(len(self.main.operators)) for each in self.outputs(place)}
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
        return Operator(name=name, type=kind, inputs=inputs, outputs=outputs, attributes=self._settings(found))

    def outputs(self, place: int) -> list[int]:
        """Return the tensors that an operator makes."""
        return [each for each in ints(self.main.operators[place].outputs) if each >= 0]

    def read(self, operators: Sequence[int]) -> set[int]:
        """Return the tensors that some operators read and none of them makes."""
        made = {each for place in operators for each in self.outputs(place)}
        return {each for place in operators for each in ints(self.main.operators[place].inputs) if each >= 0} - made

    def kind(self, operator: Any) -> str:
        """Return what an operator computes: the schema's word, or the own one of a custom operator."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        word = self._codes.get(number, f"operator {number}")
        return _text(code.customCode) or word if word == "CUSTOM" else word

    def content(self, tensor: Any) -> Array:
        """Return the bytes of a tensor as they lie in the file, none where it has no value there."""
        buffer = self.model.buffers[tensor.buffer]
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
        content = self.content(tensor)
        needed = -(-prod(shape) * PACKED.get(word, 8 * dtype_of(spec.dtype).itemsize) // 8)
        if content.nbytes != needed:
            raise ArtifactError(f"expected {needed} bytes for {spec.dtype} {shape} {spec.name}, found {content.nbytes}")
        if word in PACKED:
            return _unpacked(content, word, prod(shape)).astype(dtype_of(spec.dtype)).reshape(shape)
        return content.view(dtype_of(spec.dtype)).reshape(shape)

    def bodies(self, operator: Any) -> list[int]:
        """Return the subgraphs that an operator runs."""
        found: list[int] = []
        for options in (operator.builtinOptions, operator.builtinOptions2):
            for name, value in vars(options).items() if options is not None else ():
                if is_body(name):
                    found += [value] if isinstance(value, int) else ints(value)
        return [index for index in found if index >= 0]

    def _settings(self, operator: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for options in (operator.builtinOptions, operator.builtinOptions2):
            for name, value in vars(options).items() if options is not None else ():
                found[_CAPITAL.sub("_", name).lower()] = self._plain(name, value)
        if operator.customOptions is not None:
            found["custom_options"] = np.asarray(operator.customOptions, np.uint8)
        return found

    def _plain(self, name: str, value: Any) -> Any:
        if is_body(name):
            many = [self._body(index) for index in ([value] if isinstance(value, int) else ints(value))]
            return many[0] if isinstance(value, int) else many
        if name in ENUMERATIONS and isinstance(value, int):
            return _words(getattr(self.schema, ENUMERATIONS[name])).get(value, value)
        if isinstance(value, bytes):
            return _text(value)
        if isinstance(value, np.ndarray):
            return value.tolist()
        return value if isinstance(value, bool | int | float | str | list) else str(value or "")

    def _body(self, index: int) -> str:
        if index < 0:
            return ""
        kinds = Counter(self.kind(each) for each in self.model.subgraphs[index].operators or ())
        return f"subgraph {index}: " + ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))

    def _is_constant(self, place: int) -> bool:
        """Return whether the file has the value; a tensor without elements needs no bytes, and variables are zero."""
        tensor = self.main.tensors[place]
        if place in self.made or place in ints(self.main.inputs):
            return False
        return tensor.isVariable or len(self.content(tensor)) > 0 or 0 in ints(tensor.shape)

    def _fixed(self) -> set[int]:
        found = {place for place in self.constants if not self.main.tensors[place].isVariable}
        for each in self.main.operators:
            read = [place for place in ints(each.inputs) if place >= 0]
            if read and found.issuperset(read):
                found.update(ints(each.outputs))
        return found


def ints(vector: Any) -> list[int]:
    """Return a vector of the tables as plain numbers."""
    return [] if vector is None else [int(value) for value in vector]


def is_body(field: str) -> bool:
    """Return whether a field of options says which subgraphs an operator runs."""
    return field == "subgraph" or field.endswith(("SubgraphIndex", "SubgraphIndices"))


def packed(array: Array, word: str) -> Array:
    """Return the bytes that a TFLite file has for some values."""
    plain = np.ascontiguousarray(array).reshape(-1)
    if word not in PACKED:
        return plain.view(np.uint8)
    bits = PACKED[word]
    each = 8 // bits
    numbers = plain.astype(np.int8).view(np.uint8) & ((1 << bits) - 1)
    filled = np.concatenate([numbers, np.zeros(-len(numbers) % each, np.uint8)]).reshape(-1, each)
    found: Array = np.bitwise_or.reduce(filled << (np.arange(each, dtype=np.uint8) * bits), axis=1)
    return found


def _unpacked(content: Array, word: str, count: int) -> Array:
    bits = PACKED[word]
    shifts = np.arange(8 // bits, dtype=np.uint8) * bits
    numbers = ((content[:, None] >> shifts) & ((1 << bits) - 1)).reshape(-1)[:count].astype(np.int8)
    sign = 0 if word.startswith("U") else 1 << (bits - 1)
    found: Array = np.subtract(np.bitwise_xor(numbers, sign), sign)
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
            _check_indices("subgraph", iter(tables.bodies(each)), len(tables.model.subgraphs))


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


def _text(name: bytes | None) -> str:
    return (name or b"").decode("utf-8", "replace")


def _words(enumeration: type) -> dict[int, str]:
    return {number: name for name, number in vars(enumeration).items() if isinstance(number, int)}
