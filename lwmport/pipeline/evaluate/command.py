"""The command that asks for an evaluation again: a number without it is no statement."""

import shlex
from dataclasses import MISSING, fields
from typing import Any


def command(words: str, request: Any, *positional: str) -> str:
    """Return the command line of a request.

    Args:
        words: the command.
        request: a record whose fields are named like the options.
        positional: the fields that are arguments, in their order.
    """
    given = [str(getattr(request, name)) for name in positional]
    for field in fields(request):
        value = getattr(request, field.name)
        if field.name in positional or (field.default is not MISSING and value == field.default):
            continue
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        given += [f"--{field.name.replace('_', '-')}", text]
    return shlex.join([*words.split(), *given])
