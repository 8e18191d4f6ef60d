"""Weights that one side unpacks before it uses them: they are constants on both sides."""

from dataclasses import replace
from typing import Final

from lwmport.diagnosis.evidence import Evidence
from lwmport.diagnosis.reading import given, is_constant, plain

UNPACKING: Final = frozenset({"dequantize", "dequantizelinear", "cast"})
"""Operators that make float32 of a weight that is stored in fewer bits."""


def unpacked(evidence: Evidence) -> Evidence:
    """Return the evidence with the inputs as constants that the file has as constants and the reference unpacks."""
    expected, found = evidence.expected, evidence.found
    unpacks = UNPACKING & set(map(plain, evidence.expected_around))
    if expected is None or found is None or not unpacks or plain(expected.type) != plain(found.type):
        return evidence
    places = range(len(expected.inputs))
    held = tuple(
        is_constant(expected, at) or (given(expected, at) is not None and is_constant(found, at)) for at in places
    )
    return replace(evidence, expected=replace(expected, constant=held))
