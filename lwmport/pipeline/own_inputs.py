"""The user's inputs (``--inputs``) for a model file of any origin."""

from collections.abc import Sequence
from pathlib import Path

from lwmport.targets.fix.test_inputs import Feed
from lwmport.targets.graphs.record import Value
from lwmport.types import TensorSpec


class OwnInputs:
    """What ``--inputs`` names, for a proof; ``words`` say what it is. See `lwmport.runtime.given_inputs`."""

    def __init__(self, path: Path) -> None:
        """Take the path; it is read when the model's inputs are known."""
        self.path = path
        self.words = path.name

    def of(self, inputs: Sequence[Value]) -> Sequence[Feed]:
        """Return the runs of a model with these inputs.

        Raises:
            UsageError: what is given does not fit them.
        """
        specs = [TensorSpec(name=one.name, shape=one.shape or (), dtype=one.dtype) for one in inputs]
        found = feeds_of(self.path, specs)
        self.words = f"{len(found)} sample{'' if len(found) == 1 else 's'} of {self.path.name}"
        return found


def feeds_of(path: Path, specs: Sequence[TensorSpec]) -> tuple[Feed, ...]:
    """Return the runs that a file or a folder holds for a model with these inputs.

    Raises:
        UsageError: an input is missing, unknown, or of another dtype or shape.
    """
    from lwmport.runtime.given_inputs import GivenInputs, Wanted

    wanted = Wanted(specs=tuple(specs))
    return tuple(dict(sample.inputs) for sample in GivenInputs(path).samples(wanted))
