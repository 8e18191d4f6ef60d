"""A mended model says that it is one, so that mending again may replace it, and nothing else that has its name.

The stamp is an entry of the model's ``metadata_props``: the SHA-256 of the model without it, and of the data beside it.
"""

from collections.abc import Collection
from hashlib import sha256
from pathlib import Path
from typing import Final

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]

from lwmport import atomic, digest
from lwmport.targets.fix.writing import data_of

KEY: Final = "lwmport.mended"

MOST_READ: Final = 2**31
"""Bytes that a protocol buffer may have."""


def put(path: Path) -> None:
    """Stamp a model that was just written."""
    model = onnx.load(str(path), load_external_data=False)
    told = _stamp(model, data_of(path))
    model.metadata_props.add(key=KEY, value=told)
    with atomic.new_file(path) as file:
        file.write(model.SerializeToString(deterministic=True))


def owned(path: Path) -> Collection[str]:
    """Return the names of a mended model and of its data, as they were written; none if it is another file now."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_READ:
            return ()
        model = onnx.load(str(path), load_external_data=False)
    except (OSError, DecodeError):
        return ()
    data = data_of(path)
    told = [entry.value for entry in model.metadata_props if entry.key == KEY]
    if not told or data.is_symlink() or told != [_stamp(model, data)]:
        return ()
    return [path.name, *([data.name] if data.is_file() else [])]


def _stamp(model: onnx.ModelProto, data: Path) -> str:
    """Take a stamp off the model, and return the one that it should have."""
    others = [(entry.key, entry.value) for entry in model.metadata_props if entry.key != KEY]
    del model.metadata_props[:]
    for key, value in others:
        model.metadata_props.add(key=key, value=value)
    own = sha256(model.SerializeToString(deterministic=True)).hexdigest()
    return f"{own} {digest.of_file(data)}" if data.is_file() else own
