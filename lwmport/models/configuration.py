"""What every configuration of a model can do, and bases for one that checks its values or whose fields are JSON."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, ClassVar, Protocol, Self

from lwmport.errors import ConfigError
from lwmport.registry import nearest
from lwmport.wording import few


class Config(Protocol):
    """The configuration of a model: plain values with names."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the configuration of a JSON object."""


class Checked:
    """The base of a frozen dataclass that refuses values. ``title`` is what messages call the model."""

    title: ClassVar[str]

    def _expect(self, name: str, what: str, test: Callable[[Any], Any]) -> None:
        value = getattr(self, name)
        if not test(value):
            raise ConfigError(f"expected {what} as {name} in the {self.title} configuration, found {value!r}")


class PlainConfig(Checked):
    """The base of a frozen dataclass with fields of numbers, texts, truths and tuples of these."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        if not is_dataclass(self):
            raise ConfigError(f"expected {type(self).__name__} to be a dataclass, found another class")
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the configuration of a JSON object; absent fields keep the defaults.

        Raises:
            ConfigError: an unknown field, or a value of another type than the field's default.
        """
        usual = {field.name: field.default for field in fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - set(usual))
        if unknown:
            raise ConfigError(f"expected fields out of {unknown_fields(unknown, usual)}")
        return cls(**{name: _as(name, value, usual[name]) for name, value in values.items()})


def unknown_fields(found: Iterable[str], known: Iterable[str]) -> str:
    """Return the end of a message on unknown fields: those that there are, the nearest first, and what was found."""
    found, known = list(found), sorted(known)
    near = [name for one in found for name in nearest(one, known)[:1]]
    return f"{few(dict.fromkeys([*near, *known]))}, found {few(found)}"


def _as(name: str, value: Any, usual: Any) -> Any:
    """Return a value in the type of the field's default: whole numbers serve as any number, lists as tuples."""
    kind = type(usual)
    value = tuple(value) if kind is tuple and isinstance(value, list) else value
    value = float(value) if kind is float and type(value) is int else value
    if type(value) is not kind:
        raise ConfigError(f"expected {kind.__name__} as {name}, found {value!r}")
    return value
