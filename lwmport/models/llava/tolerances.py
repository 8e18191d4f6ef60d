"""How far the outputs may be from JAX, and why just so far."""

from typing import Final

from lwmport.types import Tolerances

TOLERANCES: Final = Tolerances()
