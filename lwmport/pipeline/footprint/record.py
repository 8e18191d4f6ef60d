"""A memory plan as a record: its terms, the devices, and what to change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

FORMAT: Final = "lwmport-plan/1"

YES: Final = "yes"
NO: Final = "no"
WITH: Final = "with"
UNKNOWN: Final = "not known"

FITS: Final = "fits"
FITS_NOT: Final = "does not fit"


@dataclass(frozen=True, kw_only=True)
class Term:
    """One part of the memory.

    Attributes:
        name: ``weights``, ``cache``, ``values``, ``workspace`` or ``process``.
        of: the component that it is of; empty for all together.
        bytes: how much.
        how: what it is made of, in words with its numbers.
        source: where the rule for it comes from.
        assumed: whether it is an assumption rather than computed from shapes or measured.
    """

    name: str
    of: str
    bytes: int
    how: str
    source: str
    assumed: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is run: in which precision, with how many tokens and sequences.

    Attributes:
        precision: of weights, one of `lwmport.pipeline.footprint.storage.PRECISIONS`.
        context: tokens of a sequence in all, 0 for a model without tokens.
        batch: sequences or pictures at once.
        chunk: tokens of a prompt that are fed at once.
    """

    precision: str
    context: int
    batch: int
    chunk: int

    @property
    def words(self) -> str:
        """The case in words."""
        tokens = f", {self.context:,} tokens, {self.chunk:,} at once" if self.context else ""
        return f"{self.precision}, batch {self.batch}{tokens}"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of the case that makes it fit: the words of the command line, and the bytes then."""

    words: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Device:
    """Devices that have the same memory, and whether the model fits them.

    Attributes:
        target: whose devices.
        names: the chips.
        memory: bytes of one; None where no source says.
        usable: bytes of it that programs can have, where a source says fewer.
        fits: ``yes``, ``with`` a change, ``no``, or ``not known``.
        change: the first change that makes it fit; None for none.
        note: why it does not fit, or what is not known.
    """

    target: str
    names: tuple[str, ...]
    memory: int | None
    usable: int | None
    fits: str
    change: Change | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """What a model takes of a device's memory.

    Attributes:
        model: what was planned, as it is called.
        case: what is run.
        target: whose runtime is meant; empty for one that holds everything once.
        parameters: of all components.
        terms: the parts of the memory.
        total: bytes of all terms.
        precisions: precision -> bytes of all terms in it, for the same tokens.
        attention: form of attention -> bytes of the values in a run.
        devices: those that are known, and whether it fits.
        advice: what to change, a sentence each, where it does not fit everywhere.
        notes: what was assumed, a sentence each.
    """

    model: str
    case: Case
    target: str
    parameters: int
    terms: tuple[Term, ...]
    total: int
    precisions: Mapping[str, int]
    attention: Mapping[str, int]
    devices: tuple[Device, ...]
    advice: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def status(self) -> str:
        """``fits`` where a device has room for it as it is, ``does not fit`` where none has that is known."""
        known = [device for device in self.devices if device.fits != UNKNOWN]
        if any(device.fits == YES for device in known):
            return FITS
        return FITS_NOT if known else UNKNOWN
