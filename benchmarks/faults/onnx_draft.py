"""An ONNX model that is open for a change: values that lie outside the file stay there, but for the changed one."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import external_data_helper, helper, numpy_helper

from faults.draft import Array, Draft, NoPlaceError, Operator, Value

HALF = onnx.TensorProto.FLOAT16
FLOATS = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE, onnx.TensorProto.BFLOAT16}


class OnnxDraft(Draft):
    """One ``.onnx`` file; its data file is read where a constant is asked for, and never written."""

    kernel_axes = ((0, 1), (2, 3))
    has_half = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self.added: list[str] = []
        self._model = onnx.load(path, load_external_data=False)
        self._constants = {item.name: item for item in self._model.graph.initializer}
        self._types: dict[str, Any] = {}
        self._made: dict[tuple[int, str], Any] = {}
        """Scope and name -> what a Constant node of the scope gives."""
        found = list(self._walk(self._model.graph, ()))
        for function in self._model.functions:
            found += self._of_function(function)
        self.operators = [replace(operator, index=index) for index, operator in enumerate(found)]
        self._types |= {item.name: item.type.tensor_type for item in (*self._model.graph.input,)}

    def inputs(self, operator: Operator) -> list[Value | None]:
        """Return what it reads, None for what is left out."""
        return [name or None for name in operator.raw.input]

    def outputs(self, operator: Operator) -> list[Value]:
        """Return what it gives."""
        return list(operator.raw.output)

    def shape(self, value: Value) -> tuple[Any, ...] | None:
        """Return the shape of a tensor, with names where a size is open; None where the file does not say it."""
        if value in self._constants:
            return tuple(self._constants[str(value)].dims)
        found = self._types.get(str(value))
        if found is None or not found.HasField("shape"):
            return None
        return tuple(dim.dim_param or dim.dim_value for dim in found.shape.dim)

    def is_float(self, value: Value) -> bool:
        """Return whether a tensor's type is known to be a floating one."""
        found = self._types.get(str(value))
        return found is not None and found.elem_type in FLOATS

    def constant_shape(self, operator: Operator, slot: int) -> tuple[int, ...] | None:
        """Return the shape of an input that is a constant; None if it is computed or left out."""
        found = self._tensor(operator, slot)
        return None if found is None else tuple(found.dims)

    def constant(self, operator: Operator, slot: int) -> Array:
        """Return the values of a constant input."""
        found = onnx.TensorProto()
        found.CopyFrom(self._tensor(operator, slot))
        if external_data_helper.uses_external_data(found):
            external_data_helper.load_external_data_for_tensor(found, str(self._path.parent))
        return numpy_helper.to_array(found)

    def constant_name(self, operator: Operator, slot: int) -> str:
        """Return the name of a constant input."""
        return str(operator.raw.input[slot])

    def set_constant(self, operator: Operator, slot: int, values: Array) -> None:
        """Give one operator another constant, inside the file; whoever else reads the old one keeps it.

        The new one has the name of the old one where nobody else reads that.
        """
        old = operator.raw.input[slot]
        alone = sum(list(one.raw.input).count(old) for one in self.operators) == 1 and old in self._constants
        name = old if alone else self._free(f"{old or operator.name}/changed")
        tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
        if isinstance(operator.scope, onnx.FunctionProto):
            node = helper.make_node("Constant", [], [name], name=name, value=tensor)
            operator.scope.node.insert(list(operator.scope.node).index(operator.raw), node)
        elif alone:
            self._constants[old].CopyFrom(tensor)
        else:
            self._model.graph.initializer.append(tensor)
        self.connect(operator, slot, name)

    def connect(self, operator: Operator, slot: int, value: Value | None) -> None:
        """Let an operator read another tensor."""
        operator.raw.input[slot] = str(value or "")
        while operator.raw.input and not operator.raw.input[-1]:
            operator.raw.input.pop()

    def exchange_outputs(self, first: Operator, second: Operator) -> None:
        """Let two operators give each other's first tensor."""
        first.raw.output[0], second.raw.output[0] = second.raw.output[0], first.raw.output[0]

    def retype(self, operator: Operator, type_: str) -> None:
        """Make another operator of one, its inputs as they are."""
        operator.raw.op_type = type_

    def attribute(self, operator: Operator, name: str) -> Any:
        """Return a setting; None where it has none, or takes it from the function's caller."""
        found = next((item for item in operator.raw.attribute if item.name == name and not item.ref_attr_name), None)
        return None if found is None else helper.get_attribute_value(found)

    def set_attribute(self, operator: Operator, name: str, value: Any) -> None:
        """Change a setting."""
        kept = [item for item in operator.raw.attribute if item.name != name]
        del operator.raw.attribute[:]
        operator.raw.attribute.extend([*kept, helper.make_attribute(name, value)])

    def round_input(self, operator: Operator, slot: int) -> None:
        """Put a cast to float16 and one back in front of an input."""
        narrow = self._cast(operator, operator.raw.input[slot], "narrow", HALF)
        operator.raw.input[slot] = self._cast(operator, narrow, "wide", onnx.TensorProto.FLOAT)

    def narrow(self, operator: Operator) -> None:
        """Let an operator compute in float16, between casts; its whole numbers stay."""
        given = operator.raw.output[0]
        if self._types[given].elem_type != onnx.TensorProto.FLOAT:
            raise NoPlaceError
        for slot, name in enumerate(operator.raw.input):
            floating = name in self._constants and self._constants[name].data_type in FLOATS
            if floating or self.is_float(name):
                operator.raw.input[slot] = self._cast(operator, name, f"narrow_{slot}", HALF)
        operator.raw.output[0] = self._free(f"{operator.name}/half")
        self._cast(operator, operator.raw.output[0], "wide", onnx.TensorProto.FLOAT, given)

    def _cast(self, operator: Operator, source: str, word: str, to: int, given: str = "") -> str:
        """Put a cast in front of an operator, or behind it where it gives a tensor by name; return what it gives."""
        name = self._free(f"{operator.name}/{word}")
        node = helper.make_node("Cast", [source], [given or name], name=name, to=to)
        operator.scope.node.insert(list(operator.scope.node).index(operator.raw) + bool(given), node)
        self.added.append(name)
        return given or name

    def graph_inputs(self) -> dict[str, tuple[Any, ...]]:
        """Return the shapes of the model's inputs by name."""
        return {item.name: self.shape(item.name) or () for item in self._model.graph.input}

    def save(self, path: Path) -> None:
        """Write the model, and let ONNX Runtime open it."""
        changed = path.with_name(f"{path.name}.planted")
        changed.write_bytes(self._model.SerializeToString())
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level, options.intra_op_num_threads = 4, 1
        try:
            _open(changed, options)
            os.replace(changed, path)  # noqa: PTH105 - one call, on the same disk
        finally:
            changed.unlink(missing_ok=True)

    def _walk(self, graph: Any, enclosing: tuple[str, ...]) -> Iterator[Operator]:
        for item in (*graph.value_info, *graph.output):
            self._types.setdefault(item.name, item.type.tensor_type)
        for node in graph.node:
            self._note(node, graph)
            yield _operator(node, enclosing, graph)
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    yield from self._walk(attribute.g, enclosing or (node.name,))

    def _of_function(self, function: Any) -> Iterator[Operator]:
        calls = [node.name for node in self._model.graph.node if (node.domain, node.op_type) == _key(function)]
        for node in function.node:
            self._note(node, function)
            yield _operator(node, calls, function)

    def _note(self, node: Any, scope: Any) -> None:
        if node.op_type == "Constant":
            value = next((item.t for item in node.attribute if item.name == "value"), None)
            self._made[id(scope), node.output[0]] = value

    def _tensor(self, operator: Operator, slot: int) -> Any:
        if slot >= len(operator.raw.input) or not operator.raw.input[slot]:
            return None
        name = operator.raw.input[slot]
        if (id(operator.scope), name) in self._made:
            return self._made[id(operator.scope), name]
        return None if isinstance(operator.scope, onnx.FunctionProto) else self._constants.get(name)

    def _free(self, name: str) -> str:
        taken = {item for operator in self.operators for item in (*operator.raw.input, *operator.raw.output)}
        return next(name_ for name_ in (name, *(f"{name}_{i}" for i in range(len(taken)))) if name_ not in taken)


def _open(path: Path, options: Any) -> None:
    try:
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise NoPlaceError(str(error)) from error


def _operator(node: Any, enclosing: Sequence[str], scope: Any) -> Operator:
    written = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    name = node.name or next(iter(node.output), "")
    return Operator(
        type=node.op_type,
        written=written,
        name=name,
        index=0,
        raw=node,
        enclosing=tuple(enclosing),
        nested=bool(enclosing) and not isinstance(scope, onnx.FunctionProto),
        scope=scope,
    )


def _key(function: Any) -> tuple[str, str]:
    return function.domain, function.name
