"""The one table of tolerances: how far each output may be from JAX, and why just so far.

An error passes when ``|candidate - reference| <= atol + rtol * |reference|``, in float64, at every element.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from lwmport.errors import UsageError
from lwmport.registry import check_known
from lwmport.types import Kind, NearTies, TensorSpec, Tolerance, dtype_of

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
"""By the precision that the artifact computes in, for what neither `OUTPUTS` nor `FAMILIES` names."""

_PIXELS_BFLOAT16 = Tolerance(
    atol=0.14,
    rtol=0.0,
    why="Twice the worst pixel (0.07, at 46.8 dB) that OpenVINO's own bfloat16 run of this decoder was measured at; "
    "18 steps of an 8-bit picture, in single pixels.",
)

_LAYER = Tolerance(
    atol=1e-4,
    rtol=1e-4,
    why="One layer has no layers behind which errors add up: 132 dB were measured at a width of 64 and 116 dB at 4096, "
    "where sums are longest. Epsilon 1e-5 for 1e-6 leaves 105 dB of states of standard deviation 1.",
    min_sqnr_db=110.0,
)

OUTPUTS: Final[Mapping[tuple[str, str, str], Tolerance]] = MappingProxyType(
    {
        ("vqgan", "codebook_indices", "float16"): Tolerance(
            atol=0.0,
            rtol=0.0,
            why="float16 moves the latents by 0.24 % of their size, the rounding of the weights alone by 0.11 %: where "
            "two codes are nearly as near the other one wins, whatever else is computed in float32. 5 of 1536 codes of "
            "six photographs were others, 2 of 256 in one, none farther than 0.0045 from the tie. 0.01 is four "
            "deviations; 1 code in 32 is 8 of 256 (benchmarks/near_ties.py).",
            near_ties=NearTies(distance=0.01, share=1 / 32),
        ),
        ("vqgan", "codebook_indices", "bfloat16"): Tolerance(
            atol=0.0,
            rtol=0.0,
            why="bfloat16 is 8 times coarser: it moves the latents by 1.8 %; 57 of 1536 codes were others, 18 of 256 "
            "in one photograph, none farther than 0.046 from the tie. 0.08 is four deviations, 1 code in 8 is 32 of "
            "256.",
            near_ties=NearTies(distance=0.08, share=1 / 8),
        ),
        ("vqgan", "quantized_states", "float32"): Tolerance(
            atol=1e-4,
            rtol=0.0,
            why="Independent float32 lowerings (PyTorch, jax2onnx) agree with JAX to 2.4e-7 here. A wrong code moves "
            "the state by a whole distance between codes and cannot hide below 1e-4.",
        ),
        ("vqgan", "pixel_values", "float32"): Tolerance(
            atol=1e-4,
            rtol=0.0,
            why="Independent float32 lowerings (jax2onnx, PyTorch) agree with JAX to 1.3e-5 and 1.8e-5. 1e-4 is five "
            "times that, and still 1/78 of one step of an 8-bit picture (2/255). As a whole they agree to 106.7 to "
            "111.7 dB with LWM's own decoder on three sets of weights, while epsilon 1e-5 for 1e-6 in every group norm "
            "leaves 94 dB (measured in the debug configuration): at least 100 dB are asked for.",
            min_sqnr_db=100.0,
        ),
        ("vqgan", "pixel_values", "float16"): Tolerance(
            atol=2e-2,
            rtol=0.0,
            why="One eighth of what bfloat16 was measured to need (float16 has three bits more): 2.6 steps of an 8-bit "
            "picture (2/255), in single pixels.",
        ),
        ("vqgan", "pixel_values", "bfloat16"): _PIXELS_BFLOAT16,
        ("llama", "new_hidden_states", "float32"): _LAYER,
        ("vision-llama", "new_hidden_states", "float32"): _LAYER,
    }
)
"""By model family, output and precision."""


_LANGUAGE: Final[Mapping[str, Tolerance]] = MappingProxyType(
    {
        "float32": Tolerance(
            atol=1e-4,
            rtol=1e-4,
            why="Errors of another order of sums add up over the layers, with the root of their number: 6.7e-6, 8.7e-6 "
            "and 1.5e-5 at the worst of 900,000 logits of standard deviation 1, behind 2, 8 and 32 layers (117, 114 "
            "and 109 dB as a whole). 100 dB leave room for 80 layers (105), and none for a systematic error of 1e-5.",
            min_sqnr_db=100.0,
        ),
        "float16": Tolerance(
            atol=4e-2,
            rtol=2e-2,
            why="float16 carries 11 bits (4.9e-4), and the roundings add up with the root of the number of layers: "
            "5.8e-3, 9.4e-3 and 2.0e-2 behind 2, 8 and 32 of them where the standard deviation is 1 (59, 55 and 48 dB "
            "as a whole); twice as much is for 80 layers and for more values. An overflow past 65504 is infinite and "
            "fails.",
            min_sqnr_db=42.0,
        ),
        "bfloat16": Tolerance(
            atol=0.32,
            rtol=0.16,
            why="bfloat16 carries 8 bits (3.9e-3), 8 times coarser than float16: 0.17 was measured behind 32 layers, "
            "30 dB as a whole.",
            min_sqnr_db=24.0,
        ),
    }
)

FAMILIES: Final[Mapping[str, Mapping[str, Tolerance]]] = MappingProxyType(
    {"llama": _LANGUAGE, "vision-llama": _LANGUAGE}
)
"""By model family and precision, for an output that `OUTPUTS` does not name."""


def tolerance_for(family: str, spec: TensorSpec, precision: str = "float32") -> Tolerance:
    """Return the tolerance of one output: exact for integers, else its row, its family's, or its precision's default.

    Args:
        family: `Component.family`, for example ``"vqgan"``.
        spec: the output.
        precision: what the artifact computes in, which may be narrower than the dtype it returns.

    Raises:
        UsageError: no such precision.
    """
    if is_exact(spec):
        return OUTPUTS.get((family, spec.name, precision), EXACT)
    check_known("precision", precision, DEFAULTS)
    usual = FAMILIES.get(family, DEFAULTS).get(precision, DEFAULTS[precision])
    return OUTPUTS.get((family, spec.name, precision), usual)


def is_exact(spec: TensorSpec) -> bool:
    """Return whether an output holds integers or booleans.

    Raises:
        UsageError: the signature calls floating-point numbers indices.
    """
    integers = np.issubdtype(dtype_of(spec.dtype), np.integer) or spec.dtype == "bool"
    if spec.kind is Kind.INDICES and not integers:
        raise UsageError(f"expected an integer dtype for the indices {spec.name!r}, found {spec.dtype}")
    return integers
