"""How far the outputs of the language models may be from JAX, and why just so far."""

from typing import Final

from lwmport.types import Tolerance, Tolerances

_LAYER = Tolerance(
    atol=1e-4,
    rtol=1e-4,
    why="One layer has no layers behind which errors add up: 132 dB were measured at a width of 64 and 116 dB at 4096, "
    "where sums are longest. Epsilon 1e-5 for 1e-6 leaves 105 dB of states of standard deviation 1.",
    min_sqnr_db=110.0,
)

_LANGUAGE: Final = {
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

TOLERANCES: Final = Tolerances(outputs={("new_hidden_states", "float32"): _LAYER}, usual=_LANGUAGE)
