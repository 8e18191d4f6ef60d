"""Options that a user gave and that nothing would hear: refused, rather than left to be believed."""

from collections.abc import Iterator, Mapping
from typing import Final

from lwmport.converters.taps import FORMATS, can_tap
from lwmport.errors import UsageError
from lwmport.models.families import STATIC_GROUPS, parts_of
from lwmport.models.options import USUAL_ATTENTION, Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.registry import check_known
from lwmport.types import TAPS, Dialect

_STATIC: Final = tuple(part for parts in STATIC_GROUPS.values() for part in parts)
_PREFILLS: Final = tuple(name for name in _STATIC if name.endswith("-prefill"))
_ATTENDING: Final = (*STATIC_GROUPS, *_PREFILLS, "ring-step")
_BLOCKS: Final = ("llama-block", *STATIC_GROUPS["llama-block"])
_VISION: Final = ("vision-llama", *STATIC_GROUPS["vision-llama"])

TAKERS: Final[Mapping[str, tuple[str, ...]]] = {
    "layer": _BLOCKS,
    "sample_mode": (*_VISION, "llama-embed", "llama-head"),
    "attention": _ATTENDING,
    "query_chunk": _ATTENDING,
    "key_chunk": _ATTENDING,
    "ring": (*STATIC_GROUPS, *_PREFILLS),
    "sequence": (*_ATTENDING, "llama-embed", "llama-head"),
    "max_length": _STATIC,
}
"""Option of `lwmport.models.options.Options` -> the components that it changes; the others it has change all."""

CHUNKS: Final = ("query_chunk", "key_chunk")
"""Options of an attention in blocks."""

OF_WEIGHTS: Final = frozenset({"settings", "precision", "sample_mode"})
"""Options that still count where weights are renamed and no program is lowered."""


def check_heard(request: ConvertRequest, dialect: Dialect) -> None:
    """Return if every option of a request that differs from its default changes something of what is made.

    Raises:
        UsageError: one does not; the message says who takes it. Or there is no such kind of taps.
    """
    if request.taps is not None:
        check_known("kind of taps", request.taps, TAPS)
    for _, words in unheard(request, dialect):
        raise UsageError(f"expected {words}; leave it out, or ask for what takes it")


def unheard(request: ConvertRequest, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Yield each option that changes nothing, and the words that say who takes it and what was found."""
    given, usual = request.options, Options()
    options = given.completed(dialect.attention, static=dialect.static)
    parts = parts_of(request.component, options)
    whom = f"{request.component} in the dialect {dialect.name!r}"
    if request.seed and request.checkpoint is not None:
        yield "seed", f"--seed of seeded weights alone, found --seed {request.seed} beside --checkpoint"
    if not dialect.lowered and request.batch != 1:
        words = f"--batch of a lowered program, found --batch {request.batch} for {whom}, where weights are renamed"
        yield "batch", words
    if request.taps and not can_tap(dialect):
        yield "taps", f"--taps of a model in {', '.join(FORMATS)}, found --taps {request.taps} for {whom}"
    for name, takers in TAKERS.items():
        value = getattr(given, name)
        if value == getattr(usual, name):
            continue
        found = f"found {_word(name)} {value} for {whom}"
        if not dialect.lowered and name not in OF_WEIGHTS:
            yield name, f"{_word(name)} of a lowered program, {found}, where weights are renamed"
        if not set(parts) & set(takers):
            yield name, f"{_word(name)} of {_listed(name, takers)}, {found}"
        if name in CHUNKS and options.attention in {"", USUAL_ATTENTION}:
            yield name, f"{_word(name)} of --attention loop or unrolled, {found}, which is fused"


def _listed(name: str, takers: tuple[str, ...]) -> str:
    """Return who takes an option; a cache of fixed length is what a static dialect gives of the whole components."""
    if name != "max_length":
        return ", ".join(takers)
    return (
        f"a cache of fixed length (NAME-prefill, NAME-decode, or NAME in a static dialect: {', '.join(STATIC_GROUPS)})"
    )


def _word(name: str) -> str:
    return f"--{name.replace('_', '-')}"
