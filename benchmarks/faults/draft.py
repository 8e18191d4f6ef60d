"""A model that is open for a change, in words that ONNX and TFLite share; types of operators are ONNX's."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Value = Hashable
"""A tensor of a model: its name in ONNX, its number in TFLite."""


class NoPlaceError(Exception):
    """A place turns out not to suit: the change would change nothing, or the model would not load."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Operator:
    """One operator.

    Attributes:
        type: in ONNX's words. written: as the file has it.
        name: of the node; of its first output in TFLite.
        index: its place in the file's order, what a branch holds behind the node that has it.
        raw: what the format has.
        enclosing: names of the nodes of the main graph that hold or call it, where it is not one itself.
        nested: whether it lies in a branch or a loop, which a run may not enter.
        scope: what it lies in: the main graph, a branch, a function.
    """

    type: str
    written: str
    name: str
    index: int
    raw: Any
    enclosing: tuple[str, ...] = ()
    nested: bool = False
    scope: Any = field(default=None, repr=False)


class Draft(ABC):
    """One model, open for a change."""

    operators: Sequence[Operator]
    has_half: bool
    """Whether the format's runtime has kernels that compute in float16."""
    added: list[str]
    """Names of operators that a change put in."""
    kernel_axes: tuple[tuple[int, int], ...]
    """Which axes of a convolution's kernel can be mistaken for each other: channels, and rows and columns."""

    @abstractmethod
    def inputs(self, operator: Operator) -> list[Value | None]:
        """Return what it reads, None for what is left out."""

    @abstractmethod
    def outputs(self, operator: Operator) -> list[Value]:
        """Return what it gives."""

    @abstractmethod
    def shape(self, value: Value) -> tuple[Any, ...] | None:
        """Return the shape of a tensor; None where the file does not say it."""

    @abstractmethod
    def is_float(self, value: Value) -> bool:
        """Return whether a tensor's type is known to be a floating one."""

    @abstractmethod
    def constant_shape(self, operator: Operator, slot: int) -> tuple[int, ...] | None:
        """Return the shape of an input that is a constant; None if it is computed or left out."""

    @abstractmethod
    def constant(self, operator: Operator, slot: int) -> Array:
        """Return the values of a constant input."""

    @abstractmethod
    def constant_name(self, operator: Operator, slot: int) -> str:
        """Return the name of a constant input."""

    @abstractmethod
    def set_constant(self, operator: Operator, slot: int, values: Array) -> None:
        """Give one operator another constant; whoever else reads the old one keeps it."""

    @abstractmethod
    def connect(self, operator: Operator, slot: int, value: Value | None) -> None:
        """Let an operator read another tensor."""

    @abstractmethod
    def exchange_outputs(self, first: Operator, second: Operator) -> None:
        """Let two operators give each other's tensor."""

    @abstractmethod
    def retype(self, operator: Operator, type_: str) -> None:
        """Make another operator of one, its inputs as they are."""

    @abstractmethod
    def attribute(self, operator: Operator, name: str) -> Any:
        """Return a setting by the format's name; None where it has none."""

    @abstractmethod
    def set_attribute(self, operator: Operator, name: str, value: Any) -> None:
        """Change a setting."""

    @abstractmethod
    def round_input(self, operator: Operator, slot: int) -> None:
        """Put a cast to float16 and one back in front of an input."""

    @abstractmethod
    def narrow(self, operator: Operator) -> None:
        """Let an operator compute in float16, between casts, where `has_half`."""

    @abstractmethod
    def graph_inputs(self) -> dict[str, tuple[Any, ...]]:
        """Return the shapes of the model's inputs by name."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write the model.

        Raises:
            NoPlaceError: its runtime does not open it; nothing is written.
        """

    def slots(self, operator: Operator) -> list[int]:
        """Return the inputs that are constants."""
        return [slot for slot in range(len(self.inputs(operator))) if self.constant_shape(operator, slot) is not None]
