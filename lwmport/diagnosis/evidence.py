"""What is known of the place where an error enters: the operator on both sides, its own inputs, and both outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lwmport.types import Array


@dataclass(frozen=True, kw_only=True)
class Side:
    """One operator as one side has it.

    Attributes:
        type: what it computes, in the words of the format: ``Conv``, ``lwmport::GroupNorm32``, ``FULLY_CONNECTED``.
        attributes: its settings by the names of the format.
        inputs: the values that it reads, in its order, None for one that is left out or that was not kept. The values
            of what is computed are the reference's own on both sides; constants are each side's.
        names: the names of the inputs, ``""`` where one is left out.
        constant: for each input, whether it is a constant (a weight, a table, an epsilon).
    """

    type: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Array | None, ...] = ()
    names: tuple[str, ...] = ()
    constant: tuple[bool, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One place where an error enters.

    Attributes:
        format: of the file: ``onnx``, ``tflite``, ``saved_model``, ``frozen_graph``; it says the order of axes.
        expected: the operator as the reference has it, None where the reference has none that corresponds.
        found: the operator in the file, None where only its outputs are known, as those of a device.
        reference: what the reference computes here.
        observed: what was computed here instead, from the same inputs.
        rounding: the largest difference, relative to the largest magnitude of ``reference``, that the rounding of the
            dtype explains.
        source: the name of the checkpoint's weight that is at stake, if there is one.
        resembles: names of other weights of the checkpoint that equal the constant in the file, if any do.
        consumers: the types of the operators that read the output.
        expected_around, found_around: types of the operators in front of, at and behind this place on each side; where
            one of them has operators that the other does not, all these.
    """

    format: str
    expected: Side | None
    found: Side | None
    reference: Array
    observed: Array
    rounding: float
    source: str = ""
    resembles: tuple[str, ...] = ()
    consumers: tuple[str, ...] = ()
    expected_around: tuple[str, ...] = ()
    found_around: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Why, as far as a rule can tell.

    Attributes:
        cause: the word of the rule: a key of `lwmport.diagnosis.rules.RULES`.
        explanation: one or two sentences: what was found, and what to do.
    """

    cause: str
    explanation: str
