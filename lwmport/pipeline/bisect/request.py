"""What is asked of a bisection."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport.pipeline.names import settle
from lwmport.requests import check_samples, check_types

JAX: Final = "jax"


@dataclass(frozen=True, kw_only=True)
class BisectRequest:
    """What is searched, against what, and where the report goes, if anywhere.

    ``reference`` is ``jax`` or another model file. ``runner`` is what runs the artifact, by default the usual one of
    its suffix. ``results`` is a folder of tensors that a device gave (`lwmport.runtime.brought`). ``strict`` counts an
    error that no output shows as wrong too. ``inputs`` and ``samples`` are as those of `lwmport.ValidateRequest`.
    """

    artifact: Path
    reference: str = JAX
    checkpoint: str | None = None
    runner: str | None = None
    results: Path | None = None
    strict: bool = False
    out: Path | None = None
    inputs: Path | None = None
    samples: int | None = None

    def __post_init__(self) -> None:
        """Refuse types that no field has, and give everything that has a name its one name."""
        check_types(self)
        check_samples(self.samples)
        settle(self)
