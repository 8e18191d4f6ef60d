"""Options that a user gave and that nothing would hear: refused, rather than left to be believed."""

from collections.abc import Iterator
from typing import Final

from lwmport.converters.dialects import DIALECTS
from lwmport.converters.taps import FORMATS, can_tap
from lwmport.errors import UsageError
from lwmport.models.families import STATIC_GROUPS, Family, parts_of, takers
from lwmport.models.options import USUAL_ATTENTION, Options
from lwmport.models.storage import stored_names
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.registry import check_known
from lwmport.targets.dialects import ALL_DIALECTS
from lwmport.types import TAPS, Dialect

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
    yield from _of_request(request)
    yield from _of_dialect(request, dialect)
    yield from _of_components(request, dialect)


def _of_request(request: ConvertRequest) -> Iterator[tuple[str, str]]:
    """Yield options that change nothing beside another option."""
    if request.seed and request.checkpoint is not None:
        yield "seed", f"--seed of seeded weights alone, found --seed {request.seed} beside --checkpoint"
    if request.runner is not None and not request.validate:
        yield "runner", f"--runner of artifacts that are judged, found --runner {request.runner} beside --no-validate"


def _of_dialect(request: ConvertRequest, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Yield options that change nothing in the dialect, whatever the component is."""
    whom, store = _whom(request, dialect), request.options.store
    if not dialect.lowered and request.batch != 1:
        words = f"--batch of a lowered program, found --batch {request.batch} for {whom}, where weights are renamed"
        yield "batch", words
    if store and store not in dialect.stores:
        yield "store", f"--store {store} in a dialect out of {', '.join(storing(store))}, found {whom}"
    if request.taps and not can_tap(dialect):
        yield "taps", f"--taps of a model in {', '.join(FORMATS)}, found --taps {request.taps} for {whom}"


def _of_components(request: ConvertRequest, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Yield options that change nothing of the components that are asked for."""
    given, usual = request.options, Options()
    options = given.completed(dialect.attention, static=dialect.static)
    parts = parts_of(request.component, options)
    for name, components in takers().items():
        value = getattr(given, name)
        if value == getattr(usual, name):
            continue
        found = f"found {_word(name)} {value} for {_whom(request, dialect)}"
        if not dialect.lowered and name not in OF_WEIGHTS:
            yield name, f"{_word(name)} of a lowered program, {found}, where weights are renamed"
        if not set(parts) & set(components):
            yield name, f"{_word(name)} of {_listed(name, components)}, {found}"
        if name in CHUNKS and options.attention in {"", USUAL_ATTENTION}:
            yield name, f"{_word(name)} of --attention loop or unrolled, {found}, which is fused"


def _whom(request: ConvertRequest, dialect: Dialect) -> str:
    return f"{request.component} in the dialect {dialect.name!r}"


def check_stored(family: Family) -> None:
    """Return if a scheme of storage, where one is asked for, stores a weight of the model.

    Raises:
        UsageError: it stores none.
    """
    store = family.options.store
    if store and not any(stored_names(component, store) for component in family.components):
        names = ", ".join(component.name for component in family.components)
        raise UsageError(
            f"expected matrices, kernels or tables for --store {store}, found none among the weights of {names}; "
            "leave it out"
        )


def storing(store: str) -> tuple[str, ...]:
    """Return the dialects that store weights by a scheme."""
    return tuple(name for name, dialect in {**DIALECTS, **ALL_DIALECTS}.items() if store in dialect.stores)


def _listed(name: str, components: tuple[str, ...]) -> str:
    """Return who takes an option; a cache of fixed length is what a static dialect gives of the whole components."""
    if name != "max_length":
        return ", ".join(components)
    return (
        f"a cache of fixed length (NAME-prefill, NAME-decode, or NAME in a static dialect: {', '.join(STATIC_GROUPS)})"
    )


def _word(name: str) -> str:
    return f"--{name.replace('_', '-')}"
