"""The bits of each tensor of a conversion within a budget, and what they were chosen by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lwmport.pipeline.calibration.sensitivity import Probe
from lwmport.quantise.budget import Sensitivity, total_loss


@dataclass(frozen=True, kw_only=True)
class Budgeted:
    """What was chosen, and what it was chosen by.

    Attributes:
        rows: what each tensor costs.
        bits: of each tensor.
        planned: bytes that the files are going to have.
        trial: what the choice lost when it was measured, rounded by a method that needs no run of the model.
        probe: what measures the loss.
        measured: what the weights lose that are in the file, in JAX; None before they are.
    """

    rows: Sequence[Sensitivity]
    bits: Mapping[str, int]
    planned: int
    trial: float
    probe: Probe
    measured: float | None = None

    @property
    def predicted(self) -> float:
        """The sum of the losses."""
        return total_loss(self.rows, self.bits)

    @property
    def counts(self) -> str:
        """How many tensors have how many bits, for a reader."""
        held = sorted(self.bits.values())
        return ", ".join(f"{held.count(bits)} tensors in {bits} bits" for bits in dict.fromkeys(held))
