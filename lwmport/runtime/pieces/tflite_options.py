"""The settings of a TFLite operator as plain values, in the words of the schema."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from lwmport import extras

ENUMERATIONS: Final = {
    "algorithm": "RngAlgorithm",
    "combiner": "CombinerType",
    "compareType": "StablehloComparisonType",
    "comparisonDirection": "StablehloComparisonDirection",
    "fusedActivationFunction": "ActivationFunctionType",
    "idxOutType": "TensorType",
    "inDataType": "TensorType",
    "kernelType": "LSTMKernelType",
    "keyDtype": "TensorType",
    "mode": "MirrorPadMode",
    "outDataType": "TensorType",
    "outType": "TensorType",
    "outputType": "TensorType",
    "padding": "Padding",
    "quantizedBiasType": "TensorType",
    "reduceFunction": "ReduceWindowFunction",
    "valueDtype": "TensorType",
    "weightsFormat": "FullyConnectedOptionsWeightsFormat",
}
"""Field of an options table -> the enumeration of the schema that its numbers are of."""

_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


def settings(operator: Any, body: Callable[[int], str]) -> dict[str, Any]:
    """Return the options of an operator by the names of the schema.

    Enumerations are words, vectors lists, custom options bytes (uint8); ``body`` says what is in a subgraph.
    """
    found = {_CAPITAL.sub("_", name).lower(): _plain(name, value, body) for name, value in _fields(operator)}
    if operator.customOptions is not None:
        found["custom_options"] = np.asarray(operator.customOptions, np.uint8)
    return found


def bodies(operator: Any) -> list[int]:
    """Return the subgraphs that an operator runs."""
    found = [index for name, value in _fields(operator) if is_body(name) for index in ints(value)]
    return [index for index in found if index >= 0]


def is_body(field: str) -> bool:
    """Return whether a field of options says which subgraphs an operator runs."""
    return field == "subgraph" or field.endswith(("SubgraphIndex", "SubgraphIndices"))


def ints(vector: Any) -> list[int]:
    """Return a vector of the tables, or one number, as plain numbers."""
    return [] if vector is None else [int(value) for value in np.atleast_1d(vector)]


def words(enumeration: str) -> dict[int, str]:
    """Return number -> word of an enumeration of the schema."""
    schema = extras.require("ai_edge_litert.schema_py_generated")
    return {number: name for name, number in vars(getattr(schema, enumeration)).items() if isinstance(number, int)}


def text(name: bytes | None) -> str:
    """Return a name, with a mark for what is no text."""
    return (name or b"").decode("utf-8", "replace")


def _fields(operator: Any) -> Iterator[tuple[str, Any]]:
    for options in (operator.builtinOptions, operator.builtinOptions2):
        if options is not None:
            yield from vars(options).items()


def _plain(name: str, value: Any, body: Callable[[int], str]) -> Any:
    if is_body(name):
        return body(value) if isinstance(value, int) else [body(index) for index in ints(value)]
    if name in ENUMERATIONS and isinstance(value, int):
        return words(ENUMERATIONS[name]).get(value, value)
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value if isinstance(value, bool | int | float | str | list) else str(value or "")
