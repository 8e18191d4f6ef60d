"""Records to plain JSON values and strictly back, guided by the records' own type hints.

Numbers that JSON lacks are the strings "inf", "-inf" and "nan".
"""

import json
import math
import re
import types
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from lwmport.errors import ArtifactError

Record = TypeVar("Record")

SPECIAL: Final = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
LARGEST: Final = 2**63

UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no page can show: control characters (a runtime's message may hold terminal colours), and surrogates, which
cannot be written as UTF-8. Written as U+FFFD, refused when read."""


def parsed(content: str | bytes, **more: Any) -> Any:
    """Return the value of a JSON text; ``more`` are other arguments of `json.loads`.

    Raises:
        ValueError: it is none, or it has a number that JSON lacks or that no float holds (``NaN``, ``1e999``).
        RecursionError: it is nested without end.
    """
    return json.loads(content, parse_constant=_refuse, parse_float=_finite, **more)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:40]} is no number of 64 bits")
    return value


def encode(value: Any) -> Any:
    """Return a record, or what records hold, as plain JSON values; fields keep their order."""
    if is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {encode(str(key)): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, str | Path):
        return UNPRINTABLE.sub("\ufffd", str(value))
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def encode_asked(value: Any) -> Any:
    """Return a record as `encode` does, without the fields that `lwmport.types.ADDED` marks where they are default.

    A request that says nothing new is then the one that an earlier version wrote.
    """
    if not is_dataclass(value):
        return encode(value)
    told = {field.name: getattr(value, field.name) for field in fields(value) if not _is_unsaid(field, value)}
    return {name: encode_asked(item) for name, item in told.items()}


def _is_unsaid(field: Field[Any], record: Any) -> bool:
    return "added" in field.metadata and bool(getattr(record, field.name) == field.default)


def decode(hint: type[Record], value: Any, where: str) -> Record:
    """Return plain JSON values as the record type, every field present, none unknown, each of its type.

    Only a field that `lwmport.types.ADDED` marks may be missing: it has its default then.

    Raises:
        ArtifactError: they are not; the message says where.
    """
    return cast("Record", _decode(hint, value, where))


def _decode(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin is not None:
        return _CONTAINERS[origin](get_args(hint), value, where)
    if hint is Any:
        return value
    if is_dataclass(hint):
        return _record(hint, value, where)
    if issubclass(hint, Enum):
        return hint(_member(tuple(member.value for member in hint), value, where))
    return _scalar(hint, value, where)


def _record(hint: Any, value: Any, where: str) -> Any:
    items = _object(value, where)
    names = {field.name for field in fields(hint)}
    added = {field.name for field in fields(hint) if "added" in field.metadata}
    missing, unknown = sorted(names - added - set(items)), sorted(set(items) - names)
    if missing or unknown:
        raise _error(where, f"the fields of {hint.__name__}", f"missing {missing}, unknown {unknown}")
    hints = get_type_hints(hint)
    return hint(**{name: _decode(hints[name], item, f"{where}.{name}") for name, item in items.items()})


def _union(members: tuple[Any, ...], value: Any, where: str) -> Any:
    """Only unions whose members JSON tells apart: ``X | None`` and ``int | str``."""
    if value is None and types.NoneType in members:
        return None
    if isinstance(value, str) and str in members:
        return _decode(str, value, where)
    rest = [member for member in members if member not in (types.NoneType, str)]
    return _decode(rest[0], value, where)


def _member(members: tuple[Any, ...], value: Any, where: str) -> Any:
    if not isinstance(value, str) or value not in members:
        raise _error(where, f"one of {', '.join(members)}", value)
    return value


def _tuple(hints: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _error(where, "a list", value)
    if len(hints) == 2 and hints[1] is Ellipsis:
        hints = hints[:1] * len(value)
    if len(hints) != len(value):
        raise _error(where, f"a list of {len(hints)}", value)
    return tuple(_decode(hint, item, f"{where}[{i}]") for i, (hint, item) in enumerate(zip(hints, value, strict=True)))


def _mapping(hints: tuple[Any, ...], value: Any, where: str) -> dict[str, Any]:
    items = _object(value, where)
    return {_decode(str, key, where): _decode(hints[1], item, f"{where}.{key}") for key, item in items.items()}


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _error(where, "an object", value)
    return value


def _scalar(hint: type, value: Any, where: str) -> Any:
    if hint is bool:
        return _flag(value, where)
    if hint is float:
        return _number(value, where)
    if hint is int:
        return _integer(value, where)
    if hint is not str or not isinstance(value, str) or not _printable(value):
        raise _error(where, "text", value)
    return value


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _error(where, "true or false", value)
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, str) and value in SPECIAL:
        return SPECIAL[value]
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < LARGEST**16:
        raise _error(where, "a number", value)
    return float(value)


def _integer(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -LARGEST <= value < LARGEST:
        raise _error(where, "a 64-bit integer", value)
    return value


def _printable(text: str) -> bool:
    return UNPRINTABLE.search(text) is None


def _error(where: str, expected: str, found: Any) -> ArtifactError:
    shown = ascii(found)
    return ArtifactError(f"{where}: expected {expected}, found {shown if len(shown) <= 60 else shown[:57] + '...'}")


_CONTAINERS: Final = {
    Union: _union,
    types.UnionType: _union,
    Literal: _member,
    tuple: _tuple,
    Mapping: _mapping,
}
