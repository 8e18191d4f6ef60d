"""Reading any TFLite file for checking; its buffers are left where they are."""

import mmap
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport.errors import ArtifactError, UsageError
from lwmport.targets.graphs.external import reader
from lwmport.targets.graphs.record import UNNAMED, Constant, Graph, Node, Shapes, Value, numbered
from lwmport.targets.graphs.tflite_signature import public_names
from lwmport.types import Array, Dim, dtype_of
from lwmport.wire import mapped

IDENTIFIER: Final = b"TFL3"
CUSTOM: Final = "custom"
"""The domain of custom operators."""


def read(path: Path, shapes: Shapes | None = None) -> Graph:
    """Return the graph of a TFLite file.

    Raises:
        ArtifactError: it is no whole TFLite file.
        UsageError: shapes are given, which the file settles by itself.
        MissingExtraError: the schema's classes are not installed.
    """
    from lwmport.converters.tflite.schema import schema

    if shapes:
        raise UsageError("expected --input-shape for an ONNX file, found a TFLite file; convert it with that batch")
    data = mapped(path)
    try:
        if data[4:8] != IDENTIFIER:
            raise ArtifactError(f"expected a TFLite file at {path}, found none of its marks")
        return _graph(_Reader(schema, path, data))
    except (IndexError, struct.error, ValueError, TypeError, OverflowError) as error:
        raise ArtifactError(f"expected a whole TFLite file at {path}, found its tables cut ({error})") from error


class _Reader:
    """Accessors of the schema, none of whose vectors is longer than the file."""

    def __init__(self, schema: Any, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self.data = data
        self.model = schema.Model.GetRootAs(memoryview(data), 0)
        self.operators = _names(schema.BuiltinOperator)
        self.dtypes = {number: name.lower() for number, name in _names(schema.TensorType).items()}

    def many(self, count: int, item: Callable[[int], Any]) -> Iterator[Any]:
        """Yield the items of a vector.

        Raises:
            ValueError: the vector is longer than the file could hold.
        """
        if not 0 <= count <= len(self.data) // 4:
            raise ValueError(f"a vector of {count} items")
        return (item(index) for index in range(count))


def _graph(reader_: _Reader) -> Graph:
    model = reader_.model
    codes = [_code(reader_, code) for code in reader_.many(model.OperatorCodesLength(), model.OperatorCodes)]
    values: dict[str, Value] = {}
    constants: dict[str, Constant] = {}
    nodes: list[Node] = []
    main: tuple[tuple[Value, ...], tuple[Value, ...]] = ((), ())
    public: Mapping[str, str] = {}
    signatures = list(reader_.many(model.SignatureDefsLength(), model.SignatureDefs))
    for index, subgraph in enumerate(reader_.many(model.SubgraphsLength(), model.Subgraphs)):
        scope = f"subgraph {index}" if index else ""
        tensors = [
            _tensor(reader_, tensor, f"{scope}#{place}", constants)
            for place, tensor in enumerate(reader_.many(subgraph.TensorsLength(), subgraph.Tensors))
        ]
        values |= {tensor.name: tensor for tensor in tensors}
        ends = [
            tuple(tensors[place] for place in reader_.many(count, item))
            for count, item in (
                (subgraph.InputsLength(), subgraph.Inputs),
                (subgraph.OutputsLength(), subgraph.Outputs),
            )
        ]
        if not index:
            main = (ends[0], ends[1])
            public = public_names(signatures, [tensor.name for tensor in tensors], len(reader_.data) // 4)
        operators = reader_.many(subgraph.OperatorsLength(), subgraph.Operators)
        nodes += [_node(reader_, operator, codes, tensors, scope) for operator in operators]
    return Graph(
        path=reader_.path,
        form="tflite",
        nodes=tuple(nodes),
        inputs=numbered(main[0]),
        outputs=main[1],
        values=values,
        constants=constants,
        file_bytes=len(reader_.data),
        opsets={"": model.Version()},
        public=public,
    )


def _code(reader_: _Reader, code: Any) -> tuple[str, str, int]:
    """Return domain, name and version of an operator code; old files keep the number in a byte of its own."""
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    name = reader_.operators.get(number, f"operator {number}")
    if name == "CUSTOM":
        return CUSTOM, (code.CustomCode() or b"?").decode("utf-8", "replace"), code.Version()
    return "", name, code.Version()


def _tensor(reader_: _Reader, tensor: Any, place: str, constants: dict[str, Constant]) -> Value:
    name = (tensor.Name() or b"").decode("utf-8", "replace") or place
    shape = _ints(reader_, tensor.ShapeLength(), tensor.Shape)
    signature = _ints(reader_, tensor.ShapeSignatureLength(), tensor.ShapeSignature) or shape
    dtype = reader_.dtypes.get(tensor.Type(), "")
    buffer = reader_.model.Buffers(tensor.Buffer()) if tensor.Buffer() < reader_.model.BuffersLength() else None
    if buffer is not None:
        found = _constant(reader_, buffer, (name, shape, dtype))
        constants |= {name: found} if found else {}
    dims: tuple[Dim, ...] = tuple(UNNAMED if size < 0 else size for size in signature)
    return Value(name=name, shape=dims, dtype=dtype)


def _constant(reader_: _Reader, buffer: Any, of: tuple[str, tuple[int, ...], str]) -> Constant | None:
    name, shape, dtype = of
    if buffer.Offset() > 1:
        start, size = int(buffer.Offset()), int(buffer.Size())
    elif buffer.DataLength():
        content = buffer.DataAsNumpy()
        start, size = -1, int(content.nbytes)
    else:
        return None
    if start + size > len(reader_.data):
        raise ValueError(f"the buffer of {name} ends behind the file")
    blocks: Callable[[], Iterable[Array]] = lambda: ()  # noqa: E731 - what cannot be read yields nothing
    if dtype in _READABLE and start >= 0:
        blocks = reader(reader_.path, start, size, dtype)
    elif dtype in _READABLE and size % dtype_of(dtype).itemsize == 0:
        blocks = lambda: (np.frombuffer(content.tobytes(), dtype_of(dtype)),)  # noqa: E731 - as above
    keys = ("offset", "size") if start >= 0 else ()
    return Constant(name=name, shape=shape, dtype=dtype, nbytes=size, keys=keys, blocks=blocks)


_READABLE: Final = {
    *("float16", "float32", "float64", "bfloat16", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
}


def _node(reader_: _Reader, operator: Any, codes: list[tuple[str, str, int]], tensors: list[Value], scope: str) -> Node:
    domain, name, version = codes[operator.OpcodeIndex()]
    inputs = _ints(reader_, operator.InputsLength(), operator.Inputs)
    outputs = _ints(reader_, operator.OutputsLength(), operator.Outputs)
    named = tuple(tensors[place].name for place in outputs)
    return Node(
        name=next(iter(named), ""),
        op=name,
        domain=domain,
        inputs=tuple(tensors[place].name if place >= 0 else "" for place in inputs),
        outputs=named,
        scope=scope,
        version=version,
    )


def _ints(reader_: _Reader, count: int, item: Callable[[int], Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in reader_.many(count, item))


def _names(enum: type) -> dict[int, str]:
    return {number: name for name, number in vars(enum).items() if isinstance(number, int)}
