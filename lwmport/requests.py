"""What a caller asks in Python: a request, or its fields by name; every field has its type."""

import inspect
import os
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache, wraps
from numbers import Integral
from pathlib import Path
from typing import Any, Final, ParamSpec, Protocol, TypeVar, Union, cast, get_args, get_origin, get_type_hints, overload

from lwmport.errors import UsageError
from lwmport.registry import check_known

_Fields = ParamSpec("_Fields")
_Request = TypeVar("_Request")
_Asked_contra = TypeVar("_Asked_contra", contravariant=True)
_Observer = TypeVar("_Observer")
_Observer_contra = TypeVar("_Observer_contra", contravariant=True)
_Made_co = TypeVar("_Made_co", covariant=True)
_Made = TypeVar("_Made")
_WRONG: Final = object()

OBSERVED: Final = ("phase", "progress")
"""What is called of an observer."""

WORDS: Final[Mapping[Any, str]] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    Path: "a path",
    type(None): "None",
}
"""Type -> what a message calls it; another type is called by its name."""


class Asked(Protocol[_Fields, _Asked_contra, _Observer_contra, _Made_co]):
    """A function that takes a request, or the fields of one by name, and an observer.

    The fields and their types are those of the request's own class, so that an editor completes them. The last form is
    that of fields which become their types, such as a text for a path. Each raises a UsageError for what is no such
    request, for fields that it does not have, and for other types.
    """

    @overload
    def __call__(self, request: _Asked_contra, observer: _Observer_contra | None = None) -> _Made_co: ...

    @overload
    def __call__(self, *arguments: _Fields.args, **fields: _Fields.kwargs) -> _Made_co: ...

    @overload
    def __call__(self, *, observer: _Observer_contra | None = None, **fields: Any) -> _Made_co: ...


class Decorator(Protocol[_Fields, _Request]):
    """What `by_fields` returns; the observer keeps the type that the function gives it."""

    def __call__(
        self, function: Callable[[_Request, _Observer | None], _Made], /
    ) -> Asked[_Fields, _Request, _Observer, _Made]:
        """Return the function that also takes fields."""


def by_fields(kind: Callable[_Fields, _Request]) -> Decorator[_Fields, _Request]:
    """Return a decorator: a function of a request and an observer also takes the fields of the request by name."""

    def decorate(function: Callable[[_Request, _Observer | None], _Made], /) -> Any:
        @wraps(function)
        def call(request: _Request | None = None, observer: _Observer | None = None, **fields: Any) -> _Made:
            _check_observer(observer)
            return function(asked(cast("type[_Request]", kind), request, fields), observer)

        setattr(call, "__signature__", _signature(function, kind))  # noqa: B010 - a function has no such field to mypy
        return call

    return decorate


def _signature(function: Callable[..., Any], kind: Callable[..., Any]) -> inspect.Signature:
    """Return what a function takes in all: request and observer, and the fields of the request by name."""
    own = [one.replace(default=None) for one in inspect.signature(function).parameters.values()]
    optional = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in inspect.signature(kind).parameters.values()]
    return inspect.Signature([*own, *optional], return_annotation=inspect.signature(function).return_annotation)


def _check_observer(observer: object) -> None:
    """Return if an observer has what is called of it (`lwmport.pipeline.observer.Observer`).

    Raises:
        UsageError: it has not.
    """
    missing = [name for name in OBSERVED if not callable(getattr(observer, name, None))]
    if observer is not None and missing:
        raise UsageError(f"expected an observer with {' and '.join(OBSERVED)}, found {observer!r}")


def asked(kind: type[_Request], request: _Request | None, given: Mapping[str, Any]) -> _Request:
    """Return the request that a caller gave: as it is, or made of its fields.

    Raises:
        UsageError: both, neither, another kind of request, or fields that it does not have or cannot do without.
    """
    if request is not None:
        if given or not isinstance(request, kind):
            found = "both" if given else repr(request)
            raise UsageError(f"expected a {kind.__name__}, or its fields by name, found {found}")
        return request
    known: tuple[Any, ...] = fields(kind)  # type: ignore[arg-type]
    for name in given:
        check_known(f"field of {kind.__name__}", name, [field.name for field in known])
    needed = [field.name for field in known if field.default is MISSING and field.default_factory is MISSING]
    missing = [name for name in needed if name not in given]
    if missing:
        raise UsageError(f"expected {', '.join(needed)} of a {kind.__name__}, found no {', '.join(missing)}")
    return kind(**given)


def check_types(record: Any) -> None:
    """Give every field of a frozen record the type that it is declared with.

    A text becomes a path where a path is declared, a path a text, a list a tuple.

    Raises:
        UsageError: a field has another type.
    """
    for name, hint in _hints(record.__class__).items():
        value = getattr(record, name)
        fitted = _fitted(hint, value)
        if fitted is _WRONG:
            raise UsageError(f"expected {_told(hint)} as {name} of {type(record).__name__}, found {value!r}")
        if fitted is not value:
            object.__setattr__(record, name, fitted)


def check_samples(count: int | None) -> None:
    """Return if a number of samples is one that can be run, or None for the usual one.

    Raises:
        UsageError: it is not.
    """
    if count is not None and count < 1:
        raise UsageError(f"expected a whole number of at least 1 as samples, found {count!r}")


def check_arguments(function: str, *arguments: tuple[Any, Any, str]) -> None:
    """Return if arguments have their types; each is a value, its type and its name.

    Raises:
        UsageError: one has another type.
    """
    for value, hint, name in arguments:
        if _fitted(hint, value) is _WRONG:
            raise UsageError(f"expected {_told(hint)} as {name} of {function}, found {value!r}")


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _fitted(hint: Any, value: Any) -> Any:
    """Return a value as the type wants it, or `_WRONG`."""
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin is not None:
        return _composed(origin, get_args(hint), value)
    if hint in (str, Path) and isinstance(value, str | os.PathLike):
        return value if isinstance(value, hint) else hint(os.fspath(value))
    if hint is int:
        return _whole(value)
    if hint is float and _whole(value) is not _WRONG:
        return float(value)
    return value if isinstance(value, hint) else _WRONG


def _composed(origin: Any, members: tuple[Any, ...], value: Any) -> Any:
    """Return a value as one of several types, as a list or as a mapping wants it, or `_WRONG`."""
    if origin in (Union, types.UnionType):
        found = (_fitted(member, value) for member in members)
        return next((item for item in found if item is not _WRONG), _WRONG)
    if origin is tuple:
        return _items(members[0], value)
    if issubclass(origin, Mapping):
        return _table(members, value)
    return value if isinstance(value, origin) else _WRONG


def _whole(value: Any) -> Any:
    """Return a whole number as Python's: numpy's are none of it. A truth is no number."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        return _WRONG
    return value if isinstance(value, int) else int(value)


def _items(hint: Any, values: Any) -> Any:
    if not isinstance(values, list | tuple):
        return _WRONG
    items = tuple(_fitted(hint, value) for value in values)
    if any(item is _WRONG for item in items):
        return _WRONG
    return values if isinstance(values, tuple) and all(map(_same, items, values)) else items


def _table(hints: tuple[Any, ...], value: Any) -> Any:
    """Return a mapping whose keys and values are as the types want them, or `_WRONG`."""
    if not isinstance(value, Mapping):
        return _WRONG
    items = {_fitted(hints[0], key): _fitted(hints[1], item) for key, item in value.items()}
    if _WRONG in items or any(item is _WRONG for item in items.values()):
        return _WRONG
    same = all(items[key] is item for key, item in value.items() if key in items)
    return value if same and len(items) == len(value) else items


def _same(one: Any, other: Any) -> bool:
    return one is other


def _told(hint: Any) -> str:
    members = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(map(_told, members))
    if get_origin(hint) is tuple:
        return f"several of {_told(members[0])}"
    if members and members[-1] is not Any and issubclass(get_origin(hint) or object, Mapping):
        return f"a mapping from {_told(members[0])} to {_told(members[1])}"
    return WORDS.get(hint, getattr(get_origin(hint) or hint, "__name__", str(hint)))
