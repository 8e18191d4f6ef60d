"""GroupNorm as LWM has it. A module without JAX: configurations are read to list them."""

from typing import Final

GROUPS: Final = 32
"""Groups of channels (flax.linen.GroupNorm's default)."""
