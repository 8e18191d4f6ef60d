"""Options that a user gave and that nothing would hear: refused, rather than left to be believed."""

from collections.abc import Iterator, Mapping
from typing import Final

from lwmport.errors import UsageError
from lwmport.models.families import STATIC_GROUPS, parts_of
from lwmport.models.options import USUAL_ATTENTION
from lwmport.options import OPTIONS, Place, values_of
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.types import Dialect

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


def check_heard(request: ConvertRequest, dialect: Dialect) -> None:
    """Return if every option of a request that differs from its default changes something of what is made.

    Raises:
        UsageError: one does not; the message says who takes it.
    """
    for _, words in unheard(request, dialect):
        raise UsageError(f"expected {words}; leave it out, or ask for what takes it")


def unheard(request: ConvertRequest, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Yield each option that changes nothing, and the words that say who takes it and what was found."""
    given = request.options
    options = given.completed(dialect.attention, static=dialect.static)
    parts = parts_of(request.component, options)
    whom = f"{request.component} in the dialect {dialect.name!r}"
    values = {**values_of(request, Place.CONVERSION), **values_of(given, Place.MODEL)}
    if request.seed and request.checkpoint is not None:
        yield "seed", f"--seed of seeded weights alone, found --seed {request.seed} beside --checkpoint"
    for option in OPTIONS:
        value, takers = values.get(option.key, option.default), TAKERS.get(option.name)
        if value == option.default:
            continue
        found = f"found {option.flag} {value} for {whom}"
        if option.lowered and not dialect.lowered:
            yield option.key, f"{option.flag} of a lowered program, {found}, where weights are renamed"
        if takers is not None and not set(parts) & set(takers):
            yield option.key, f"{option.flag} of {_listed(option.name, takers)}, {found}"
        if option.blocks and options.attention in {"", USUAL_ATTENTION}:
            yield option.key, f"{option.flag} of --attention loop or unrolled, {found}, which is fused"


def _listed(name: str, takers: tuple[str, ...]) -> str:
    """Return who takes an option; a cache of fixed length is what a static dialect gives of the whole components."""
    if name != "max_length":
        return ", ".join(takers)
    return (
        f"a cache of fixed length (NAME-prefill, NAME-decode, or NAME in a static dialect: {', '.join(STATIC_GROUPS)})"
    )
