"""How far the outputs may be from JAX, and why just so far."""

from typing import Final

from lwmport.types import Tolerance, Tolerances

TOLERANCES: Final = Tolerances(
    usual={
        "float32": Tolerance(
            atol=1e-4,
            rtol=1e-4,
            why="Sums in another order through 39 layers and the Q-Former: 5.0e-6 at the worst of 393,216 values of "
            "standard deviation 1, 122 dB as a whole (ONNX Runtime, full size). In the debug configuration 125 dB and "
            "better are seen, while an epsilon of the tower 10 times too large leaves 76 to 88 dB: 105 dB are asked "
            "for.",
            min_sqnr_db=105.0,
        ),
        "float16": Tolerance(
            atol=4e-2,
            rtol=2e-2,
            why="float16 carries 11 bits (4.9e-4), and roundings add up over the layers: 5.8e-3 at the worst and 58 dB "
            "as a whole behind all of them at full size, with norms and softmaxes in float32. Other runtimes round in "
            "other places; an overflow past 65504 is infinite and fails.",
            min_sqnr_db=46.0,
        ),
    }
)
