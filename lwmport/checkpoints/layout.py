"""The order of a tensor's elements, told from the order in which they are stored."""

import math
from dataclasses import dataclass

from lwmport.errors import CheckpointError


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a stored array becomes another: seen as ``view``, its axes in the order ``axes``, seen as ``shape``.

    A transpose is ``view=shape of the stored, axes=(1, 0)``. Axes may be split and joined: ``view`` and ``shape`` need
    only have as many elements.

    Raises:
        CheckpointError: elements would be lost or invented.
    """

    view: tuple[int, ...]
    axes: tuple[int, ...]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what is no order of the same elements."""
        if sorted(self.axes) != list(range(len(self.view))):
            raise CheckpointError("expected an axis order that names every axis once, found another")
        if math.prod(self.view) != math.prod(self.shape):
            raise CheckpointError(f"expected as many elements as {self.shape}, found a view of {self.view}")
