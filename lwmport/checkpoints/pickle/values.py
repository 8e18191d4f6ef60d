"""What stands on the stack of the pickle machine: descriptions of values, never the values' own Python objects."""

from collections.abc import Callable
from dataclasses import dataclass

from lwmport.checkpoints.entry import TensorEntry


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes that stay in the file; ``codec`` is set where the file holds them as text."""

    offset: int
    length: int
    codec: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A text and where it stands; ``value`` is None where it is too long to be a name."""

    value: str | None
    offset: int
    length: int
    codec: str


@dataclass(slots=True)
class Dtype:
    """A numpy dtype. The byte order comes later, with BUILD."""

    name: str
    big_endian: bool = False


@dataclass(slots=True)
class Array:
    """A numpy or JAX array; empty until its state arrives with BUILD."""

    entry: TensorEntry | None = None


@dataclass(frozen=True, slots=True)
class Global:
    """A name that the file may use, and what this program does when the file calls it.

    ``dtype`` is set for scalar types, which are no functions here but name a dtype. ``unread`` is set for classes whose
    objects are stepped over.
    """

    name: str
    call: Callable[[tuple[object, ...]], object]
    dtype: str = ""
    unread: bool = False


@dataclass(frozen=True, slots=True)
class Unread:
    """An object of a known class that holds no weights; whatever is put into it is let go."""

    name: str
