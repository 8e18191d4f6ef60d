"""What the readers of a format differ in, as data. A dialect's forms are names in its converter's table of forms."""

from dataclasses import replace
from typing import Final

from lwmport.errors import UsageError
from lwmport.registry import check_known
from lwmport.types import Dialect

_STANDARD: Final = {
    "lwmport.average_pool": ("AveragePool",),
    "lwmport.group_norm": ("GroupNormalization", "InstanceNormalization"),
    "lwmport.silu": ("Swish", "Sigmoid*Mul"),
    "lwmport.softmax": ("Softmax",),
    "lwmport.upsample_nearest": ("Resize",),
}

DIALECTS: Final[dict[str, Dialect]] = {
    "ort": Dialect(
        name="ort",
        format="onnx",
        summary="what ONNX Runtime runs fastest",
        opset=21,
        opsets=(21, 21),
        composites={**_STANDARD, "lwmport.upsample_nearest": ("Phases", "Resize")},
    ),
    "onnx": Dialect(
        name="onnx",
        format="onnx",
        summary="standard operators only, any opset from 13 to 24",
        opset=21,
        opsets=(13, 24),
        composites=_STANDARD,
    ),
}

DEFAULTS: Final = {"onnx": "ort"}
"""Format -> the dialect that is meant when none is named."""


def dialect_for(form: str, name: str | None = None, opset: int | None = None) -> Dialect:
    """Return the dialect of a format, by default its usual one, set to an opset if one is asked for.

    Raises:
        UsageError: no such dialect of that format, or an opset that it does not go to.
    """
    known = [dialect.name for dialect in DIALECTS.values() if dialect.format == form]
    check_known(f"dialect of {form}", name or DEFAULTS[form], known)
    dialect = DIALECTS[name or DEFAULTS[form]]
    low, high = dialect.opsets
    if opset is not None and not low <= opset <= high:
        raise UsageError(f"expected an opset from {low} to {high} for the dialect {dialect.name!r}, found {opset}")
    return dialect if opset is None else replace(dialect, opset=opset)
