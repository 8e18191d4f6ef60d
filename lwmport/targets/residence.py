"""How the runtime of a target holds a model: what it has beside the weights, the cache and the values."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Residence:
    """What a runtime adds to a model, or leaves out of memory.

    Attributes:
        process: bytes of the process, with its runtime, before it opens a model.
        caches: how many KV caches are there at once: a run that writes its states into new memory has two.
        arena: memory for values is taken in powers of two, and again as one block once the sizes of a run come back.
        mapped_tables: tables of which rows are picked stay in their file; only the rows that are read come to memory.
        widened: weights of float16 are held as float32, which is what is computed in.
        packed: weights are copied from their mapped file one by one: while one is, its pages of the file are there too.
        sources: name of a field -> where it is known from.
    """

    process: int = 0
    caches: int = 1
    arena: bool = False
    mapped_tables: bool = False
    widened: bool = False
    packed: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)


PLAIN = Residence()
"""A runtime that holds the model once, and of which nothing more is known."""
