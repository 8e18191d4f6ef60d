"""The fields of a request's JSON: each of its type, none unknown, and what means nothing here let through."""

import json
from collections.abc import Mapping
from typing import Any

from lwmport import plain
from lwmport.errors import one_line
from lwmport.pipeline.serve.refused import RefusedError
from lwmport.wording import few, kind_of, shown

Body = Mapping[str, Any]


def body_of(data: bytes) -> Body:
    """Return the object that a request's JSON holds."""
    try:
        value = plain.parsed(data)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"expected JSON, found: {one_line(error)[:200]}") from error
    if not isinstance(value, dict):
        raise RefusedError(f"expected an object of JSON, found {kind_of(value)}")
    return value


def check_fields(body: Body, taken: frozenset[str], ignored: frozenset[str], neutral: Mapping[str, Any]) -> None:
    """Return if each field is taken, or ignored, or has a value that asks for nothing.

    Args:
        body: of the request.
        taken: fields that are read.
        ignored: fields that change no answer.
        neutral: field that is not supported -> the value that asks for nothing; None always does.
    """
    for name, value in body.items():
        if name in taken or name in ignored or value is None:
            continue
        if name in neutral:
            if value not in (neutral[name], [], {}, ""):
                only = "no" if neutral[name] is None else f"{json.dumps(neutral[name])} as"
                raise RefusedError(
                    f"expected {only} {name}, for nothing else is supported here, found {shown(json.dumps(value))}",
                    code="unsupported_parameter",
                    param=name,
                )
            continue
        raise RefusedError(
            f"expected fields of {few(sorted(taken), most=len(taken))}, found {shown(name)}, not supported here",
            code="unsupported_parameter",
            param=shown(name),
        )


def text_of(value: Any, param: str) -> str:
    """Return a text, one that UTF-8 can hold."""
    if not isinstance(value, str):
        raise RefusedError(f"expected a text as {param}, found {kind_of(value)}", param=param)
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RefusedError(f"expected a text of whole characters as {param}, found half of one", param=param) from error
    return value


def number_of(body: Body, name: str, usual: float) -> float:
    """Return a number; the usual one where none is given."""
    value = body.get(name)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusedError(f"expected a number as {name}, found {kind_of(value)}", param=name)
    return float(value)


def count_of(body: Body, name: str, least: int = 1, most: int | None = None) -> int | None:
    """Return a whole number; None where none is given."""
    value = body.get(name)
    if value is None:
        return None
    bound = f" and at most {most:,}" if most is not None else ""
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        found = value if isinstance(value, int) else kind_of(value)
        raise RefusedError(f"expected {name} as a whole number of at least {least}{bound}, found {found}", param=name)
    return value


def flag_of(body: Body, name: str) -> bool:
    """Return true or false; false where none is given."""
    value = body.get(name) or False
    if not isinstance(value, bool):
        raise RefusedError(f"expected true or false as {name}, found {kind_of(value)}", param=name)
    return value
