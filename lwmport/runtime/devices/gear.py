"""Which of its sizes a compiled model with gears is to run with."""

from collections.abc import Mapping


class GearChoice:
    """The sizes that a run has, of a model with gears.

    Attributes:
        batch: the batch, if that is all that is dynamic; else None.
        shapes: the shape of each input, by the name in the file.
    """

    def __init__(self, batch: int | None, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.batch = batch
        self.shapes = dict(shapes)

    @property
    def text(self) -> str:
        """The shapes as ais_bench takes them: ``ids:1,8;mask:1,8``."""
        return ";".join(f"{name}:{','.join(map(str, shape))}" for name, shape in self.shapes.items())

    @property
    def dims(self) -> list[int]:
        """All sizes in a row, as pyACL takes them."""
        return [size for shape in self.shapes.values() for size in shape]
