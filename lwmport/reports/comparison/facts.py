"""What a module has, in numbers: tensors, operators and cost."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Final

from lwmport.types import Dim, dtype_of

WITHIN: Final = " > "
"""What stands between the name of a composite and the name of an operator that it is made of."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A parameter, an input or an output. ``shape`` is None where nothing says it."""

    name: str
    shape: tuple[Dim, ...] | None
    dtype: str

    @property
    def elements(self) -> int:
        """How many elements it has; 0 where a size is not known."""
        known = self.shape is not None and all(isinstance(size, int) for size in self.shape)
        return prod(int(size) for size in self.shape or ()) if known else 0

    @property
    def nbytes(self) -> int:
        """Bytes of its elements; a dtype that numpy has not counts one byte for each."""
        try:
            return self.elements * dtype_of(self.dtype).itemsize
        except TypeError:
            return self.elements

    @property
    def words(self) -> str:
        """Dtype and sizes: ``float32 [4096, 11008]``."""
        sizes = "of unknown shape" if self.shape is None else f"[{', '.join(map(str, self.shape))}]"
        return f"{self.dtype or 'unknown dtype'} {sizes}"


def sizes_of(tensor: Tensor) -> tuple[int, ...]:
    """Return the sizes of a tensor in falling order without ones: what no layout changes."""
    return tuple(
        sorted((int(size) for size in tensor.shape or () if isinstance(size, int) and size != 1), reverse=True)
    )


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a module has of its own, without the modules within.

    Attributes:
        parameters: its tensors.
        operators: how many there are of each, by name. What a composite is made of stands behind its name
            and `WITHIN`.
        kinds: how many there are of each kind, whatever the format calls them; what composites are made of counts.
        flop: floating-point operations of one run; a multiplication and an addition are two.
        main_flop: those of products of matrices and of convolutions.
        bytes: what its operators read and write in one run, as if nothing were fused.
        uncounted: operators whose cost is not counted, for the file does not say their shapes.
    """

    parameters: tuple[Tensor, ...] = ()
    operators: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, int] = field(default_factory=dict)
    flop: int = 0
    main_flop: int = 0
    bytes: int = 0
    uncounted: int = 0

    @property
    def parameter_count(self) -> int:
        """Elements of all parameters."""
        return sum(one.elements for one in self.parameters)

    @property
    def parameter_bytes(self) -> int:
        """Bytes of all parameters."""
        return sum(one.nbytes for one in self.parameters)

    @classmethod
    def together(cls, several: Iterable["Facts"]) -> "Facts":
        """Return several together."""
        found = list(several)
        operators, kinds = Counter[str](), Counter[str]()
        for one in found:
            operators.update(one.operators)
            kinds.update(one.kinds)
        return cls(
            parameters=tuple(tensor for one in found for tensor in one.parameters),
            operators=dict(operators),
            kinds=dict(kinds),
            flop=sum(one.flop for one in found),
            main_flop=sum(one.main_flop for one in found),
            bytes=sum(one.bytes for one in found),
            uncounted=sum(one.uncounted for one in found),
        )


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Elements of parameters, floating-point operations, and bytes that are read and written."""

    parameters: int
    flop: int
    bytes: int
