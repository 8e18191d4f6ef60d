"""An ONNX model as its operators: each run is a small model of some of them, in ONNX Runtime, with nothing rewritten.

Weights are fed as values, mapped from their files, so that no more than those of the operators at hand are in memory.
A local function is inlined: its operators are seen one by one. A body (of If, Loop, Scan) stays within its operator.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from lwmport.errors import ArtifactError, RunnerError, one_line
from lwmport.onnx_dtypes import BITS, DTYPES, NUMBERS
from lwmport.runtime.pieces.onnx_functions import Written, written_out
from lwmport.runtime.pieces.spec import Operator
from lwmport.runtime.runners import onnxruntime_values
from lwmport.types import Array, TensorSpec, dtype_of

Reader: TypeAlias = Callable[[str], Array]

SMALL: Final = 4096
"""Elements up to which a constant lies inside the small model, where an operator may ask for a constant."""

SESSIONS: Final = 16
"""Small models that are kept, for the same operators on other values; each has threads of its own."""

KEPT_BYTES: Final = 1 << 30
"""Bytes of constants that are kept for the next question; the oldest ones go first."""


class OnnxPieces:
    """The operators of an ONNX model. ``read`` gives the value of a constant that the model names and does not hold."""

    format = "onnx"
    public_inputs: Mapping[str, str] = MappingProxyType({})
    public_outputs: Mapping[str, str] = MappingProxyType({})

    def __init__(self, model: onnx.ModelProto, constants: Mapping[str, TensorSpec], read: Reader, threads: int) -> None:
        self._read, self._threads = read, threads
        self._model = model
        written = _sorted(list(written_out(model)))
        self._held = _constant_nodes([item.node for item in written])
        held = {name: TensorSpec(name=name, shape=one.shape, dtype=one.dtype.name) for name, one in self._held.items()}
        self.constants: Mapping[str, TensorSpec] = {**constants, **held}
        written = [item for item in written if not set(item.node.output) <= set(self._held)]
        self._nodes = [item.node for item in written]
        self.operators = tuple(_operator(item) for item in written)
        self.inputs = tuple(_spec(value) for value in self._model.graph.input if value.name not in self.constants)
        self.outputs = tuple(_spec(value) for value in self._model.graph.output)
        self._opsets = _opsets(model)
        self._last: tuple[int, ...] = ()
        self._kept: dict[str, Array] = {}
        self._sessions: OrderedDict[Any, onnxruntime.InferenceSession] = OrderedDict()

    def constant(self, name: str) -> Array:
        """Return the value of a constant.

        Raises:
            ArtifactError: its file is not there, is too short, or lies outside of the model's folder.
        """
        if name in self._held:
            return self._held[name]
        if name not in self._kept:
            value = self._read(name)
            while self._kept and value.nbytes + sum(one.nbytes for one in self._kept.values()) > KEPT_BYTES:
                del self._kept[next(iter(self._kept))]
            self._kept[name] = value
        return self._kept[name]

    def run(self, operators: Sequence[int], feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        """Return some tensors that a few operators compute: see `lwmport.runtime.pieces.spec.Pieces.run`."""
        given = self.given(operators, feeds)
        inside = {name: value for name, value in given.items() if name not in feeds and value.size <= SMALL}
        fed = {name: np.asarray(value) for name, value in given.items() if name not in inside}
        sized = [name for name, value in fed.items() if self._has_its_shape(name, value)]
        kinds = tuple((name, value.ndim, value.dtype.name, name in sized) for name, value in fed.items())
        key = (tuple(operators), tuple(wanted), kinds)
        try:
            if key not in self._sessions:
                self._sessions[key] = self._session(self.piece(operators, fed, inside, wanted, sized=sized))
                while len(self._sessions) > SESSIONS:
                    self._sessions.popitem(last=False)
            found = onnxruntime_values.run(self._sessions[key], fed)
        except Exception as error:  # ONNX Runtime raises a dozen unrelated types
            names = ", ".join(self.operators[number].name for number in operators[:3])
            raise RunnerError(f"ONNX Runtime refused {names} alone: {one_line(error)}") from error
        return dict(zip(wanted, found, strict=True))

    def given(self, operators: Sequence[int], feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return the values of all that some operators read and none of them computes.

        Raises:
            RunnerError: one is neither fed nor a constant.
        """
        if self._last != tuple(operators):
            self._last, self._kept = tuple(operators), {name: self._kept[name] for name in self._mine(operators)}
        return {name: feeds[name] if name in feeds else self._constant(name) for name in self._asked(operators, feeds)}

    def close(self) -> None:
        """Give back what is held."""
        self._sessions.clear()
        self._kept.clear()

    def _has_its_shape(self, name: str, value: Array) -> bool:
        return name in self.constants and value.shape == self.constants[name].shape

    def _mine(self, operators: Sequence[int]) -> list[str]:
        """Return the constants at hand that some operators read; the others are let go."""
        read = {name for number in operators for name in self.operators[number].inputs}
        return [name for name in self._kept if name in read]

    def _constant(self, name: str) -> Array:
        if name not in self.constants:
            raise RunnerError(f"expected a value for {name!r}, found none; feed it")
        return self.constant(name)

    def _asked(self, operators: Sequence[int], feeds: Mapping[str, Array]) -> list[str]:
        """Return the tensors that the operators read and none of them computes."""
        made: set[str] = set()
        found: dict[str, None] = {}
        for number in operators:
            operator = self.operators[number]
            found.update(dict.fromkeys(name for name in operator.inputs if name and name not in made))
            made.update(name for name in operator.outputs if name and name not in feeds)
        return list(found)

    def piece(
        self,
        operators: Sequence[int],
        fed: Mapping[str, Array],
        inside: Mapping[str, Array],
        wanted: Sequence[str],
        *,
        sized: Collection[str],
    ) -> onnx.ModelProto:
        """Return the model of a few operators: ``fed`` are its inputs, ``inside`` the constants that it holds.

        Inputs that are not ``sized`` have a rank and no sizes: ONNX Runtime plans outputs by sizes that it knows. Some
        operators ask for the sizes of their constants.
        """
        graph = onnx.GraphProto(
            name="piece",
            node=[self._nodes[number] for number in operators],
            input=[_value_info(name, value, open_sizes=name not in sized) for name, value in fed.items()],
            output=[onnx.ValueInfoProto(name=name) for name in wanted],
            initializer=[_tensor(name, value) for name, value in inside.items()],
        )
        return onnx.ModelProto(ir_version=self._model.ir_version, opset_import=self._opsets, graph=graph)

    def _session(self, model: onnx.ModelProto) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # many wait while one works
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def open_onnx(path: Path, threads: int, load: Callable[[Path], onnx.ModelProto] | None = None) -> OnnxPieces:
    """Return the operators of an ONNX file; its weights stay where they are.

    Args:
        path: the file.
        threads: of each run.
        load: reads the model without its weights; by default as it is in the file.

    Raises:
        ArtifactError: it is no whole ONNX file, or a weight lies outside of its folder.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]

    try:
        model = load(path) if load else onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise ArtifactError(f"expected a whole ONNX file at {path}, found: {one_line(error)}") from error
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    specs = {name: _spec_of(tensor) for name, tensor in tensors.items()}
    del model.graph.initializer[:]
    return OnnxPieces(model, specs, lambda name: read_tensor(tensors[name], path.parent), threads)


def read_tensor(tensor: onnx.TensorProto, folder: Path) -> Array:
    """Return the value of a tensor, mapped where it lies in a file of the folder.

    Raises:
        ArtifactError: the file is not there, is too short, or lies outside of the folder.
    """
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return numpy_helper.to_array(tensor)
    entry = {item.key: item.value for item in tensor.external_data}
    path = folder / entry.get("location", "")
    name, shape = DTYPES.get(tensor.data_type, ""), tuple(tensor.dims)
    dtype, count = dtype_of(name), int(np.prod(shape, dtype=np.int64))
    size = -(-count * BITS[name] // 8) if name in BITS else count * dtype.itemsize
    try:
        inside = path.resolve().is_relative_to(folder.resolve()) and path.is_file()
        offset = int(entry.get("offset", 0))
        short = inside and (offset < 0 or offset + size > path.stat().st_size)
        if not inside or short:
            what = "a file that is too short" if short else "no file of that folder"
            raise ArtifactError(f"expected the values of {tensor.name} in {folder}, found {what}")
        raw = np.memmap(path, np.uint8, "r", offset, (size,)) if size else np.empty(0, np.uint8)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"expected the values of {tensor.name} in {folder}, found: {one_line(error)}") from error
    if name in BITS:
        return onnxruntime_values.unpacked(raw, BITS[name], dtype, count).reshape(shape)
    return raw.view(dtype).reshape(shape)


def _sorted(written: list[Written]) -> list[Written]:
    """Return nodes, each behind what it reads; those of a circle come last, as they are."""
    left, made_by = written, {name for item in written for name in item.node.output if name}
    found: list[Written] = []
    made: set[str] = set()
    while left:
        later = []
        for item in left:
            if all(name in made or name not in made_by for name in _reads(item.node)):
                made.update(item.node.output)
                found.append(item)
            else:
                later.append(item)
        if len(later) == len(left):
            return [*found, *later]
        left = later
    return found


def _opsets(model: onnx.ModelProto) -> list[onnx.OperatorSetIdProto]:
    """Return the versions of the model's domains, and of those that only its functions use."""
    found = {item.domain: item for function in model.functions for item in function.opset_import}
    return list((found | {item.domain: item for item in model.opset_import}).values())


def _reads(node: onnx.NodeProto) -> list[str]:
    return [*node.input, *_captured(node)]


def _captured(node: onnx.NodeProto) -> list[str]:
    """Return the tensors that the bodies of a node read from outside."""
    found: dict[str, None] = {}
    for body in _bodies(node):
        own = {value.name for value in (*body.input, *body.initializer)}
        for inner in body.node:
            found.update(dict.fromkeys(name for name in _reads(inner) if name and name not in own))
            own.update(inner.output)
        found.update(dict.fromkeys(value.name for value in body.output if value.name not in own))
    return list(found)


def _constant_nodes(nodes: Sequence[onnx.NodeProto]) -> dict[str, Array]:
    """Return the values of nodes that are constants, by name."""
    found: dict[str, Array] = {}
    for node in nodes:
        if node.op_type == "Constant" and node.domain in {"", "ai.onnx"} and len(node.attribute) == 1:
            value = onnx.helper.get_attribute_value(node.attribute[0])
            if isinstance(value, onnx.TensorProto):
                found[node.output[0]] = numpy_helper.to_array(value)
            elif not isinstance(value, bytes | onnx.SparseTensorProto) and not _texts(value):
                kind = np.float32 if node.attribute[0].name.startswith("value_float") else np.int64
                found[node.output[0]] = np.asarray(value, kind)
    return found


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], bytes)


def _operator(written: Written) -> Operator:
    node = written.node
    captured = [name for name in _captured(node) if name not in node.input]
    return Operator(
        name=written.call or node.name or next(filter(None, node.output), ""),
        inner=written.inner,
        type=f"{node.domain}::{node.op_type}" if node.domain not in {"", "ai.onnx"} else node.op_type,
        inputs=(*node.input, *captured),
        outputs=tuple(node.output),
        attributes={item.name: _plain(item) for item in node.attribute},
        bodies=tuple(_operator(Written(inner)) for body in _bodies(node) for inner in body.node),
        captured=len(captured),
    )


def _bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [body for item in node.attribute for body in (*([item.g] if item.HasField("g") else []), *item.graphs)]


def _plain(item: onnx.AttributeProto) -> Any:
    """Return an attribute as numbers, texts, lists of them or an array; of a body, its text."""
    value = onnx.helper.get_attribute_value(item)
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, onnx.GraphProto):
        return onnx.printer.to_text(value)
    if isinstance(value, list | tuple):
        return [one.decode(errors="replace") if isinstance(one, bytes) else one for one in value]
    return value


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    kind = value.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim)
    return TensorSpec(name=value.name, shape=shape, dtype=DTYPES.get(kind.elem_type, "unknown"))


def _spec_of(tensor: onnx.TensorProto) -> TensorSpec:
    return TensorSpec(name=tensor.name, shape=tuple(tensor.dims), dtype=DTYPES.get(tensor.data_type, "unknown"))


def _value_info(name: str, value: Array, *, open_sizes: bool) -> onnx.ValueInfoProto:
    shape = [None] * value.ndim if open_sizes else list(value.shape)
    return onnx.helper.make_tensor_value_info(name, NUMBERS[value.dtype.name], shape)


def _tensor(name: str, value: Array) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name)
