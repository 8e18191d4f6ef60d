"""A way in which a target may run a model on this machine: what `lwmport compile --fastest` races."""

from dataclasses import dataclass

from lwmport.processors import processors


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One way.

    Attributes:
        engine: what ``--soc`` names, which is the name of the runner too.
        precision: what ``--compile-precision`` names: what products are computed in.
        threads: threads of the runtime.
        lack: why this machine cannot run it, and what to do; empty if it can.
    """

    engine: str
    precision: str = "float32"
    threads: int = 1
    lack: str = ""

    @property
    def name(self) -> str:
        """The way in words; its threads where those are not all processors."""
        usual = self.threads == processors()
        return f"{self.engine}, {self.precision}{'' if usual else f', {self.threads} threads'}"
