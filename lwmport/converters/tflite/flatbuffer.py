"""The model as a flatbuffer: tables, options, signature and metadata, packed by the classes of the schema."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from lwmport.converters.tflite.graph import Blocks, Channels, GraphBuilder, Operation, Tensor
from lwmport.converters.tflite.options import options_of, tensor_type
from lwmport.converters.tflite.schema import flatbuffers, schema
from lwmport.converters.tflite.sizes import shape_signature, static_shape
from lwmport.converters.tflite.versions import min_runtime, version_of
from lwmport.types import Levels

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
        """Return every tensor, in the order in which the operators meet them; scales of blocks behind their codes."""
        met = [tensor for operation in self.graph.operations for tensor in (*operation.inputs, operation.output)]
        found = [tensor for tensor in (*self.inputs.values(), *met, *self.outputs.values()) if tensor is not None]
        with_scales = (each for tensor in found for each in (tensor, _scales_of(tensor)))
        return list(dict.fromkeys(tensor for tensor in with_scales if tensor is not None))

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


@dataclass(kw_only=True)
class ChannelScales:
    """The parameters of a tensor with a scale for each channel, which are zeros until they are known.

    ``behind`` says where the first of them lies, in bytes from the end of the flatbuffer.
    """

    count: int
    behind: int = field(default=0, init=False)

    def Pack(self, builder: Any) -> Any:  # noqa: N802 - as above
        """Write the table, and return where."""
        scales = builder.CreateNumpyVector(np.zeros(self.count, np.float32))
        self.behind = scales - VECTOR_HEAD
        zero_points = builder.CreateNumpyVector(np.zeros(self.count, np.int64))
        schema.QuantizationParametersStart(builder)
        schema.QuantizationParametersAddScale(builder, scales)
        schema.QuantizationParametersAddZeroPoint(builder, zero_points)
        return schema.QuantizationParametersEnd(builder)


Place = Inline | External | Trailing


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A flatbuffer, and where in it the scales of each tensor are to be written that has one for each channel."""

    data: bytes
    scales: Mapping[Tensor, int]


def pack(model: Model, buffers: Mapping[Tensor, Place]) -> Packed:
    """Return the flatbuffer; its length does not depend on the offsets."""
    operations = model.graph.operations
    codes = list(dict.fromkeys((operation.op, version_of(operation)) for operation in operations))
    constants = list(buffers.values())
    metadata = _metadata(model)
    channels = {
        tensor: ChannelScales(count=tensor.scales.count)
        for tensor in model.tensors()
        if isinstance(tensor.scales, Channels)
    }
    packed = schema.ModelT(
        version=SCHEMA_VERSION,
        operatorCodes=[_code(op, version) for op, version in codes],
        subgraphs=[_subgraph(model, list(buffers), codes, channels)],
        description="lwmport",
        buffers=[schema.BufferT(), *constants, *metadata.values()],
        metadata=[schema.MetadataT(name=name, buffer=1 + len(constants) + i) for i, name in enumerate(metadata)],
        signatureDefs=[_signature(model)],
    )
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(packed.Pack(builder), file_identifier=IDENTIFIER)
    data = bytes(builder.Output())
    return Packed(data=data, scales={tensor: len(data) - each.behind for tensor, each in channels.items()})


def _scales_of(tensor: Tensor) -> Tensor | None:
    return tensor.scales.scales if isinstance(tensor.scales, Blocks) else None


def _metadata(model: Model) -> dict[str, Inline]:
    """Return the entries: the runtime's own key, 16 bytes filled up with zeros, and ours."""
    runtime = min_runtime(model.graph.operations).encode().ljust(16, b"\0")
    details = json.dumps(model.details, sort_keys=True).encode()
    return {"min_runtime_version": Inline(data=runtime), "lwmport": Inline(data=details)}


def _subgraph(
    model: Model,
    constants: list[Tensor],
    codes: list[tuple[str, int]],
    channels: Mapping[Tensor, ChannelScales],
) -> Any:
    tensors = model.tensors()
    index = {tensor: place for place, tensor in enumerate(tensors)}
    buffer = {tensor: place + 1 for place, tensor in enumerate(constants)}
    names = {tensor: name for name, tensor in model.outputs.items()}
    return schema.SubGraphT(
        tensors=[
            _tensor(
                tensor,
                names.get(tensor, tensor.name),
                buffer.get(tensor, 0),
                channels.get(tensor) or _parameters(tensor, index),
            )
            for tensor in tensors
        ],
        inputs=[index[tensor] for tensor in model.inputs.values()],
        outputs=[index[tensor] for tensor in model.outputs.values()],
        operators=[_operator(operation, index, codes) for operation in model.graph.operations],
        name=model.graph.name,
    )


def _parameters(tensor: Tensor, index: Mapping[Tensor, int]) -> Any:
    """Return the parameters of a tensor of blocks, or of one of codes that are computed; None for any other."""
    if isinstance(tensor.scales, Levels):
        scale, zero = tensor.scales.scale, tensor.scales.zero
        return schema.QuantizationParametersT(scale=[scale], zeroPoint=[zero])
    if not isinstance(tensor.scales, Blocks):
        return None
    details = schema.BlockwiseQuantizationT(
        scales=index[tensor.scales.scales], zeroPoints=-1, blockSize=tensor.scales.size
    )
    return schema.QuantizationParametersT(
        detailsType=schema.QuantizationDetails.BlockwiseQuantization, details=details, quantizedDimension=0
    )


def _tensor(tensor: Tensor, name: str, buffer: int, quantisation: Any) -> Any:
    return schema.TensorT(
        shape=list(static_shape(tensor.shape)),
        type=tensor_type(tensor.dtype),
        buffer=buffer,
        name=name,
        shapeSignature=shape_signature(tensor.shape),
        hasRank=True,
        quantization=quantisation,
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
