"""A model as its operators, any few of which can be run on given values: what every format's pieces have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lwmport.types import Array, TensorSpec


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator of a model file.

    Attributes:
        name: its name in the file; where the format has none (TFLite), or it is empty, the name of its first output.
        type: what it computes, in the words of the format: ``Conv``, ``com.microsoft::RotaryEmbedding``, ``CONV_2D``.
        inputs: the tensors that it reads, in its own order, ``""`` where an optional one is left out. Behind them come
            those that its bodies read from outside, which `captured` counts.
        outputs: the tensors that it gives, ``""`` where an optional one is left out.
        attributes: its settings by the names of the format, as numbers, texts, lists of them, arrays or, of bodies,
            texts.
        inner: its name within the local function that ``name`` calls; empty where it is no part of a function.
        bodies: the operators in its bodies (of If, Loop, Scan), those of inner bodies too; they cannot be run alone.
        captured: how many of ``inputs``, at their end, are read by a body.
    """

    name: str
    type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    inner: str = ""
    bodies: "tuple[Operator, ...]" = ()
    captured: int = 0


class Pieces(Protocol):
    """A model that is opened as operators. Nothing is run, and no weight is read, before it is asked for.

    Attributes:
        format: the format of the file: ``onnx``, ``tflite``, ``saved_model``, ``frozen_graph``.
        public_inputs, public_outputs: what callers call an input or an output -> its name inside, where these are two.
        inputs, outputs: of the whole model, by the names that are used inside, in the file's order.
        operators: all, each behind what it reads.
        constants: shape and dtype of every tensor that the file has the value of, by name.
    """

    format: str
    public_inputs: Mapping[str, str]
    public_outputs: Mapping[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operators: tuple[Operator, ...]
    constants: Mapping[str, TensorSpec]

    def constant(self, name: str) -> Array:
        """Return the value of a constant, mapped from the file where that can be."""
        ...

    def run(self, operators: Sequence[int], feeds: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        """Return some tensors that a few operators compute, by name.

        Args:
            operators: places in `operators`, in that order. What they read and no one of them computes is fed, or is
                a constant.
            feeds: values by name, of any shape that the operators take. A constant that is fed here has this value.
            wanted: names of outputs of these operators.

        Raises:
            RunnerError: the runtime refuses the operators or these values.
        """
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...
