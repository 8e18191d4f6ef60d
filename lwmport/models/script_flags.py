"""Flags of the scripts of a model's makers, as users paste them: what each becomes on our command line."""

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lwmport.errors import UsageError

LONGEST: Final = 1 << 16
"""Characters of a value that are read as Python's literals: what is cut is no Python any more."""


@dataclass(frozen=True, kw_only=True)
class ScriptFlag:
    """One flag.

    Attributes:
        words: ``words(value)``: what our command line is given in its place: options with their values behind ``=``.
            None: nothing.
        argument: whether these words are arguments, and no options.
        remark: why nothing, in words.

    Raises:
        UsageError: by ``words``: a value that means nothing here.
    """

    words: Callable[[str], list[str]] | None = None
    argument: bool = False
    remark: str = ""


Flags: TypeAlias = Mapping[str, ScriptFlag]
"""Flag, without dashes before it and with ``_`` inside -> what it becomes."""


def renamed(option: str) -> ScriptFlag:
    """Return a flag that an option of ours has the values of."""
    return ScriptFlag(words=lambda value: [f"{option}={value}"])


def left_out(remark: str) -> ScriptFlag:
    """Return a flag that means nothing here."""
    return ScriptFlag(remark=remark)


def fields_of(text: str) -> dict[str, Any]:
    """Return the fields of ``dict(a=1, b='x')`` or ``{'a': 1}``. Nothing of it is executed.

    Raises:
        UsageError: it is anything else, or a value is no literal that JSON has.
    """
    try:
        return _literals(ast.parse(text.strip()[:LONGEST], mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        shown = text if len(text) <= 60 else f"{text[:60]}..."
        reason = {SyntaxError: "no Python", ValueError: str(error)}.get(type(error), "nested too deeply")
        raise UsageError(
            f"expected dict(field=value, ...) of numbers, texts, truths and None, found {shown!r} ({reason}); "
            "nothing of it was executed"
        ) from error


def settings(fields: Mapping[str, Any]) -> list[str]:
    """Return the words that say fields."""
    return [f"--set={name}={json.dumps(value)}" for name, value in fields.items()]


def _literals(node: ast.expr) -> dict[str, Any]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {_name(keyword.arg): _value(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        return {_name(_value(key)): _value(value) for key, value in zip(node.keys, node.values, strict=True)}
    raise ValueError("another expression")


def _name(found: Any) -> str:
    if not isinstance(found, str):
        raise ValueError("a field without a name")  # noqa: TRY004 - of what is read, not of an argument
    return found


def _value(node: ast.expr | None) -> Any:
    """Return a literal that JSON has."""
    try:
        found = ast.literal_eval(node or "")
        json.dumps(found, allow_nan=False)
    except (ValueError, TypeError, SyntaxError) as error:
        raise ValueError(f"{'**' if node is None else ast.unparse(node)[:40]!r} is no such value") from error
    return found
