"""What a model takes of a user's inputs, and one run of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lwmport.types import Array, Preprocessing, TensorSpec

MOST_FILES: Final = 10_000
"""Arrays, lines or pictures."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a model takes.

    Attributes:
        specs: its inputs.
        batch: items of a run, where pictures are put together.
        preprocessing: input -> how a picture becomes it; `lwmport.models.spec.FamilySpec.preprocessing`.
        tokens: the input that a text becomes; empty where the model reads none.
        open: inputs that may be left out, for the model's family fills them in.
        others: inputs of other models that are run on the same files.
    """

    specs: tuple[TensorSpec, ...]
    batch: int = 1
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict)
    tokens: str = ""
    open: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One run: its inputs, and the names of the files that are shown in it, where it is of pictures."""

    inputs: Mapping[str, Array]
    titles: tuple[str, ...] = ()
