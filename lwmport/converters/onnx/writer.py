"""Writing an ONNX model: weights stream into one file beside the graph, in pieces or a tensor at a time."""

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx_ir as ir

from lwmport import atomic
from lwmport.checkpoints.streaming import cut
from lwmport.converters.onnx.graph import GraphBuilder, Initializer
from lwmport.errors import LoweringError
from lwmport.journal import new_stream
from lwmport.types import Array, Progress, SharedData

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
) -> dict[Path, str]:
    """Write ``path`` and, if there are weights, ``path`` + ``.data``; return the SHA-256 of each file.

    Constants that have their values already, as `write_shared` leaves them, are not written again.

    In a folder that is kept after an interruption, the data that an earlier run has written is not written again
    (`lwmport.journal`).

    Raises:
        LoweringError: a promised constant came out with another shape or dtype.
    """
    data = path.with_name(path.name + ".data")
    left = [item for item in graph.initializers.values() if item.value.const_value is None]
    external = [item for item in left if item.nbytes >= INLINE_BYTES]
    for item in left:
        if item.nbytes < INLINE_BYTES:
            item.value.const_value = _inline(item)
    written = {data: _write_data(external, data, progress)[0]} if external else {}
    model = ir.to_proto(model_of(graph, inputs, outputs, producer)).SerializeToString(deterministic=True)
    with atomic.new_file(path) as file:
        file.write(model)
    return {path: hashlib.sha256(model).hexdigest(), **written}


def write_shared(graph: GraphBuilder, path: Path, shared: SharedData, progress: Progress) -> dict[Path, str]:
    """Leave a reference into ``path`` in every weight of the graph that lies there; return that file's SHA-256.

    The first graph that comes with ``shared`` writes the file, with all its large weights. The next ones read nothing:
    they refer to what they have in the same form, and the rest is left to `write_model`.

    Raises:
        LoweringError: a promised constant came out with another shape or dtype.
    """
    items = [item for item in graph.initializers.values() if item.form is not None and item.nbytes >= INLINE_BYTES]
    if not shared.offsets:
        once = {item.form: item for item in items}
        shared.sha256, offsets = _write_data(list(once.values()), path, progress) if once else ("", [])
        shared.offsets.update(zip(once, offsets, strict=True))
    found = [item for item in items if item.form in shared.offsets]
    for item in found:
        item.value.const_value = reference(item, path, shared.offsets[item.form])
    return {path: shared.sha256} if found else {}


def _write_data(items: list[Initializer], path: Path, progress: Progress) -> tuple[str, list[int]]:
    """Stream the values of ``items`` into one file, leave a reference to it in each; return its SHA-256 and offsets."""
    total, done, offsets = sum(item.nbytes for item in items), 0, []
    layout = [[item.name, str(item.dtype), list(item.shape)] for item in items]
    with new_stream(path, layout) as file:
        for item in items:
            offset = file.align(PAGE)
            if file.skips(item.nbytes):
                progress(item.source or item.name, done + item.nbytes, total)
            else:
                for piece in _pieces(item):
                    file.write(piece.view(np.uint8).data)  # bfloat16 has no buffer of its own
                    progress(item.source or item.name, done + file.position - offset, total)
                file.mark()
            done += item.nbytes
            item.value.const_value = reference(item, path, offset)
            offsets.append(offset)
    return file.sha256, offsets


def _pieces(item: Initializer) -> Iterator[Array]:
    """Yield the values of a constant, flat and in row-major order.

    Raises:
        LoweringError: they are not what was promised.
    """
    (dtype, shape), made, size = item.produced, item.produce(), 0
    if isinstance(made, np.ndarray | np.generic):
        _check(item, made.dtype, made.shape)
        made = cut(made.reshape(-1))
    for piece in made:
        size += piece.size
        _check(item, piece.dtype)
        yield piece
    _check(item, dtype, shape if size == math.prod(shape) else (size,))


def _inline(item: Initializer) -> ir.Tensor[Any] | ir.PackedTensor[Any]:
    """Return a constant that stays inside the graph."""
    dtype, shape = item.produced
    array = np.concatenate([np.empty(0, dtype), *_pieces(item)]).reshape(shape)
    if item.bits >= 8:
        return ir.Tensor(array, name=item.name)
    return ir.PackedTensor(array, ir.DataType.from_numpy(item.dtype), shape=ir.Shape(item.shape), name=item.name)


def _check(item: Initializer, dtype: np.dtype[Any], shape: tuple[int, ...] | None = None) -> None:
    expected, whole = item.produced
    if dtype != expected or shape not in {None, whole}:
        found = f"{dtype}{list(whole if shape is None else shape)}"
        raise LoweringError(f"expected {expected}{list(whole)} for {item.name}, found {found}")


def reference(item: Initializer, path: Path, offset: int) -> ir.ExternalTensor:
    """Return the value of a constant as a place in a file beside the model."""
    return ir.ExternalTensor(
        location=path.name,
        offset=offset,
        length=item.nbytes,
        dtype=ir.DataType.from_numpy(item.dtype),
        shape=ir.Shape(item.shape),
        name=item.name,
        base_dir=path.parent,
    )


def model_of(
    graph: GraphBuilder, inputs: list[ir.Value], outputs: list[ir.Value], producer: tuple[str, str]
) -> ir.Model:
    """Return the model of a graph; constants that have no values yet are left without."""
    domains = sorted({node.domain for node in graph.every() if node.domain})
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
        metadata_props=graph.metadata,
    )
