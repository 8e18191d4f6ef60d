"""The records of what was brought back from a device: a tensor, and all that one folder or file holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from lwmport.types import Array

NONE: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class BroughtTensor:
    """One tensor as a tool wrote it.

    Attributes:
        names: what it may be called in the model file, best first; empty where the tool tells a position alone. A tool
            that writes ``_`` for other characters loses them: `lwmport.runtime.brought.read.matched` knows.
        role: ``output`` or ``input`` of the node that ``names`` tell (of the model, where they are empty), or
            ``tensor`` where they are a tensor's own.
        index: which output or input of the node, or of the model.
        sample: which run.
        shape: sizes as the device had them; None where the file does not tell.
        dtype: name of the dtype of the values; empty where the file does not tell.
        layout: the order in which the device had the axes (``NHWC``, ``FRACTAL_NZ``), where it is not the model's.
        source: the file, and the place in it, for messages.
        load: reads the values; None where the tool wrote statistics alone.
        statistics: what the tool computed: ``min``, ``max``, ``mean`` and ``std`` of the values, and against its own
            reference ``cosine``, ``max_abs``, ``mean_abs``, ``rmse``, ``max_rel``, ``mean_rel``, ``rel_euclid``...
    """

    names: tuple[str, ...]
    role: str
    index: int = 0
    sample: int = 0
    shape: tuple[int, ...] | None
    dtype: str
    layout: str = ""
    source: str
    load: Callable[[], Array] | None
    statistics: Mapping[str, float] = field(default_factory=lambda: NONE)


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What a folder or a file holds; ``notes`` say what was left aside and why, one sentence each."""

    kind: str
    tensors: tuple[BroughtTensor, ...]
    notes: tuple[str, ...] = ()
