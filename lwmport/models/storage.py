"""What the weights of a component are stored as in an artifact, where that is not what is computed with them."""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Final

from lwmport.errors import UnusedOptionError
from lwmport.models.block_schemes import block_schemes
from lwmport.models.options import Options
from lwmport.models.packed_schemes import check_packed, matrices, packed_scheme, packed_schemes
from lwmport.models.schemes import BLOCKS, INTEGERS, SCHEMES, kept
from lwmport.types import ROUNDED_PRODUCTS, Component, Scheme, WeightSpec

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
    usual = INTEGERS[options.quantize]
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
    rules = kept(options.keep)
    found: dict[str, Scheme] = {}
    for name, spec in component.weights.items():
        if name in component.kept:
            continue
        own = _fitted(scheme, name, spec) if options.quantize else scheme
        rule = next((rule for rule in rules if fnmatchcase(name, rule.pattern)), None)
        if own is not None and rule is not None:
            own = SCHEMES.get(rule.dtype)
        if own is not None and own.takes(name, spec):
            found[name] = own
    return found


def _fitted(scheme: Scheme, name: str, spec: WeightSpec) -> Scheme | None:
    """Return the scheme of one weight of integers, None for a weight that is none of a product, a picture or a table.

    Groups lie along the inputs of a matrix and along the row of a table, which must be a whole number of groups wide:
    readers of rows take no other. A kernel of a convolution has one scale for each output, and stays as it is where a
    scale of so many values is too coarse: below 8 bits. It also stays where what it is multiplied with is to be
    rounded, for no convolution does that.
    """
    what, rank = name.rpartition("/")[2], len(spec.shape)
    if what == MATRIX and rank == 2:
        return scheme
    if what == TABLE and rank == 2:
        return replace(scheme, channel=0) if spec.shape[1] % scheme.group == 0 else None
    if what == MATRIX and rank == 4 and scheme.bits >= 8 and not scheme.activations:
        return replace(scheme, dtype="int8", group=0, symmetric=True)
    return None


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
    return ROUNDED_PRODUCTS if scheme is not None and scheme.activations else options.precision


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
        exact = replace(options, keep=())
        taken = {name: own for component in components for name, own in schemes_of(component, exact).items()}
    if not taken:
        raise UnusedOptionError(
            f"expected matrices, kernels or tables for --{key} {scheme.name}, found none among the weights of {names}; "
            "leave it out",
            key,
        )
    if scheme.scales and not options.packing and not any(own.group for own in taken.values()):
        _check_channels(options, names)
    for rule in kept(options.keep):
        if not any(fnmatchcase(name, rule.pattern) for name in taken):
            raise UnusedOptionError(
                f"expected the pattern of a weight that is quantised, such as {min(taken)}, found "
                f"--keep {rule.pattern}={rule.dtype}, which fits none of {names}; leave it out",
                "keep",
            )


def _check_channels(options: Options, names: str) -> None:
    """Return if no option says how groups are where all weights are kernels, which have a scale for each output."""
    given = {"group_size": options.group_size is not None, "symmetric": not options.symmetric}
    for key, found in given.items():
        if found:
            raise UnusedOptionError(
                f"expected matrices or tables for --{'group-size' if key == 'group_size' else 'asymmetric'}, found "
                f"kernels of convolutions alone in {names}, which have a scale for each output; leave it out",
                key,
            )
