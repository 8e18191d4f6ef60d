"""How a runtime keeps the states of a language model between two runs: one protocol for all backends."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

from lwmport.registry import Registry
from lwmport.types import DECODE, Array, Signature, Update

ARRAYS: Final = "arrays"
"""The backend of a runner that has none of its own."""

BACKENDS: Final = Registry(
    "backend",
    {
        ARRAYS: "lwmport.runtime.session.arrays:ArraysBackend",
        "litert": "lwmport.runtime.session.litert:litert_backend",
        "onnxruntime": "lwmport.runtime.session.onnxruntime:OnnxRuntimeBackend",
        "openvino": "lwmport.runtime.session.openvino:openvino_backend",
    },
)
"""Name of a runner -> ``Backend(models)``, where models are phase -> `PhaseModel`; every other runs with `ARRAYS`."""


@dataclass(frozen=True, kw_only=True)
class PhaseModel:
    """The opened model of one phase, and the signature that its manifest promises. ``runner`` is a `Runner`."""

    signature: Signature
    runner: Any

    @cached_property
    def kept(self) -> dict[str, str]:
        """Output that is kept -> input of the next run."""
        return {state.output: state.input for state in self.signature.states}

    @cached_property
    def fed(self) -> tuple[str, ...]:
        """Inputs that are fed with states; none of a static prefill, which starts them."""
        names = {state.input for state in self.signature.states}
        return tuple(spec.name for spec in self.signature.inputs if spec.name in names)

    @cached_property
    def results(self) -> tuple[str, ...]:
        """Outputs that are no states."""
        return tuple(spec.name for spec in self.signature.outputs if spec.name not in self.kept)

    def divide(self, found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what a run found as (results by output, states by the input that they are fed to)."""
        return {name: found[name] for name in self.results}, {own: found[out] for out, own in self.kept.items()}


class Backend(Protocol):
    """Runs phases. What it holds for a session is its own matter: the session only hands it back.

    Attributes:
        name: the runtime, as a session calls it.
        closed: whether the models were closed. Nothing else is then asked of it.
    """

    name: str
    closed: bool

    def hold(self, arrays: Mapping[str, Array]) -> Any:
        """Return states, by input, as this backend holds them."""

    def run(self, phase: str, inputs: Mapping[str, Array], held: Any) -> tuple[dict[str, Array], Any]:
        """Return (results by name, what is held now). ``held`` is used up: its memory may hold the new states.

        ``held`` is None for a phase that starts the states.

        Raises:
            RunnerError: the runtime failed.
        """

    def copy(self, held: Any) -> Any:
        """Return the same states, which no run of the others changes."""

    def cut(self, held: Any, tokens: int) -> Any:
        """Return the states of the first tokens. ``held`` is used up."""

    def close(self) -> None:
        """Give back what the models hold. A second call does nothing."""


def growing(signature: Signature) -> dict[str, int]:
    """Return the inputs of states that grow, and the axis of their tokens. Others are written over, and need no cut."""
    return {state.input: state.axis for state in signature.states if state.update is Update.GROWS}


def first(array: Any, axis: int, count: int) -> Any:
    """Return the first entries of an axis of an array."""
    return array[(slice(None),) * axis + (slice(count),)]


class OpenedModels:
    """What the backends over opened models share: the models by phase, and that they can be closed."""

    closed: bool = False

    def __init__(self, models: Mapping[str, PhaseModel]) -> None:
        self._models = models
        self.name: str = models[DECODE].runner.name

    def close(self) -> None:
        """Close the models. A second call does nothing."""
        self.closed = True
        for model in self._models.values():
            model.runner.close()
