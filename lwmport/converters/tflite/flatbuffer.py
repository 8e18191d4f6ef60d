"""The model as a flatbuffer: tables, options, signature and metadata, packed by the classes of the schema."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lwmport.converters.tflite.graph import GraphBuilder, Operation, Tensor
from lwmport.converters.tflite.options import options_of, tensor_type
from lwmport.converters.tflite.schema import flatbuffers, schema
from lwmport.converters.tflite.sizes import shape_signature, static_shape
from lwmport.converters.tflite.versions import min_runtime, version_of

SIGNATURE: Final = "serving_default"
SCHEMA_VERSION: Final = 3
IDENTIFIER: Final = b"TFL3"
ALIGNMENT: Final = 16
"""What the schema asks of buffers; the generated code does not align the arrays that it is given."""
VECTOR_HEAD: Final = 4
"""Bytes before the values of a vector: how many there are. A reference to it takes as many."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """What a file says: the graph, its inputs and outputs by name, and details for the metadata entry ``lwmport``.

    ``embedded`` weights are vectors of the flatbuffer; others lie behind it.
    """

    graph: GraphBuilder
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    details: Mapping[str, Any]
    embedded: bool = False

    def tensors(self) -> list[Tensor]:
        """Return every tensor, in the order in which the operators meet them."""
        met = [tensor for operation in self.graph.operations for tensor in (*operation.inputs, operation.output)]
        found = [*self.inputs.values(), *met, *self.outputs.values()]
        return list(dict.fromkeys(tensor for tensor in found if tensor is not None))

    def constants(self) -> list[Tensor]:
        """Return the tensors whose values the file holds."""
        return [tensor for tensor in self.tensors() if tensor.produce is not None]


@dataclass(frozen=True, kw_only=True)
class Inline:
    """A buffer inside the flatbuffer."""

    data: bytes

    def Pack(self, builder: Any) -> Any:  # noqa: N802 - the generated code calls it by this name
        """Write the buffer, aligned, and return where."""
        builder.StartVector(1, len(self.data), ALIGNMENT)
        builder.head = builder.Head() - len(self.data)
        builder.Bytes[builder.Head() : builder.Head() + len(self.data)] = self.data
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)


@dataclass(frozen=True, kw_only=True)
class External:
    """A buffer behind the flatbuffer, ``offset`` bytes from the start of the file; an offset below 2 means none."""

    offset: int
    size: int

    def Pack(self, builder: Any) -> Any:  # noqa: N802 - as above
        """Write the reference and return where."""
        return schema.BufferT(offset=self.offset, size=self.size).Pack(builder)


@dataclass(frozen=True, kw_only=True)
class Trailing:
    """A buffer inside the flatbuffer, whose vector comes after all that is packed, so that it can be streamed.

    ``offset`` is that of its first value, from the start of the file, with its size in the 4 bytes before; ``length``
    is that of the flatbuffer as packed. References point forward by any distance below 2 GiB.
    """

    offset: int
    size: int
    length: int

    def Pack(self, builder: Any) -> Any:  # noqa: N802 - as above
        """Write the table, with the distance from its field to the vector, and return where."""
        schema.BufferStart(builder)
        builder.Prep(VECTOR_HEAD, 0)
        place = self.length - builder.Offset() - VECTOR_HEAD
        builder.PrependUint32Slot(0, self.offset - VECTOR_HEAD - place, 0)
        return schema.BufferEnd(builder)


Place = Inline | External | Trailing


def pack(model: Model, buffers: Mapping[Tensor, Place]) -> bytes:
    """Return the flatbuffer; its length does not depend on the offsets."""
    operations = model.graph.operations
    codes = list(dict.fromkeys((operation.op, version_of(operation)) for operation in operations))
    constants = list(buffers.values())
    metadata = _metadata(model)
    packed = schema.ModelT(
        version=SCHEMA_VERSION,
        operatorCodes=[_code(op, version) for op, version in codes],
        subgraphs=[_subgraph(model, list(buffers), codes)],
        description="lwmport",
        buffers=[schema.BufferT(), *constants, *metadata.values()],
        metadata=[schema.MetadataT(name=name, buffer=1 + len(constants) + i) for i, name in enumerate(metadata)],
        signatureDefs=[_signature(model)],
    )
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(packed.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def _metadata(model: Model) -> dict[str, Inline]:
    """Return the entries: the runtime's own key, 16 bytes filled up with zeros, and ours."""
    runtime = min_runtime(model.graph.operations).encode().ljust(16, b"\0")
    details = json.dumps(model.details, sort_keys=True).encode()
    return {"min_runtime_version": Inline(data=runtime), "lwmport": Inline(data=details)}


def _subgraph(model: Model, constants: list[Tensor], codes: list[tuple[str, int]]) -> Any:
    tensors = model.tensors()
    index = {tensor: place for place, tensor in enumerate(tensors)}
    buffer = {tensor: place + 1 for place, tensor in enumerate(constants)}
    names = {tensor: name for name, tensor in model.outputs.items()}
    return schema.SubGraphT(
        tensors=[_tensor(tensor, names.get(tensor, tensor.name), buffer.get(tensor, 0)) for tensor in tensors],
        inputs=[index[tensor] for tensor in model.inputs.values()],
        outputs=[index[tensor] for tensor in model.outputs.values()],
        operators=[_operator(operation, index, codes) for operation in model.graph.operations],
        name=model.graph.name,
    )


def _tensor(tensor: Tensor, name: str, buffer: int) -> Any:
    return schema.TensorT(
        shape=list(static_shape(tensor.shape)),
        type=tensor_type(tensor.dtype),
        buffer=buffer,
        name=name,
        shapeSignature=shape_signature(tensor.shape),
        hasRank=True,
    )


def _operator(operation: Operation, index: Mapping[Tensor, int], codes: Sequence[tuple[str, int]]) -> Any:
    kind, options = options_of(operation)
    return schema.OperatorT(
        opcodeIndex=codes.index((operation.op, version_of(operation))),
        inputs=[-1 if tensor is None else index[tensor] for tensor in operation.inputs],
        outputs=[index[operation.output]],
        builtinOptionsType=kind,
        builtinOptions=options,
    )


def _code(op: str, version: int) -> Any:
    """Return the code of an operator; readers older than the 128th operator look at the deprecated byte."""
    number = getattr(schema.BuiltinOperator, op)
    return schema.OperatorCodeT(deprecatedBuiltinCode=min(number, 127), version=version, builtinCode=number)


def _signature(model: Model) -> Any:
    index = {tensor: place for place, tensor in enumerate(model.tensors())}
    inputs, outputs = (
        [schema.TensorMapT(name=name, tensorIndex=index[tensor]) for name, tensor in named.items()]
        for named in (model.inputs, model.outputs)
    )
    return schema.SignatureDefT(inputs=inputs, outputs=outputs, signatureKey=SIGNATURE, subgraphIndex=0)
