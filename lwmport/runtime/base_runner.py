"""What each runner of ours does in the same way: it checks inputs, and it can be closed."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from lwmport.errors import RunnerError
from lwmport.runtime.inputs import check_inputs
from lwmport.types import Array, TensorSpec


class BaseRunner(ABC):
    """A runner (`lwmport.types.Runner`) whose subclass sets ``name``, ``inputs`` and ``outputs`` and writes `_run`."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    notes: tuple[str, ...] = ()
    streamed: bool = False
    _closed: bool = False

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return every output by name.

        Raises:
            RunnerError: names, shapes or dtypes do not fit the model, the model fails on them, or it is closed.
        """
        if self._closed:
            raise RunnerError(f"expected an open model in {self.name}, found a closed one; open it again")
        check_inputs(self.inputs, inputs)
        return self._run(inputs)

    def close(self) -> None:
        """Give back what the model holds. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._release()

    @abstractmethod
    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return every output by name, for inputs that fit."""

    def _release(self) -> None:  # noqa: B027 - most runners hold nothing but Python's own memory
        """Give back what is held."""
