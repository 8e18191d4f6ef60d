"""Rules that every target has, but for its own number and what its tool says: ``replace(shared.ENDS, id=..., ...)``."""

from typing import Final

from lwmport.targets.rules import files, registration
from lwmport.targets.rules.rule import Rule
from lwmport.types import Severity

_PROTO: Final = ("onnx", "frozen_graph")
"""Formats that are one protocol buffer, or have one at their head."""

TOO_LARGE: Final = Rule(
    id="",
    severity=Severity.ERROR,
    title="file of 2 GiB",
    look=files.too_large,
    vendor="the protocol buffer cannot be read",
    fix="keep the weights as external data",
    source="protocol buffers' own limit",
    forms=_PROTO,
    fixable=True,
)

NOT_WHOLE: Final = Rule(
    id="",
    severity=Severity.ERROR,
    title="graph that is not whole",
    look=files.broken,
    vendor="",
    fix="write the model again: each value made once, before it is read",
    source="onnx, docs/IR.md",
)

ENDS: Final = Rule(
    id="",
    severity=Severity.ERROR,
    title="inputs and outputs",
    look=files.ends,
    vendor="the graph cannot be built",
    fix="give the graph inputs and outputs of at least one element",
    source="",
    forms=_PROTO,
)

EXTERNAL: Final = Rule(
    id="",
    severity=Severity.ERROR,
    title="place of external data",
    look=files.external_kinds(*files.ANY_EXTERNAL),
    vendor="the weights are not found",
    fix="put the data file beside the model",
    source="",
    fixable=True,
)

TENSORFLOW: Final = Rule(
    id="",
    severity=Severity.NOTE,
    title="operators of TensorFlow",
    look=registration.any_model("a frozen graph"),
    vendor="",
    fix="",
    source="",
    forms=("frozen_graph",),
)
