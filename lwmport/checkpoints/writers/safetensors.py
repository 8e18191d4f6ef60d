"""Writes safetensors, byte for byte as the library does, which would want all tensors in memory at once."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from lwmport.checkpoints.safetensors.index import DTYPES
from lwmport.checkpoints.writers.base import Sink
from lwmport.errors import CheckpointError
from lwmport.types import WeightSpec, dtype_of
from lwmport.wording import few

NAMES: Final = {numpy_name: name for name, numpy_name in DTYPES.items()}

ALIGNMENT: Final = 8
"""The data begins at a multiple of this; the widest dtypes come first, so that every tensor is aligned."""


def write(sink: Sink) -> None:
    """Write the header, then the tensors.

    Raises:
        CheckpointError: a dtype that safetensors does not have.
    """
    names = data_order(sink.specs)
    sink.write(header_of(sink.specs, names))
    for name in names:
        sink.pour(name)


def data_order(specs: Mapping[str, WeightSpec]) -> list[str]:
    """Return the names in the order of their data: widest dtype first, then by name.

    Raises:
        CheckpointError: a dtype that safetensors does not have.
    """
    strangers = [f"{name} ({spec.dtype})" for name, spec in specs.items() if spec.dtype not in NAMES]
    if strangers:
        raise CheckpointError(f"expected dtypes that safetensors has, found {few(strangers)}")
    return sorted(specs, key=lambda name: (-dtype_of(specs[name].dtype).itemsize, name))


def header_of(
    specs: Mapping[str, WeightSpec], order: Sequence[str], metadata: Mapping[str, str] | None = None
) -> bytes:
    """Return everything before the data: its length in 8 bytes, then the JSON, padded to `ALIGNMENT`."""
    fields: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in order:
        spec = specs[name]
        begin, end = end, end + spec.nbytes
        fields[name] = {"dtype": NAMES[spec.dtype], "shape": list(spec.shape), "data_offsets": [begin, end]}
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
