"""Options of a request that would change nothing: they are refused, for a user would believe that they do."""

from collections.abc import Iterator
from typing import Final

from lwmport.converters import WITH_TOKENIZER
from lwmport.converters.dialects import DEFAULTS, DIALECTS
from lwmport.converters.taps import FORMATS, can_tap
from lwmport.errors import UnusedOptionError
from lwmport.models.families import STATIC_GROUPS, parts_of, takers
from lwmport.models.options import USUAL_ATTENTION, Options
from lwmport.models.packed_schemes import is_ranged
from lwmport.models.recipe import kinds_of, rules
from lwmport.models.schemes import BLOCKS, BUDGETED, CALIBRATED, LIMITS, RANGES, ROUNDINGS
from lwmport.options import OPTIONS, Place, flag_of, values_of, words
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.targets.dialects import ALL_DIALECTS
from lwmport.types import Dialect
from lwmport.wording import few

CACHE: Final = "float32"
"""The dtype of a cache that every reader takes."""


def check_unused(request: ConvertRequest, dialect: Dialect) -> None:
    """Return if every option of a request that differs from its default changes something of what is made.

    Raises:
        UnusedOptionError: one does not; the message says who takes it.
    """
    for option, said in unused(request, dialect):
        raise UnusedOptionError(f"expected {said}; leave it out, or ask for what takes it", option)


def unused(request: ConvertRequest, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Yield each option that changes nothing, and the words that say who takes it and what was found."""
    yield from _of_request(request, dialect)
    yield from _of_dialect(request, dialect)
    yield from _of_components(request, dialect)


def _of_request(request: ConvertRequest, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Yield options that change nothing beside another option."""
    if request.seed and request.checkpoint is not None:
        yield "seed", f"--seed only without --checkpoint, found --seed {request.seed} beside --checkpoint"
    for key in ("inputs", "samples"):
        value = getattr(request, key)
        if value is not None and not request.validate:
            yield key, f"--{key} only where artifacts are judged, found --{key} {value} beside --no-validate"
    methods = {request.options.method, *(table.get("method") for _, table in rules(request.options.recipe))}
    yield from _of_budget(request)
    chosen = bool(methods & {*CALIBRATED}) or request.budget_gb is not None or request.budget_kl is not None
    chosen = chosen or request.options.cache == "int8"
    if request.calibrate_on is not None and not chosen and not is_ranged(request.options.completed(dialect)):
        found = f"--method {request.options.method}" if request.options.method else "no --method"
        others = f"--method {' or '.join(CALIBRATED)}, a budget or --cache int8"
        yield "calibrate_on", f"--calibrate-on beside {others}, found {found}"
    if request.runner is not None and not request.validate:
        yield "runner", f"--runner of artifacts that are judged, found --runner {request.runner} beside --no-validate"


def _of_budget(request: ConvertRequest) -> Iterator[tuple[str, str]]:
    """Yield a budget that decides on nothing, or that nobody would check."""
    given = {key: getattr(request, key) for key in ("budget_gb", "budget_kl")}
    said = {key: f"{flag_of(key)} {value}" for key, value in given.items() if value is not None}
    if len(said) > 1:
        yield "budget_kl", f"one budget, found {' beside '.join(said.values())}"
    for key, found in said.items():
        if request.options.quantize not in BUDGETED:
            asked = f"--quantize {request.options.quantize}" if request.options.quantize else "no --quantize"
            yield key, f"{flag_of(key)} beside --quantize {' or '.join(BUDGETED)}, found {found} beside {asked}"
        if not request.validate and key == "budget_kl":
            yield key, f"{flag_of(key)} of artifacts that are judged, found {found} beside --no-validate"


def _of_dialect(request: ConvertRequest, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Yield options that the dialect does not have, whatever the component is."""
    whom, store = _whom(request, dialect), request.options.store
    if store and store not in dialect.stores:
        yield "store", f"--store {store} in a dialect out of {few(storing(store))}, found {whom}"
    yield from _of_cache(request.options.cache, whom, dialect)
    if request.options.quantize:
        for kind in dict.fromkeys((request.options.quantize, *kinds_of(request.options.recipe))):
            yield from _of_quantisation(kind, whom, dialect)
        yield from _of_rounding(request.options, whom, dialect)
        for key in ("budget_gb", "budget_kl"):
            if (dialect.packing or dialect.rounding) and getattr(request, key) is not None:
                yield key, f"{flag_of(key)} in a dialect that takes --recipe, found it for {whom}"
        if dialect.packing and request.options.recipe:
            yield "recipe", f"no --recipe for a folder of quantised weights, found --recipe for {whom}"
    elif _is_of_integers(dialect):
        kinds = " or ".join(dialect.quantizes)
        yield "dialect", f"--quantize {kinds} with the dialect {dialect.name}, found --dialect {dialect.name} alone"
    if request.tokenizer and dialect.format not in WITH_TOKENIZER:
        yield "tokenizer", f"--tokenizer for --to {few(sorted(WITH_TOKENIZER))}, found --tokenizer for {whom}"
    if request.taps and not can_tap(dialect):
        yield "taps", f"--taps of a model in {', '.join(FORMATS)}, found --taps {request.taps} for {whom}"


def _is_of_integers(dialect: Dialect) -> bool:
    """Return whether there is another dialect of the format for weights that are not quantised."""
    return bool(dialect.packing or dialect.rounding == RANGES) and dialect.name != DEFAULTS[dialect.format]


def _of_cache(cache: str, whom: str, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Yield a dtype of the cache that no reader of the dialect takes."""
    if cache != CACHE and cache not in dialect.caches:
        takes = f"{dialect.name} takes {' and '.join((CACHE, *dialect.caches))}"
        yield "cache", f"--cache {cache} in a dialect out of {few(caching(cache))}, found {whom} ({takes})"


def _of_components(request: ConvertRequest, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Yield options that change nothing of the components that are asked for."""
    options = request.options.completed(dialect)
    parts, taking = parts_of(request.component, options), takers()
    values = {**values_of(request, Place.CONVERSION), **values_of(request.options, Place.MODEL)}
    for option in OPTIONS:
        value, components = values.get(option.key, option.default), taking.get(option.name)
        if value == option.default:
            continue
        found = f"found {option.flag} {value} for {_whom(request, dialect)}"
        if option.lowered and not dialect.lowered:
            yield option.key, f"{option.flag} of a lowered program, {found}, where weights are renamed"
        if components is not None and not set(parts) & set(components):
            yield option.key, f"{option.flag} of {_listed(option.name, components)}, {found}"
        if option.blocks and options.attention in {"", USUAL_ATTENTION}:
            yield option.key, f"{option.flag} of --attention loop or unrolled, {found}, which is fused"


def _whom(request: ConvertRequest, dialect: Dialect) -> str:
    return f"{request.component} in the dialect {dialect.name!r}"


def _of_quantisation(kind: str, whom: str, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Yield a kind of quantisation that the dialect does not have, or not at its opset."""
    since = dialect.quantizes.get(kind)
    if since is None:
        takes = f"{dialect.name} takes {', '.join(dialect.quantizes) or 'none'}"
        others = quantising(kind)
        where = f"in a dialect out of {few(others)}" if others else "of no dialect yet"
        if dialect.quantised_by:
            takes = f"{takes}; {dialect.quantised_by}"
        yield "quantize", f"--quantize {kind} {where}, found {whom} ({takes})"
    elif dialect.opset < since:
        yield "quantize", f"--quantize {kind} at opset {since} or later, found opset {dialect.opset} for {whom}"


def _of_rounding(options: Options, whom: str, dialect: Dialect) -> Iterator[tuple[str, str]]:
    """Yield options beside --quantize that the kernels of a dialect do not take."""
    if options.quantize not in dialect.quantizes or options.quantize in BLOCKS:
        return
    where = f"{whom}, with --quantize {options.quantize}"
    if options.group_size and not ROUNDINGS[dialect.rounding][options.quantize].group:
        yield "group_size", f"no --group-size where each output has a scale, found {options.group_size} for {where}"
    for limit in LIMITS[dialect.rounding]:
        value = getattr(options, limit.key)
        if value not in limit.values:
            yield (
                limit.key,
                f"{limit.said} in the dialect {dialect.name!r}, found {' '.join(words({limit.key: value}))}",
            )


def quantising(kind: str) -> tuple[str, ...]:
    """Return the dialects that store weights by a kind of quantisation."""
    return tuple(name for name, dialect in {**DIALECTS, **ALL_DIALECTS}.items() if kind in dialect.quantizes)


def caching(cache: str) -> tuple[str, ...]:
    """Return the dialects whose readers take a dtype of caches."""
    return tuple(name for name, dialect in {**DIALECTS, **ALL_DIALECTS}.items() if cache in dialect.caches)


def storing(store: str) -> tuple[str, ...]:
    """Return the dialects that store weights by a scheme."""
    return tuple(name for name, dialect in {**DIALECTS, **ALL_DIALECTS}.items() if store in dialect.stores)


def _listed(name: str, components: tuple[str, ...]) -> str:
    """Return who takes an option; a cache of fixed length is what a static dialect gives of the whole components."""
    if name != "max_length":
        return few(components)
    return f"a cache of fixed length (NAME-prefill, NAME-decode, or NAME in a static dialect: {few(STATIC_GROUPS)})"
