"""Writing a mended model: large tensors stream from the files that hold them into one beside the new one."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import onnx

from lwmport import atomic
from lwmport.converters.onnx.writer import IR_VERSION, PAGE
from lwmport.errors import ArtifactError, UsageError
from lwmport.onnx_dtypes import DTYPES
from lwmport.targets.fix.draft import Draft
from lwmport.targets.fix.numbers import clip_mask
from lwmport.targets.graphs.external import BLOCK
from lwmport.targets.graphs.onnx_file import place_of
from lwmport.targets.graphs.skeleton import ITSELF
from lwmport.types import dtype_of

LEAST_IR: Final = 4
"""The first version of the format in which an initializer need be no input."""

INLINE: Final = 1024
"""Smaller tensors stay inside the model, where every parser reads them."""


def refuse_sources(draft: Draft, out: Path) -> None:
    """Return if neither ``out`` nor the data beside it is a file that the model of a draft is read from.

    Raises:
        UsageError: one is, by whatever name or link.
    """
    model = draft.path
    tensors = _tensors(draft.model.graph, *draft.model.functions)
    entries = [entry for tensor in tensors for entry in tensor.external_data if entry.key == "location"]
    places = {entry.value.replace("\\", "/") for entry in entries if not entry.value.startswith(ITSELF)}
    for path in (out, data_of(out)):
        if any(_is_same(path, source) for source in (model, *(model.parent / place for place in sorted(places)))):
            raise UsageError(
                f"expected another name or folder for --out, found that {out} would overwrite {path}, which "
                f"{model} reads; nothing was written"
            )


def _is_same(path: Path, source: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.realpath(path) == os.path.realpath(source) or path.samefile(source)
    return False


def data_of(path: Path) -> Path:
    """Return where the large tensors of a mended model are kept."""
    return path.with_name(f"{path.name}.data")


def write(draft: Draft, path: Path) -> list[Path]:
    """Write the model as ``path`` and, if it has large tensors, ``path`` + ``.data``; return the files.

    Raises:
        ArtifactError: a tensor lies outside the model's folder, or is not all there.
    """
    data = data_of(path)
    model = onnx.ModelProto()
    model.CopyFrom(draft.model)
    version = draft.opset
    ir_version = IR_VERSION.get(version, model.ir_version) if version >= 11 else model.ir_version
    model.ir_version = max(ir_version, LEAST_IR)
    tensors = list(_tensors(model.graph))
    if any(_is_large(tensor) for tensor in tensors):
        with atomic.new_file(data) as file:
            for tensor in tensors:
                if _is_large(tensor):
                    _move(draft, tensor, file, data.name)
    with atomic.new_file(path) as file:
        file.write(model.SerializeToString(deterministic=True))
    return [path, data] if data.exists() else [path]


def _tensors(*graphs: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.TensorProto]:
    waiting = [*graphs]
    while waiting:
        graph = waiting.pop()
        yield from graph.initializer if isinstance(graph, onnx.GraphProto) else ()
        for node in graph.node:
            for item in node.attribute:
                waiting.extend([*item.graphs, *([item.g] if item.HasField("g") else [])])
                if item.HasField("t"):
                    yield item.t


def _is_large(tensor: onnx.TensorProto) -> bool:
    return tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.raw_data) >= INLINE


def _move(draft: Draft, tensor: onnx.TensorProto, file: IO[bytes], name: str) -> None:
    """Append a tensor's bytes to the data file, and leave location, offset and length in this order."""
    start = -(-file.tell() // PAGE) * PAGE
    file.write(bytes(start - file.tell()))
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        _copy(draft, tensor, file)
    else:
        file.write(tensor.raw_data)
        tensor.ClearField("raw_data")
    del tensor.external_data[:]
    entries = {"location": name, "offset": str(start), "length": str(file.tell() - start)}
    tensor.external_data.extend(onnx.StringStringEntryProto(key=key, value=value) for key, value in entries.items())
    tensor.data_location = onnx.TensorProto.EXTERNAL


def _copy(draft: Draft, tensor: onnx.TensorProto, file: IO[bytes]) -> None:
    source, offset, left = place_of(draft.path, tensor)
    if source is None:
        raise ArtifactError(
            f"expected the bytes of {tensor.name} in or beside {draft.path}, found none that may be read; see the rule "
            f"on the place of external data"
        )
    limit = draft.limits.get(tensor.name)
    element = dtype_of(DTYPES[tensor.data_type]) if limit is not None else None
    with source.open("rb") as content:
        content.seek(offset)
        while left > 0:
            block = content.read(min(BLOCK, left))
            if not block:
                raise ArtifactError(f"expected {left} bytes more of {tensor.name} in {source}, found its end")
            left -= len(block)
            if element is not None and limit is not None:
                import numpy as np

                block = clip_mask(np.frombuffer(block, element), limit).tobytes()
            file.write(block)
