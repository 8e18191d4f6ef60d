"""A JSON object out of a file that somebody else wrote."""

from pathlib import Path
from typing import Any

from lwmport import plain
from lwmport.errors import CheckpointError
from lwmport.instead import HEAD, instead
from lwmport.small_files import read_small
from lwmport.wording import kind_of, shown


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        CheckpointError: there is no such file, it is no JSON, no object, too large, or names a key twice.
    """
    try:
        content = read_small(path)
        placeholder = instead(content[:HEAD])
        if placeholder:
            raise CheckpointError(f"{path.name}: expected JSON, found {placeholder}")
        found = plain.parsed(content.decode(), object_pairs_hook=_once)
    except OSError as error:
        raise CheckpointError(f"{path.name}: cannot be read: {error.strerror or error}") from error
    # Text nested without end costs the parser its stack, long digits its patience; neither is a configuration.
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name}: damaged: it is no JSON: {shown(str(error))}") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path.name}: expected a JSON object, found {kind_of(found)}")
    return found


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CheckpointError("damaged: expected each name once in a JSON object, found one twice")
    return found
