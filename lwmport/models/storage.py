"""What the weights of a component are stored as in an artifact, where that is not what is computed with them."""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Final

from lwmport.errors import UnusedOptionError
from lwmport.models.block_schemes import block_schemes
from lwmport.models.options import Options
from lwmport.models.packed_schemes import check_packed, is_ranged, matrices, packed_scheme, packed_schemes
from lwmport.models.recipe import ruled
from lwmport.models.recipe import rules as recipe_rules
from lwmport.models.schemes import BLOCKS, CALIBRATED, ROUNDINGS, SCHEMES, WHOLE_BIASES, kept, uncalibrated
from lwmport.types import CACHED, ROUNDED_BY_TENSOR, ROUNDED_PRODUCTS, Component, Scheme, WeightSpec

MATRIX: Final = "kernel"
TABLE: Final = "embedding"
"""What flax calls the matrix [inputs, outputs] of a product or the kernel of a convolution, and a table of rows."""


def scheme_of(options: Options) -> Scheme | None:
    """Return what most weights are stored by: ``--store`` or ``--quantize``; None where all are as computed."""
    if options.store:
        return SCHEMES[options.store]
    if not options.quantize:
        return None
    if options.quantize in BLOCKS:
        return BLOCKS[options.quantize]
    usual = ROUNDINGS[options.rounding][options.quantize]
    if options.packing:
        usual = packed_scheme(usual, options.packing)
    return replace(
        usual,
        group=options.group_size or usual.group,
        symmetric=options.symmetric,
        method=options.method or usual.method,
    )


def schemes_of(component: Component, options: Options) -> dict[str, Scheme]:
    """Return name -> scheme of the weights of a component that are not stored as they are computed.

    What the family keeps in float32 whatever the precision is also stored in float32.
    """
    scheme = scheme_of(options)
    if scheme is None:
        return {}
    if options.quantize in BLOCKS:
        return block_schemes(component, options.quantize)
    if options.packing:
        return packed_schemes(component, scheme, options.packing, kept(options.keep))
    rules, recipe = kept(options.keep), list(recipe_rules(options.recipe))
    found: dict[str, Scheme] = {}
    for name, spec in component.weights.items():
        if name in component.kept:
            continue
        table = next((table for pattern, table in recipe if fnmatchcase(name, pattern)), None)
        asked = scheme if table is None else ruled(scheme, table)
        own = None if _fitted(scheme, name, spec, component.rounds) is None and options.quantize else asked
        if own is not None and own.scales:
            own = _fitted(own, name, spec, component.rounds)
        rule = next((rule for rule in rules if fnmatchcase(name, rule.pattern)), None)
        if own is not None and rule is not None:
            own = SCHEMES.get(rule.dtype)
        if own is not None and own.takes(name, spec):
            found[name] = own
    biases = rounded_biases(component, options)
    return found | {name: replace(found[kernel], bits=32, dtype="int32", least=0) for name, kernel in biases.items()}


def rounded_biases(component: Component, options: Options) -> dict[str, str]:
    """Return the biases of convolutions of integers that are stored in whole steps -> the kernel beside each.

    Where what comes out is not rounded, a bias is added to numbers, and stays as it is, unless its reader adds codes.
    """
    whole = options.rounding in WHOLE_BIASES
    kernels = (kernel for kernel, own in component.rounded.items() if whole or own.outputs is not None)
    found = {f"{kernel.rpartition('/')[0]}/bias": kernel for kernel in kernels}
    return {name: kernel for name, kernel in found.items() if name in component.weights}


def rounding_kernels(component: Component, options: Options) -> tuple[str, ...]:
    """Return the kernels whose convolutions are to be of integers: what is multiplied is rounded too."""
    schemes = {name: own for name, own in schemes_of(component, options).items() if _has_ranges(own)}
    return tuple(name for name in schemes if len(component.weights[name].shape) == 4)


def _has_ranges(scheme: Scheme) -> bool:
    """Return whether convolutions by a scheme round to numbers that calibration finds."""
    return bool(scheme.activations) and (scheme.ranged or not scheme.even)


def rounding_products(component: Component, options: Options) -> tuple[str, ...]:
    """Return the matrices whose products round what is multiplied, a block at a time, while they run."""
    schemes = schemes_of(component, options)
    return tuple(name for name, own in schemes.items() if own.activations and own.group and not own.even)


def _fitted(scheme: Scheme, name: str, spec: WeightSpec, rounds: tuple[str, ...]) -> Scheme | None:
    """Return the scheme of one weight of integers, None for a weight that is none of a product, a picture or a table.

    Groups lie along the inputs of a matrix and along the row of a table, which must be a whole number of groups wide:
    readers of rows take no other, and TFLite's products neither. A kernel of a convolution has one scale for each
    output, and stays as it is where a scale of so many values is too coarse: below 8 bits. Where what it is multiplied
    with is to be rounded, it also stays if it is none of ``rounds``, those that the component lets be, unless every
    convolution of the format does that by itself, as TFLite's do unless they are told ranges: then nothing else rounds.
    """
    what, rank = name.rpartition("/")[2], len(spec.shape)
    if scheme.ranged and rank != 4:
        return None
    if what == MATRIX and rank == 2:
        return scheme if not scheme.turned or _is_whole(scheme, spec.shape[0]) else None
    scheme = uncalibrated(scheme)  # what follows is no matrix of a product
    if what == TABLE and rank == 2:
        return replace(scheme, channel=0) if _is_whole(scheme, spec.shape[1]) else None
    by_itself = not scheme.activations or (scheme.turned and not scheme.ranged)
    rounded = by_itself or any(fnmatchcase(name, pattern) for pattern in rounds)
    if what == MATRIX and rank == 4 and scheme.bits >= 8 and rounded:
        dtype = scheme.dtype if scheme.dtype == scheme.computed else "int8"
        return replace(scheme, dtype=dtype, group=0, symmetric=True)
    return None


def _is_whole(scheme: Scheme, size: int) -> bool:
    """Return whether an axis is a whole number of groups long."""
    return not scheme.group or size % scheme.group == 0


def main_scheme(component: Component, options: Options) -> Scheme | None:
    """Return the scheme of most weights of one component: of kernels alone it has no groups."""
    scheme, own = scheme_of(options), list(schemes_of(component, options).values())
    integers = [each for each in own if each.scales]
    return integers[0] if integers and not any(each.group for each in integers) else scheme


def stored_as(options: Options) -> str:
    """Return what weights are rounded to, for a reader; empty where they are not."""
    scheme = scheme_of(options)
    return "" if scheme is None else scheme.title


def judged_in(options: Options) -> str:
    """Return the precision whose tolerances count: that of the options, or of what products are rounded to."""
    scheme = scheme_of(options)
    if scheme is None or not scheme.activations or is_ranged(options):  # readers of such folders run on devices alone
        return CACHED.get(options.cache, options.precision)
    return ROUNDED_BY_TENSOR if scheme.even and not scheme.ranged else ROUNDED_PRODUCTS


def written_bytes(component: Component, options: Options) -> int:
    """Return the bytes of the weights of a component as an artifact stores them."""
    schemes = schemes_of(component, options)
    return sum(
        schemes[name].stored_bytes(spec) if name in schemes else spec.nbytes for name, spec in component.weights.items()
    )


def check_stored(components: Sequence[Component], options: Options) -> None:
    """Return if a scheme, where one is asked for, stores a weight of some components, and each ``--keep`` keeps one.

    Raises:
        UnusedOptionError: it does not.
    """
    scheme = scheme_of(options)
    if scheme is None:
        return
    key, names = "quantize" if options.quantize else "store", ", ".join(component.name for component in components)
    if options.packing:
        check_packed(options)
        taken = {name: scheme for component in components for name in matrices(component)}
    else:
        plain = replace(options, keep=(), recipe=())
        taken = {name: own for component in components for name, own in schemes_of(component, plain).items()}
    if not taken and scheme.ranged:
        raise UnusedOptionError(
            f"expected convolutions that may round to numbers in the file for --quantize {scheme.name}, found none in "
            f"{names}; take the dialect litert, which finds these numbers for each row while it runs",
            "dialect",
        )
    if not taken:
        raise UnusedOptionError(
            f"expected matrices, kernels or tables for --{key} {scheme.name}, found none among the weights of {names}; "
            "leave it out",
            key,
        )
    if scheme.scales and not options.packing and not any(own.group for own in taken.values()):
        _check_channels(options, names)
    for pattern, _ in recipe_rules(options.recipe):
        if not any(fnmatchcase(name, pattern) for name in taken):
            raise UnusedOptionError(
                f"expected the pattern of a weight that is quantised in --recipe, such as {min(taken)}, found "
                f"{pattern}, which fits none of {names}; leave it out",
                "recipe",
            )
    for rule in kept(options.keep):
        if not any(fnmatchcase(name, rule.pattern) for name in taken):
            raise UnusedOptionError(
                f"expected the pattern of a weight that is quantised, such as {min(taken)}, found "
                f"--keep {rule.pattern}={rule.dtype}, which fits none of {names}; leave it out",
                "keep",
            )


def _check_channels(options: Options, names: str) -> None:
    """Return if no option says how groups are where all weights are kernels, which have a scale for each output."""
    given = {
        "group_size": "--group-size" if options.group_size is not None else "",
        "symmetric": "" if options.symmetric else "--asymmetric",
        "method": f"--method {options.method}" if options.method in CALIBRATED else "",
    }
    for key, words in given.items():
        if words:
            raise UnusedOptionError(
                f"expected matrices or tables for {words}, found "
                f"kernels of convolutions alone in {names}, which have a scale for each output; leave it out",
                key,
            )
