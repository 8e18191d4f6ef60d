"""Writes safetensors, byte for byte as the library does, which would want all tensors in memory at once."""

import json
from typing import Final

from lwmport.checkpoints.payload import Sink
from lwmport.checkpoints.safetensors_index import DTYPES
from lwmport.errors import CheckpointError
from lwmport.types import dtype_of

NAMES: Final = {numpy_name: name for name, numpy_name in DTYPES.items()}

ALIGNMENT: Final = 8
"""The data begins at a multiple of this; the widest dtypes come first, so that every tensor is aligned."""


def write(sink: Sink) -> None:
    """Write the header, then the tensors.

    Raises:
        CheckpointError: a dtype that safetensors does not have.
    """
    strangers = [f"{name} ({spec.dtype})" for name, spec in sink.specs.items() if spec.dtype not in NAMES]
    if strangers:
        raise CheckpointError(f"expected dtypes that safetensors has, found {', '.join(strangers)}")
    names = sorted(sink.names, key=lambda name: (-dtype_of(sink.specs[name].dtype).itemsize, name))
    header = _header(sink, names)
    sink.write(len(header).to_bytes(8, "little") + header)
    for name in names:
        sink.pour(name, sink.read(name))


def _header(sink: Sink, names: list[str]) -> bytes:
    fields, end = {}, 0
    for name in names:
        spec = sink.specs[name]
        begin, end = end, end + spec.nbytes
        fields[name] = {"dtype": NAMES[spec.dtype], "shape": list(spec.shape), "data_offsets": [begin, end]}
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    return text + b" " * (-len(text) % ALIGNMENT)
