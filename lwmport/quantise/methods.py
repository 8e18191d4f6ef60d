"""How the grid of a group is chosen, by the names of ``--method``."""

from typing import Final

from lwmport.registry import Registry

METHODS: Final = Registry(
    "method of quantisation",
    {
        "rtn": "lwmport.quantise.rounding:nearest_grid",
        "mse": "lwmport.quantise.mse:least_error_grid",
        "hqq": "lwmport.quantise.hqq:half_quadratic_grid",
        "gptq": "lwmport.quantise.mse:least_error_grid",
        "awq": "lwmport.quantise.mse:least_error_grid",
    },
)
"""Name -> a function of values, the axis of a group, bits and ``symmetric``, which returns a `Grid`.

Under ``gptq`` it gets values that make good what was lost before (`lwmport.quantise.gptq`), under ``awq`` scaled ones
(`lwmport.quantise.awq`).
"""

EVEN: Final = Registry(
    "method of quantisation",
    {
        "rtn": "lwmport.quantise.even:nearest_even_grid",
        "mse": "lwmport.quantise.even:least_error_even_grid",
    },
)
"""The same for grids with positive scales and zero in the middle."""
