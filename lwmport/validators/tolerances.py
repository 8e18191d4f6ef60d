"""How far an output may be from JAX: the rows of its family, or the defaults here, and why just so far.

An error passes when ``|candidate - reference| <= atol + rtol * |reference|``, in float64, at every element.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from lwmport.errors import UsageError
from lwmport.registry import check_known
from lwmport.types import CACHED, ROUNDED_BY_TENSOR, ROUNDED_PRODUCTS, Kind, TensorSpec, Tolerance, Tolerances, dtype_of

EXACT: Final = Tolerance(
    atol=0.0, rtol=0.0, why="An integer names something (a code, a token): the next integer is a different thing."
)

DEFAULTS: Final[Mapping[str, Tolerance]] = MappingProxyType(
    {
        "float64": Tolerance(
            atol=1e-12,
            rtol=1e-10,
            why="float64 carries 53 bits (1.1e-16); a sum of a million terms in another order stays a thousandfold "
            "below 1e-10.",
        ),
        "float32": Tolerance(
            atol=1e-5,
            rtol=1e-4,
            why="float32 carries 24 bits (6e-8); summing in another order through LWM's layers was measured at 4e-6 "
            "where the standard deviation is 1 (full against blockwise attention, three layers).",
        ),
        "float16": Tolerance(
            atol=1e-2,
            rtol=1e-2,
            why="float16 carries 11 bits (4.9e-4, 8192 times float32's): twenty such roundings in a row, for the "
            "default depth; an overflow past 65504 still fails, for it is infinite.",
        ),
        "bfloat16": Tolerance(
            atol=8e-2,
            rtol=8e-2,
            why="bfloat16 carries 8 bits (3.9e-3), 8 times coarser than float16: the same twenty roundings.",
        ),
    }
)
"""By the precision that the artifact computes in, for outputs that the rows of a family do not name."""

_ROUNDED: Final = Tolerance(
    atol=0.5,
    rtol=0.5,
    why="What is multiplied is rounded to 8 bits, a block at a time. Measured: 46 dB behind one product, 37 "
    "and 32 dB of logits behind 2 and 16 layers, 0.07 and 0.13 at the worst of 65,000. 24 dB are for 80.",
    min_sqnr_db=24.0,
)

ROUNDED: Final[Mapping[str, Tolerance]] = MappingProxyType({ROUNDED_PRODUCTS: _ROUNDED, ROUNDED_BY_TENSOR: _ROUNDED})
"""The same for products of rounded numbers, which are no precision that a model can be asked for in."""

CACHES: Final[Mapping[str, Tolerance]] = MappingProxyType(
    {
        CACHED["float16"]: Tolerance(
            atol=4e-3,
            rtol=4e-3,
            why="Both sides round the cache to float16 (2^-11), but not the same values up: behind 16 layers the low "
            "bits of two right programs are unlike, 71 dB and 2.0e-3 at the worst. Twice as much is for 80.",
            min_sqnr_db=62.0,
        ),
        CACHED["int8"]: Tolerance(
            atol=5e-2,
            rtol=5e-2,
            why="Both sides round the cache to 256 numbers, but not the same values up: of logits 1.2e-2 at the worst "
            "were measured behind 10 layers. Four times as much is for 80.",
            min_sqnr_db=34.0,
        ),
    }
)
"""The same for models that compute in float32 and round their cache."""

EARLY: Final = {name: f"{name}, early" for name in CACHES}
LONE: Final = {name: f"{name}, one token" for name in CACHES}
"""The precision of such a model -> that of what has not drifted yet (`lwmport.pipeline.validate.rounded_cache`)."""

_FEW: Final = "Few values lie next to a tie of 256 numbers and are a step from the other side's."

_TIGHT: Final[Mapping[str, Tolerance]] = MappingProxyType(
    {
        EARLY[CACHED["float16"]]: Tolerance(
            atol=1e-3,
            rtol=1e-3,
            why="Few values lie next to a tie of float16 and are a step (2^-10) from the other side's: 86 dB were "
            "measured in the second of 16 layers. Without the rounding of new tokens 71 dB are left.",
            min_sqnr_db=76.0,
        ),
        LONE[CACHED["float16"]]: Tolerance(
            atol=2e-3,
            rtol=2e-3,
            why="One value next to a tie is a large part of one token in a small model: 79 dB of logits were measured.",
            min_sqnr_db=66.0,
        ),
        EARLY[CACHED["int8"]]: Tolerance(atol=2e-2, rtol=2e-2, why=_FEW, min_sqnr_db=46.0),
        LONE[CACHED["int8"]]: Tolerance(
            atol=2e-2, rtol=2e-2, why=f"{_FEW} Scales that are wrong by 2 % leave 31 dB of logits.", min_sqnr_db=46.0
        ),
    }
)

_STEP: Final = Tolerance(
    atol=1.0,
    rtol=0.0,
    why="A code stands for a number: next to a tie the next code is as good. 57 dB were measured in the second of 10 "
    "layers; scales that are wrong by 2 % leave 34.",
    min_sqnr_db=46.0,
)

CODES: Final[Mapping[str, Tolerance]] = MappingProxyType(
    {
        CACHED["int8"]: Tolerance(
            atol=4.0,
            rtol=0.0,
            why="Codes of two right programs drift apart: by 1, and to 47 dB, behind 10 layers. Four times is for 80.",
            min_sqnr_db=34.0,
        ),
        **dict.fromkeys(
            ROUNDED,
            Tolerance(
                atol=64.0, rtol=0.0, why="The values move as far as the products that are rounded.", min_sqnr_db=20.0
            ),
        ),
        EARLY[CACHED["int8"]]: _STEP,
        LONE[CACHED["int8"]]: _STEP,
    }
)
"""How far codes of a cache may be from the reference's, by precision."""

_EVERY: Final = {**DEFAULTS, **CACHES, **_TIGHT, **ROUNDED}
ALL: Final[Mapping[str, Tolerance]] = MappingProxyType(
    {name: _EVERY[name] for name in ("float64", "float32", *_TIGHT, *CACHES, "float16", "bfloat16", *ROUNDED)}
)
"""Every precision, finest first."""


def coarsest(*precisions: str) -> str:
    """Return the precision out of several whose tolerances are the widest; an empty one counts for nothing."""
    return max(filter(None, precisions), key=list(ALL).index)


def tolerance_for(rows: Tolerances, spec: TensorSpec, precision: str = "float32") -> Tolerance:
    """Return the tolerance of one output: exact for integers, else its row, its family's, or its precision's default.

    Args:
        rows: those of the model's family.
        spec: the output.
        precision: what the artifact computes in, which may be narrower than the dtype it returns.

    Raises:
        UsageError: no such precision.
    """
    if is_exact(spec):
        if precision in CODES and spec.dtype == "int8":
            return CODES[precision]
        return rows.outputs.get((spec.name, precision), EXACT)
    check_known("precision", precision, ALL)
    usual = rows.usual.get(precision, ALL[precision])
    return rows.outputs.get((spec.name, precision), usual)


def is_exact(spec: TensorSpec) -> bool:
    """Return whether an output holds integers or booleans.

    Raises:
        UsageError: the signature calls floating-point numbers indices.
    """
    integers = np.issubdtype(dtype_of(spec.dtype), np.integer) or spec.dtype == "bool"
    if spec.kind is Kind.INDICES and not integers:
        raise UsageError(f"expected an integer dtype for the indices {spec.name!r}, found {spec.dtype}")
    return integers
