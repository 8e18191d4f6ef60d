"""What is asked of a memory plan."""

import re
from dataclasses import dataclass
from typing import Final

from lwmport.errors import UsageError
from lwmport.models.families import USUAL
from lwmport.pipeline.footprint.storage import PRECISIONS, WORDS
from lwmport.pipeline.names import settle
from lwmport.registry import check_known, meant
from lwmport.requests import check_types

UNITS: Final = {"gib": 2**30, "mib": 2**20, "gb": 10**9, "mb": 10**6}
"""Units of memory -> bytes."""

ATTENTIONS: Final = ("fused", "full", "loop")
"""Forms of attention that can be asked for: one operator, all scores at once, or blocks."""


@dataclass(frozen=True, kw_only=True)
class PlanRequest:
    """What to plan, and for which devices.

    Attributes:
        model: a model of several components, a component, a configuration, the path of a ``config.json`` or of a folder
            with one, or a checkpoint.
        config: the configuration of a component.
        settings: changes of it, ``field=value`` each.
        precision: what weights are stored in: float32, float16, bfloat16, int8, nf4 or nf4-double.
        context: tokens of a sequence in all; None for 2048, or as many as the model has positions.
        batch: sequences or pictures at once.
        chunk: tokens of a prompt that are fed at once; None for all.
        attention: ``fused``, ``full`` or ``loop``; empty for what the target's dialect has.
        target: whose runtime and devices are meant; None for a runtime that holds everything once, and all devices.
        soc: the one device of the target.
        memory: the memory of a device of the user's own, such as ``24GiB``.

    Raises:
        UsageError: a field has another type, or a value that it cannot have.
    """

    model: str
    config: str = USUAL
    settings: tuple[str, ...] = ()
    precision: str = "float16"
    context: int | None = None
    batch: int = 1
    chunk: int | None = None
    attention: str = ""
    target: str | None = None
    soc: str | None = None
    memory: str | None = None

    def __post_init__(self) -> None:
        """Refuse types and values that no plan has."""
        check_types(self)
        settle(self)
        object.__setattr__(self, "precision", meant("precision", self.precision, PRECISIONS, WORDS))
        check_known("precision", self.precision, PRECISIONS, WORDS)
        if self.attention:
            check_known("form of attention", self.attention, ATTENTIONS)
        for name in ("batch", "chunk", "context"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"expected a whole number of at least 1 as {name}, found {value}")
        if self.soc is not None and self.target is None:
            raise UsageError(f"expected --target beside --soc {self.soc}, found none")
        self.memory_bytes()

    def memory_bytes(self) -> int | None:
        """Return the memory that was asked about, in bytes; None for none.

        Raises:
            UsageError: it is no number with a unit.
        """
        return bytes_of(self.memory)


def bytes_of(text: str | None) -> int | None:
    """Return memory such as ``24GiB`` in bytes; None for None.

    Raises:
        UsageError: it is no number with a unit.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?) ?(gib|mib|gb|mb)", text.casefold())
    if found is None:
        raise UsageError(f"expected memory as a number with GiB, MiB, GB or MB, found {text!r}")
    return int(float(found[1]) * UNITS[found[2]])
