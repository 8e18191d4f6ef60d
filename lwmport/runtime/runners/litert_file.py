"""A TFLite file, before LiteRT opens it: whether it is whole, and which of its signatures counts."""

import mmap
import struct
from pathlib import Path
from typing import Any, Final

from lwmport import extras
from lwmport.errors import RunnerError, one_line

IDENTIFIER: Final = b"TFL3"
SIGNATURE: Final = "serving_default"
"""The signature that counts, if there are several of the subgraph that runs where none is named; else the first."""


def checked(path: Path) -> str:
    """Return the key of the signature that counts, empty if there is none, of a file of which nothing is missing.

    Raises:
        RunnerError: as in `whole`.
    """
    found = chosen(whole(path)[0])
    return key_of(found) if found else ""


def whole(path: Path) -> tuple[Any, mmap.mmap]:
    """Return the tables of a file of which nothing is missing, and the file, mapped.

    LiteRT reads beyond the end of a file that was cut.

    Raises:
        RunnerError: it is no TFLite file, or not whole.
    """
    extras.require("ai_edge_litert")
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        model = _tables(mapped)
        found, needed = len(mapped), max((buffer.offset + buffer.size for buffer in model.buffers or ()), default=0)
        [key_of(entry) for entry in model.signatureDefs or ()]
    except (OSError, ValueError) as error:
        raise RunnerError(f"expected a TFLite model at {path}, found {one_line(error)}") from error
    except (IndexError, OverflowError, TypeError, struct.error) as error:
        raise RunnerError(f"expected a whole TFLite model at {path}, found its tables cut; convert again") from error
    if needed > found:
        raise RunnerError(f"expected {needed} bytes in {path}, found {found}; the file was cut, convert again")
    return model, mapped


def chosen(model: Any) -> Any:
    """Return the signature that counts, None if there is none."""
    own = [entry for entry in model.signatureDefs or () if not entry.subgraphIndex and key_of(entry)]
    return next((entry for entry in own if key_of(entry) == SIGNATURE), next(iter(own), None))


def key_of(signature: Any) -> str:
    """Return the key of a signature."""
    return (signature.signatureKey or b"").decode()


def _tables(mapped: mmap.mmap) -> Any:
    """Return the model with every table read, which finds those that are cut."""
    schema = extras.require("ai_edge_litert.schema_py_generated")
    if mapped[4:8] != IDENTIFIER:
        raise ValueError(f"a file without {IDENTIFIER.decode()} at byte 4")
    return schema.ModelT.InitFromPackedBuf(mapped)
