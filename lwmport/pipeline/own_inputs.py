"""The user's inputs (``--inputs``) for a model file of any origin."""

from collections.abc import Sequence
from pathlib import Path

from lwmport.pipeline.foreign_inputs import feeds_of
from lwmport.runtime.given_inputs import GivenInputs
from lwmport.targets.fix.test_inputs import Feed
from lwmport.targets.graphs.record import Value
from lwmport.types import TensorSpec


class OwnInputs:
    """What ``--inputs`` names, for a proof; ``words`` say what it is. See `lwmport.runtime.given_inputs`."""

    def __init__(self, path: Path, count: int | None = None) -> None:
        """Take the path and how many samples of it are meant; it is read when the model's inputs are known."""
        self.path, self.count = path, count
        self.words = path.name

    def of(self, inputs: Sequence[Value]) -> Sequence[Feed]:
        """Return the runs of a model with these inputs.

        Raises:
            UsageError: what is given does not fit them.
        """
        specs = tuple(TensorSpec(name=one.name, shape=one.shape or (), dtype=one.dtype) for one in inputs)
        found = [dict(feed) for feed in feeds_of(GivenInputs(self.path), specs, count=self.count)]
        self.words = f"{len(found)} sample{'' if len(found) == 1 else 's'} of {self.path.name}"
        return found
