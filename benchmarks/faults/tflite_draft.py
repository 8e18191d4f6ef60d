"""A TFLite model that is open for a change, by its schema's object API; values behind the flatbuffer stay there."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from faults.draft import Array, Draft, NoPlaceError, Operator, Value
from lwmport.converters.tflite.flatbuffer import IDENTIFIER, External, Inline
from lwmport.converters.tflite.schema import flatbuffers, schema

TYPES = {
    "CONV_2D": "Conv",
    "DEPTHWISE_CONV_2D": "Conv",
    "FULLY_CONNECTED": "Gemm",
    "BATCH_MATMUL": "MatMul",
    "ADD": "Add",
    "SUB": "Sub",
    "MUL": "Mul",
    "DIV": "Div",
    "POW": "Pow",
    "MAXIMUM": "Max",
    "MINIMUM": "Min",
    "LOGISTIC": "Sigmoid",
    "TANH": "Tanh",
    "EXP": "Exp",
    "GELU": "Gelu",
    "SQRT": "Sqrt",
    "MEAN": "ReduceMean",
    "SUM": "ReduceSum",
    "REDUCE_MAX": "ReduceMax",
    "SOFTMAX": "Softmax",
    "TRANSPOSE": "Transpose",
    "RESHAPE": "Reshape",
    "CONCATENATION": "Concat",
    "SLICE": "Slice",
    "GATHER": "Gather",
    "PAD": "Pad",
    "PADV2": "Pad",
    "ARG_MIN": "ArgMin",
    "ARG_MAX": "ArgMax",
    "SELECT_V2": "Where",
    "RESIZE_NEAREST_NEIGHBOR": "Resize",
    "DEPTH_TO_SPACE": "DepthToSpace",
    "CAST": "Cast",
    "GREATER": "Greater",
    "GREATER_EQUAL": "GreaterOrEqual",
    "LESS": "Less",
    "LESS_EQUAL": "LessOrEqual",
    "LOGICAL_AND": "And",
    "LOGICAL_OR": "Or",
}
WRITTEN = {type_: written for written, type_ in reversed(TYPES.items())}
NUMBERS = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
DTYPES: dict[int, np.dtype[Any]] = {
    schema.TensorType.FLOAT32: np.dtype(np.float32),
    schema.TensorType.FLOAT16: np.dtype(np.float16),
    schema.TensorType.INT32: np.dtype(np.int32),
    schema.TensorType.INT64: np.dtype(np.int64),
    schema.TensorType.BOOL: np.dtype(np.bool_),
    schema.TensorType.INT8: np.dtype(np.int8),
}
REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax")
OPTIONS = ("Add", "Sub", "Mul", "Div", "MaximumMinimum")
BEHIND = 64
"""Bytes: values behind the flatbuffer keep their alignment when it grows by a multiple of this."""


class TfliteDraft(Draft):
    """One ``.tflite`` file with one subgraph."""

    kernel_axes = ((0, 3), (1, 2))
    has_half = False

    def __init__(self, path: Path) -> None:
        self.added: list[str] = []
        self._bytes = path.read_bytes()
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(self._bytes, 0))
        self._graph = self._model.subgraphs[0]
        self.operators = [
            Operator(
                type=TYPES.get(self._written(raw), self._written(raw)),
                written=self._written(raw),
                name=self._graph.tensors[raw.outputs[0]].name.decode(),
                index=index,
                raw=raw,
            )
            for index, raw in enumerate(self._graph.operators)
        ]
        self._wide = {
            int(operator.raw.outputs[0]): int(operator.raw.inputs[0])
            for operator in self.operators
            if operator.written == "DEQUANTIZE" and self._values(int(operator.raw.inputs[0])) is not None
        }
        """What the file widens before it is read: a constant all the same."""

    def inputs(self, operator: Operator) -> list[Value | None]:
        """Return what it reads, None for what is left out."""
        return [None if number < 0 else int(number) for number in operator.raw.inputs]

    def outputs(self, operator: Operator) -> list[Value]:
        """Return what it gives."""
        return [int(number) for number in operator.raw.outputs]

    def shape(self, value: Value) -> tuple[Any, ...] | None:
        """Return the shape of a tensor."""
        found = self._tensor(value)
        sizes = found.shapeSignature if found.shapeSignature is not None else found.shape
        return () if sizes is None else tuple(int(size) for size in sizes)

    def is_float(self, value: Value) -> bool:
        """Return whether a tensor is of floats."""
        return bool(self._tensor(value).type == schema.TensorType.FLOAT32)

    def constant_shape(self, operator: Operator, slot: int) -> tuple[int, ...] | None:
        """Return the shape of an input that is a constant; None if it is computed or left out."""
        number = self._source(operator, slot)
        return None if number is None else self.shape(number)

    def constant(self, operator: Operator, slot: int) -> Array:
        """Return the values of a constant input, as the operator reads them."""
        number = self._source(operator, slot)
        if number is None or self._tensor(number).type not in DTYPES:
            raise LookupError(f"expected a constant that can be read as input {slot} of {operator.name}, found none")
        flat = np.frombuffer(self._values(number) or b"", DTYPES[self._tensor(number).type])
        found: Array = flat.reshape(self.shape(number) or ())
        read = int(operator.raw.inputs[slot])
        return found if read == number else found.astype(DTYPES[self._tensor(read).type])

    def constant_name(self, operator: Operator, slot: int) -> str:
        """Return the name of a constant input."""
        return str(self._tensor(self._source(operator, slot)).name.decode())

    def set_constant(self, operator: Operator, slot: int, values: Array) -> None:
        """Give one operator another constant, stored as the old one; whoever else reads that keeps it."""
        read = int(operator.raw.inputs[slot])
        number = self._source(operator, slot)
        old = self._tensor(number)
        stored = np.ascontiguousarray(values.astype(DTYPES[old.type]))
        self._model.buffers.append(Inline(data=stored.tobytes()))
        if stored.shape == self.shape(number) and self._readers(read) == 1 and self._readers(number) == 1:
            old.buffer = len(self._model.buffers) - 1
            return
        name = f"{old.name.decode()}/changed"
        made = self._add(old, name=name, buffer=len(self._model.buffers) - 1, shape=values.shape)
        if read in self._wide:
            made = self._widened(operator, read, made, values.shape)
        self.connect(operator, slot, made)

    def _readers(self, number: Value) -> int:
        return sum(list(raw.inputs).count(number) for raw in self._graph.operators)

    def _widened(self, operator: Operator, read: int, stored: int, shape: tuple[int, ...]) -> int:
        """Put what widens a stored constant in front of an operator, and return what that gives."""
        name = f"{self._tensor(read).name.decode()}/changed"
        made = self._add(self._tensor(read), name=name, buffer=0, shape=shape)
        widen = schema.OperatorT(opcodeIndex=self._code("DEQUANTIZE"), inputs=[stored], outputs=[made])
        place = next(i for i, raw in enumerate(self._graph.operators) if raw is operator.raw)
        self._graph.operators.insert(place, widen)
        self.added.append(name)
        return made

    def connect(self, operator: Operator, slot: int, value: Value | None) -> None:
        """Let an operator read another tensor."""
        numbers = [int(number) for number in operator.raw.inputs]
        numbers[slot] = -1 if value is None else int(str(value))
        operator.raw.inputs = numbers

    def exchange_outputs(self, first: Operator, second: Operator) -> None:
        """Let two operators give each other's tensor."""
        first.raw.outputs, second.raw.outputs = second.raw.outputs, first.raw.outputs

    def retype(self, operator: Operator, type_: str) -> None:
        """Make another operator of one, its inputs as they are."""
        written = WRITTEN[type_]
        operator.raw.opcodeIndex = self._code(written)
        if operator.type in REDUCTIONS and type_ in REDUCTIONS:
            return  # with one and the same options
        word = {"MAXIMUM": "MaximumMinimum", "MINIMUM": "MaximumMinimum"}.get(written, type_)
        known = word in OPTIONS
        operator.raw.builtinOptionsType = getattr(schema.BuiltinOptions, f"{word}Options") if known else 0
        operator.raw.builtinOptions = getattr(schema, f"{word}OptionsT")() if known else None

    def attribute(self, operator: Operator, name: str) -> Any:
        """Return a setting by the schema's name; None where it has none."""
        return getattr(operator.raw.builtinOptions, name, None)

    def set_attribute(self, operator: Operator, name: str, value: Any) -> None:
        """Change a setting."""
        setattr(operator.raw.builtinOptions, name, value)

    def round_input(self, operator: Operator, slot: int) -> None:
        """Put a cast to float16 and one back in front of an input."""
        source = int(operator.raw.inputs[slot])
        place = next(i for i, raw in enumerate(self._graph.operators) if raw is operator.raw)
        old, added = self._tensor(source), source
        for offset, type_ in enumerate((schema.TensorType.FLOAT16, schema.TensorType.FLOAT32)):
            name = f"{operator.name}/{'wide' if offset else 'narrow'}"
            made = self._add(old, name=name, buffer=0, shape=self.shape(source) or (), type_=type_)
            options = schema.CastOptionsT(inDataType=self._tensor(added).type, outDataType=type_)
            cast = schema.OperatorT(
                opcodeIndex=self._code("CAST"),
                inputs=[added],
                outputs=[made],
                builtinOptionsType=schema.BuiltinOptions.CastOptions,
                builtinOptions=options,
            )
            self._graph.operators.insert(place + offset, cast)
            self.added.append(name)
            added = made
        self.connect(operator, slot, added)

    def narrow(self, operator: Operator) -> None:
        """Refuse: LiteRT's kernels on a CPU take no float16."""
        raise NoPlaceError(operator.name)

    def graph_inputs(self) -> dict[str, tuple[Any, ...]]:
        """Return the shapes of the model's inputs by name."""
        return {self._tensor(i).name.decode(): self.shape(i) or () for i in map(int, self._graph.inputs)}

    def save(self, path: Path) -> None:
        """Write the model, and let LiteRT plan its memory."""
        packed = self._packed()
        try:
            Interpreter(model_content=packed, num_threads=1).allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise NoPlaceError(str(error)) from error
        changed = path.with_name(f"{path.name}.planted")
        changed.write_bytes(packed)
        os.replace(changed, path)  # noqa: PTH105 - one call, on the same disk

    def _packed(self) -> bytes:
        """Return the file: values behind the flatbuffer as they were, their offsets moved by what it grew."""
        places = [buffer.offset for buffer in self._model.buffers if getattr(buffer, "offset", 0) > 1]
        if not places:
            return self._flat(0)
        start = min(places)
        grown = -(-len(self._flat(0)) // BEHIND) * BEHIND
        grown += (start - grown) % BEHIND
        flat = self._flat(grown - start)
        return flat.ljust(grown, b"\0") + self._bytes[start:]

    def _flat(self, moved: int) -> bytes:
        buffers = self._model.buffers
        self._model.buffers = [_buffer(buffer, moved) for buffer in buffers]
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self._model.Pack(builder), file_identifier=IDENTIFIER)
        self._model.buffers = buffers
        return bytes(builder.Output())

    def _written(self, raw: Any) -> str:
        code = self._model.operatorCodes[raw.opcodeIndex]
        return str(NUMBERS[max(code.builtinCode, code.deprecatedBuiltinCode)])

    def _code(self, written: str) -> int:
        """Return the number of an operator's code in the file, which gets it if it has none."""
        number = getattr(schema.BuiltinOperator, written)
        for index, code in enumerate(self._model.operatorCodes):
            if max(code.builtinCode, code.deprecatedBuiltinCode) == number:
                return index
        code = schema.OperatorCodeT(deprecatedBuiltinCode=min(number, 127), version=1, builtinCode=number)
        self._model.operatorCodes.append(code)
        return len(self._model.operatorCodes) - 1

    def _tensor(self, value: Any) -> Any:
        return self._graph.tensors[value]

    def _add(self, like: Any, *, name: str, buffer: int, shape: tuple[Any, ...], type_: int | None = None) -> int:
        sizes = [int(size) for size in shape]
        tensor = schema.TensorT(
            shape=[1 if size < 0 else size for size in sizes],
            shapeSignature=sizes if -1 in sizes else None,
            type=like.type if type_ is None else type_,
            buffer=buffer,
            name=name,
            hasRank=True,
        )
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _source(self, operator: Operator, slot: int) -> int | None:
        if slot >= len(operator.raw.inputs) or operator.raw.inputs[slot] < 0:
            return None
        number = int(operator.raw.inputs[slot])
        number = self._wide.get(number, number) if operator.written != "DEQUANTIZE" else number
        return number if self._values(number) is not None else None

    def _values(self, number: int) -> bytes | None:
        buffer = self._model.buffers[self._tensor(number).buffer]
        if getattr(buffer, "offset", 0) > 1:
            return self._bytes[buffer.offset : buffer.offset + buffer.size]
        return None if buffer.data is None or not len(buffer.data) else bytes(buffer.data)


def _buffer(buffer: Any, moved: int) -> Any:
    """Return a buffer as it is to be packed: values inside aligned, those behind at their new place."""
    if isinstance(buffer, Inline):
        return buffer
    if buffer.offset > 1:
        return External(offset=buffer.offset + moved, size=buffer.size)
    return schema.BufferT() if buffer.data is None else Inline(data=bytes(buffer.data))
