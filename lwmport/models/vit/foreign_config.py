"""Configurations of towers as transformers writes them, read by tables; what is not computed is refused by name.

Keys that no table names change nothing of a tower: such files also hold the configuration of a language model, and
settings of generation and training.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lwmport.errors import ConfigError
from lwmport.wording import few, kind_of, shown

KIND: Final = "model_type"
"""The key by which transformers knows a configuration; no configuration of ours has it."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One class of transformers.

    Attributes:
        title: the class.
        fields: its field -> ours.
        assumed: its field -> what the class has where the file leaves it out.
        only: its field -> the values that are computed.
    """

    title: str
    fields: Mapping[str, str]
    assumed: Mapping[str, Any]
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def read(self, values: Any) -> "Told":
        """Return what a file says of the class, under our names.

        Raises:
            ConfigError: it says what is not computed, or is no object.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"expected an object as {self.title}, found {shown(kind_of(values))}")
        given = {name: value for name, value in values.items() if value is not None}
        for name, computed in self.only.items():
            if name in given and not any(given[name] == one and type(given[name]) is type(one) for one in computed):
                wanted = " or ".join(map(str, computed))
                raise ConfigError(f"expected {name} {wanted} in {self.title}, found {shown(repr(given[name]))}")
        here = {ours: given.get(name, self.assumed.get(name)) for name, ours in self.fields.items()}
        left_out = {ours for name, ours in self.fields.items() if name not in given}
        found = {name: value for name, value in here.items() if value is not None}
        return Told(fields=found, assumed=frozenset(left_out & found.keys()))


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a file says, under our names, and which of it stands there only because it leaves it out."""

    fields: dict[str, Any] = field(default_factory=dict)
    assumed: frozenset[str] = frozenset()

    def __or__(self, other: "Told") -> "Told":
        """Return what both say; the other one counts where both say the same field."""
        kept = self.assumed - other.fields.keys()
        return Told(fields={**self.fields, **other.fields}, assumed=kept | other.assumed)


def is_foreign(values: Mapping[str, Any]) -> bool:
    """Return whether the fields of a configuration are those of a file that transformers wrote."""
    return KIND in values


def kind_in(values: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    """Return which of some classes a file of transformers holds, by its ``model_type``.

    Raises:
        ConfigError: it holds another one.
    """
    kind = values.get(KIND)
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(f"expected {KIND} {few(kinds)}, found {shown(repr(kind))}")
    return kind
