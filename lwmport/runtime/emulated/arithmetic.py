"""The arithmetic of devices, as their makers document it: what is rounded to what, and how sums are taken.

Nothing here is measured on a device. What no document says (the order of sums within a chunk, the tables of functions)
is not emulated: it is computed in float32.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.types import Array, dtype_of

SQUARES: Final = ("Pow", "Softmax", "LayerNormalization", "InstanceNormalization")
"""What `lwmport compile --target ascend` keeps in float32 by default (docs/targets/ascend.md)."""


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """What one device, or one dtype, makes of operators.

    Attributes:
        name: what it is called behind ``emulate:``.
        words: what is rounded, for a reader.
        dtype: every operator's inputs and results are rounded to it; empty where they stay as the model has them.
        sums: products are summed in it.
        chunk: so many products are summed at once, in float32, before the sum is rounded to ``sums``; 0 for all.
        integers: whether products are of integers of 8 bits.
        results: whether the results of such products are rounded to 8 bits too.
        clipped: whether weights beyond ``dtype`` become its largest number instead of infinity.
        kept: ONNX operators whose results stay in float32.
    """

    name: str
    words: str
    dtype: str = ""
    sums: str = "float32"
    chunk: int = 0
    integers: bool = False
    results: bool = False
    clipped: bool = False
    kept: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What a runner of it is called wherever a verdict is read."""
        return f"emulate:{self.name} on the CPU (a forecast, not a device's result): {self.words}"


FLOAT16: Final = Arithmetic(
    name="float16",
    words="every result rounded to float16, products summed in float32",
    dtype="float16",
)
"""IEEE 754 binary16, to nearest even; beyond its range are infinities. Sums in float32, as matrix units of all vendors
offer them (PTX ISA, ``mma`` with ``.f32`` accumulators; Ascend C, ``asc_mmad`` of half into float)."""

FLOAT16_SUMS: Final = Arithmetic(
    name="float16-sums",
    words="every result rounded to float16, products summed in float16 by 16",
    dtype="float16",
    sums="float16",
    chunk=16,
)
"""The same where the sum is float16 too, and rounded behind each 16 products: PTX ISA, ``mma.m16n8k16`` with ``.f16``
accumulators. What a runtime does that is told to save accuracy for speed."""

BFLOAT16: Final = Arithmetic(
    name="bfloat16",
    words="every result rounded to bfloat16, products summed in float32",
    dtype="bfloat16",
)
"""bfloat16, to nearest even. Sums in float32: Intel's SDM, TDPBF16PS; Ascend C, ``asc_mmad`` of
bfloat16_t into float."""

ASCEND: Final = Arithmetic(
    name="ascend",
    words="float16 but for squares, softmax and norms, products summed in float32 by 16, weights clipped",
    dtype="float16",
    chunk=16,
    clipped=True,
    kept=SQUARES,
)
"""An Ascend NPU by `lwmport compile`'s default, ``mixed_float16`` with a list of operators in float32. The cube
multiplies 16 x 16 by 16 x 16 (``cube_k_size=16`` in CANN's platform files) and sums in float32 (Ascend C,
``asc_mmad``). Weights beyond float16 are clipped (ATC, ``--is_weight_clip``, 1 by default); results become infinities,
as in the mode INF/NaN that Atlas A2 and A3 have by default (``set_device_sat_mode``). A 910A saturates."""

INT8: Final = Arithmetic(
    name="int8",
    words="products of 8 bits: weights a scale an output, the rest a scale a tensor; all else in float32",
    integers=True,
)
"""ONNX, DynamicQuantizeLinear: ``scale = (max - min) / 255`` over a range that holds zero, zero point to nearest even,
saturated. Weights: ``scale = max |w| / 127`` for each output (AI Edge Quantizer and Compass's restricted range)."""

AIPU: Final = Arithmetic(
    name="aipu",
    words="products of 8 bits, their results too; all else in float32; ranges are those of each run",
    integers=True,
    results=True,
)
"""A Zhouyi NPU by `lwmport compile`'s defaults for Compass: ``per_channel_symmetric_restricted_range`` weights,
``per_tensor_asymmetric`` activations, calibration by ``extrema``, here of the run itself. Biases have 32 bits there and
stay float32 here; tables of functions (``lut_items_in_bits``) and what Compass fuses are not emulated."""


def rounded(x: Array, dtype: str) -> Array:
    """Return floating values rounded to a dtype, to nearest even, in the dtype that they had; others as they are."""
    if not dtype or not np.issubdtype(x.dtype, np.floating):
        return x
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(dtype_of(dtype)).astype(x.dtype)


def clipped(x: Array, dtype: str) -> Array:
    """Return finite values beyond a dtype as its largest number; infinities stay."""
    import ml_dtypes

    finfo = getattr(ml_dtypes, "finfo")  # noqa: B009 - it has no types
    largest = np.float32(finfo(dtype_of(dtype)).max)
    found: Array = np.where(np.isfinite(x), np.clip(x, -largest, largest), x).astype(x.dtype)
    return found


def product(a: Array, b: Array, arithmetic: Arithmetic) -> Array:
    """Return the product of matrices [..., m, k] and [..., k, n] in float32, summed as the arithmetic sums."""
    a, b = a.astype(np.float32, copy=False), b.astype(np.float32, copy=False)
    size = a.shape[-1]
    with np.errstate(over="ignore", invalid="ignore"):
        if not arithmetic.chunk or size <= arithmetic.chunk:
            return rounded(np.matmul(a, b), arithmetic.sums)
        total: Array = np.zeros((), np.float32)
        for begin in range(0, size, arithmetic.chunk):
            part = slice(begin, begin + arithmetic.chunk)
            total = rounded(total + np.matmul(a[..., part], b[..., part, :]), arithmetic.sums)
    return total


def by_tensor(x: Array) -> Array:
    """Return values rounded to 256 steps over their range, zero among them (ONNX, DynamicQuantizeLinear)."""
    low, high = min(float(x.min(initial=0)), 0.0), max(float(x.max(initial=0)), 0.0)
    scale = np.float32((high - low) / 255)
    if scale == 0:
        return x
    zero = np.clip(np.rint(-np.float32(low) / scale), 0, 255)
    codes = np.clip(np.rint(x / scale) + zero, 0, 255)
    found: Array = ((codes - zero) * scale).astype(x.dtype)
    return found


def by_channel(w: Array, axis: int) -> Array:
    """Return weights rounded to 255 symmetric steps, each entry of an axis with a scale of its own."""
    others = tuple(at for at in range(w.ndim) if at != axis % w.ndim)
    scale = np.abs(w).max(axis=others, keepdims=True).astype(np.float32) / 127
    safe = np.where(scale == 0, np.float32(1), scale)
    found: Array = (np.clip(np.rint(w / safe), -127, 127) * safe).astype(w.dtype)
    return found
