"""Schemes of storage: what weights may be stored as, by what a user asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lwmport.errors import UnusedOptionError, UsageError
from lwmport.types import Scheme

SCHEMES: Final[dict[str, Scheme]] = {name: Scheme(name=name, bits=16, dtype=name) for name in ("float16", "bfloat16")}
"""What ``--store`` may name -> the scheme."""

INTEGERS: Final[dict[str, Scheme]] = {
    name: Scheme(name=name, bits=bits, dtype="uint8", group=32, scales="float32", method="rtn", activations=activations)
    for name, bits, activations in (("w8a16", 8, 0), ("w4a16", 4, 0), ("w8a8", 8, 8), ("w4a8", 4, 8))
}
"""What ``--quantize`` may name -> the scheme with the usual group, symmetric, rounded to nearest.

A group of 32 is what most readers take by default (onnxruntime's quantiser, llama.cpp).
"""

TFLITE: Final[dict[str, Scheme]] = {
    name: Scheme(
        name=name,
        bits=bits,
        dtype="int8",
        group=group,
        scales=scales,
        method="rtn",
        activations=activations,
        even=True,
        turned=True,
    )
    for name, bits, group, scales, activations in (
        ("w8a8", 8, 0, "float32", 8),
        ("w4a8", 4, 32, "float16", 8),
        ("w8a16", 8, 0, "float32", 0),
    )
}
"""The same for the kernels of TFLite: a scale for each output at 8 bits, blocks at 4.

LiteRT has no kernel for the missing one: its DEQUANTIZE does not know blocks.
"""

RANGES: Final = "static"
"""The table of schemes by which convolutions of TFLite round to numbers that calibration finds."""

STATIC: Final[dict[str, Scheme]] = {"w8a8": replace(TFLITE["w8a8"], ranged=True)}
"""The same where TFLite's convolutions round to numbers that are in the file; nothing else is rounded."""

PAIRS: Final[dict[str, Scheme]] = {"w8a8": replace(INTEGERS["w8a8"], dtype="float32")}
"""The same for compilers that make the codes themselves, of values behind which QuantizeLinear says how; what comes out
of a product of these stays as it is."""

DEPLOYED: Final[dict[str, Scheme]] = {"w8a8": INTEGERS["w8a8"]}
"""The same for operators that make the codes of what goes into a convolution, and numbers of its int32 sums."""

ROUNDINGS: Final[Mapping[str, Mapping[str, Scheme]]] = {
    "": INTEGERS,
    "tflite": TFLITE,
    RANGES: STATIC,
    "pairs": PAIRS,
    "deployed": DEPLOYED,
}
"""Table of schemes, as a dialect names it -> what ``--quantize`` may name in it."""

SUMS: Final = ("pairs", "deployed")
"""Tables by which what comes out of a convolution of integers is not rounded."""

WHOLE_BIASES: Final = ("deployed",)
"""Those of them by which its bias is of integers all the same: it is added to the sums of codes."""

BLOCKS: Final[dict[str, Scheme]] = {
    name: Scheme(name=name, bits=bits, dtype="uint8", least=0)
    for name, bits in (("q8_0", 8), ("q6_k", 6), ("q5_0", 5), ("q4_k_m", 4), ("q4_1", 4), ("q4_0", 4))
}
"""What ``--quantize`` may name for GGUF files -> the scheme, whose blocks the tensor decides."""

GROUPS: Final = (16, 32, 64, 128, 256)
"""Sizes of a group: those that ONNX Runtime's kernels of products have."""

CALIBRATED: Final = ("gptq", "awq")
"""Methods by which codes also follow from what a matrix is multiplied with when the model runs."""

SCALED: Final = "awq"
"""The one of them by which channels are scaled before they are rounded."""

UNCALIBRATED: Final = "rtn"
"""The method of what those do not reach: tables, whose rows are looked up, and kernels of convolutions."""

BUDGETED: Final = ("w4a16", "w4a8")
"""Kinds beside which a budget may give tensors more bits."""

KEPT: Final = ("float16", "float32")
"""What ``--keep PATTERN=...`` may keep a weight in."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What an option beside ``--quantize`` may be in a table of schemes: its key, its values, and how that is said."""

    key: str
    values: tuple[object, ...]
    said: str


_EVEN: Final = (
    Limit(key="symmetric", values=(True,), said="--symmetric weights, without zero points,"),
    Limit(key="method", values=("", "rtn", "mse"), said="--method out of rtn, mse"),
    Limit(key="recipe", values=((),), said="no --recipe"),
)
"""What kernels of TFLite take."""

LIMITS: Final[Mapping[str, tuple[Limit, ...]]] = {
    "": (),
    "pairs": (),
    RANGES: _EVEN,
    "deployed": (),
    "tflite": (
        Limit(key="group_size", values=(None, 32, 64, 128, 256), said="--group-size out of 32, 64, 128, 256"),
        *_EVEN,
    ),
}
"""Table of schemes -> the options that may be less in it than elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Weights that are not quantised: a pattern (`fnmatch`) of their names, and the dtype that they are stored in."""

    pattern: str
    dtype: str


def kept(texts: Sequence[str]) -> tuple[Kept, ...]:
    """Return what ``--keep`` says, in order; the first pattern that fits a name decides.

    Raises:
        UsageError: a text is not ``PATTERN=float16`` or ``PATTERN=float32``.
    """
    found = []
    for text in texts:
        pattern, _, dtype = text.rpartition("=")
        if not pattern or dtype not in KEPT:
            raise UsageError(f"expected --keep PATTERN={' or PATTERN='.join(KEPT)}, found {text!r}")
        found.append(Kept(pattern=pattern, dtype=dtype))
    return tuple(found)


def uncalibrated(scheme: Scheme) -> Scheme:
    """Return a scheme that needs no run of the model: another method where its own does."""
    return replace(scheme, method=UNCALIBRATED) if scheme.method in CALIBRATED else scheme


def check_neighbours(quantize: str, said: Mapping[str, str]) -> None:
    """Return if the options that say how ``--quantize`` rounds stand beside one that takes them.

    Args:
        quantize: its value.
        said: key -> how the command line says it, of those that differ from their defaults.

    Raises:
        UnusedOptionError: one changes nothing.
    """
    for key, words in said.items():
        if quantize not in INTEGERS:
            found = f"--quantize {quantize}" if quantize else "no --quantize"
            expected = f"--quantize out of {', '.join(INTEGERS)}"
            raise UnusedOptionError(f"expected {words} beside {expected}, found {found}; leave it out", key)


def check_group(size: int | None) -> None:
    """Return if a size of a group is one that kernels have, or None for the usual one.

    Raises:
        UsageError: it is not.
    """
    if size is not None and size not in GROUPS:
        raise UsageError(f"expected --group-size out of {', '.join(map(str, GROUPS))}, found {size}")
