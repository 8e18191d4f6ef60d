"""Writing an ONNX model: weights stream one tensor at a time into one file beside the graph."""

from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import onnx_ir as ir

from lwmport import atomic
from lwmport.converters.onnx.graph import GraphBuilder, Initializer
from lwmport.errors import LoweringError
from lwmport.types import Progress

INLINE_BYTES: Final = 1024
"""Smaller constants stay inside the graph, where shape inference reads them."""

PAGE: Final = 4096
"""Offsets are multiples of a page, so that a runtime can map the tensors (onnx, docs/ExternalData.md)."""

IR_VERSION: Final = {
    11: 6,
    12: 7,
    13: 7,
    14: 7,
    15: 8,
    16: 8,
    17: 8,
    18: 8,
    19: 9,
    20: 9,
    21: 10,
    22: 10,
    23: 11,
    24: 12,
}
"""Opset -> the IR version of the same release of ONNX (onnx, docs/Versioning.md); old parsers read no newer one."""


def write_model(
    graph: GraphBuilder,
    inputs: list[ir.Value],
    outputs: list[ir.Value],
    path: Path,
    progress: Progress,
    producer: tuple[str, str],
) -> list[Path]:
    """Write ``path`` and, if there are weights, ``path`` + ``.data``; return the files.

    Raises:
        LoweringError: a promised constant came out with another shape or dtype.
    """
    data = path.with_name(path.name + ".data")
    external = [item for item in graph.initializers.values() if item.nbytes >= INLINE_BYTES]
    for item in graph.initializers.values():
        if item.nbytes < INLINE_BYTES:
            item.value.const_value = ir.Tensor(_produce(item), name=item.name)
    if external:
        _write_data(external, data, progress)
    model = _model(graph, inputs, outputs, producer)
    with atomic.new_file(path) as file:
        file.write(ir.to_proto(model).SerializeToString(deterministic=True))
    return [path, data] if external else [path]


def _write_data(items: list[Initializer], path: Path, progress: Progress) -> None:
    """Stream the arrays of ``items`` into one file and leave a reference to it in each value."""
    total, done = sum(item.nbytes for item in items), 0
    with atomic.new_file(path) as file:
        for item in items:
            offset = _align(file)
            file.write(_produce(item).reshape(-1).view(np.uint8).data)  # bfloat16 has no buffer of its own
            done += item.nbytes
            item.value.const_value = _reference(item, path, offset)
            progress(item.source or item.name, done, total)


def _align(file: IO[bytes]) -> int:
    """Pad the file with zeros up to the next page and return the offset."""
    offset = -(-file.tell() // PAGE) * PAGE
    file.write(bytes(offset - file.tell()))
    return offset


def _produce(item: Initializer) -> np.ndarray[Any, Any]:
    array = np.asarray(item.produce(), order="C")
    if array.shape != item.shape or array.dtype != item.dtype:
        raise LoweringError(
            f"expected {item.dtype}{list(item.shape)} for {item.name}, found {array.dtype}{list(array.shape)}"
        )
    return array


def _reference(item: Initializer, path: Path, offset: int) -> ir.ExternalTensor:
    return ir.ExternalTensor(
        location=path.name,
        offset=offset,
        length=item.nbytes,
        dtype=ir.DataType.from_numpy(item.dtype),
        shape=ir.Shape(item.shape),
        name=item.name,
        base_dir=path.parent,
    )


def _model(graph: GraphBuilder, inputs: list[ir.Value], outputs: list[ir.Value], producer: tuple[str, str]) -> ir.Model:
    domains = sorted({node.domain for node in graph.nodes if node.domain})
    initializers = [item.value for item in graph.initializers.values()]
    opsets = {"": graph.opset, **dict.fromkeys(domains, 1)}
    built = ir.Graph(
        inputs, outputs, nodes=graph.nodes, initializers=initializers, opset_imports=opsets, name=graph.name
    )
    name, version = producer
    return ir.Model(
        built,
        ir_version=IR_VERSION[graph.opset],
        producer_name=name,
        producer_version=version,
        functions=list(graph.functions.values()),
    )
