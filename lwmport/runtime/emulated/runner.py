"""Runs an ONNX file an operator at a time, each in the arithmetic of a device: a forecast on a CPU."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport.errors import RunnerError
from lwmport.runtime.base_runner import BaseRunner
from lwmport.runtime.emulated.arithmetic import (
    AIPU,
    ASCEND,
    BFLOAT16,
    FLOAT16,
    FLOAT16_SUMS,
    INT8,
    Arithmetic,
    by_channel,
    by_tensor,
    clipped,
    product,
    rounded,
)
from lwmport.runtime.emulated.products import OUTPUTS, PRODUCTS, computed
from lwmport.runtime.pieces.lifetimes import last_uses
from lwmport.runtime.pieces.onnx import OnnxPieces, open_onnx
from lwmport.runtime.pieces.spec import Operator
from lwmport.runtime.spec import Opener, RunnerContext
from lwmport.types import Array

DOMAINS: Final = ("", "ai.onnx::")
"""Of the operators whose formulas are known."""

PACKED: Final = "MatMulNBits"
"""A product with a weight that lies packed in the file."""


class EmulatedRunner(BaseRunner):
    """A model whose products are computed here and whose other operators ONNX Runtime computes, one at a time.

    No more than the weights of one operator are in memory. It is not to be timed.
    """

    streamed = True

    def __init__(self, pieces: OnnxPieces, arithmetic: Arithmetic) -> None:
        self.name = arithmetic.title
        self.inputs, self.outputs = pieces.inputs, pieces.outputs
        self._pieces, self._arithmetic = pieces, arithmetic
        self._last = last_uses(pieces)
        _check_products(pieces, arithmetic)
        self.notes = _notes(pieces, arithmetic)

    def _run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        values: dict[str, Array] = dict(inputs)
        for number, operator in enumerate(self._pieces.operators):
            values.update(self._computed(number, operator, values))
            for name in self._last.get(number, ()):
                values.pop(name, None)
        missing = [spec.name for spec in self.outputs if spec.name not in values and spec.name not in self._constants]
        if missing:
            raise RunnerError(f"expected operators that give {missing[0]}, found none in the file")
        return {spec.name: self._value(spec.name, values) for spec in self.outputs}

    def _release(self) -> None:
        self._pieces.close()

    @property
    def _constants(self) -> Mapping[str, Any]:
        return self._pieces.constants

    def _value(self, name: str, values: Mapping[str, Array]) -> Array:
        return values[name] if name in values else self._pieces.constant(name)

    def _computed(self, number: int, operator: Operator, values: Mapping[str, Array]) -> dict[str, Array]:
        kind = _kind(operator)
        operands = [self._operand(kind, name, values) if name else None for name in operator.inputs]
        if kind in PRODUCTS and all(value is None or _is_float(value) for value in operands):
            return {operator.outputs[0]: self._product(kind, operator, operands)}
        feeds = {name: value for name, value in zip(operator.inputs, operands, strict=True) if value is not None}
        found = self._pieces.run([number], feeds, [name for name in operator.outputs if name])
        if self._is_kept(kind, operator):
            return found
        return {name: rounded(value, self._arithmetic.dtype) for name, value in found.items()}

    def _operand(self, kind: str, name: str, values: Mapping[str, Array]) -> Array:
        value = self._value(name, values)
        if name in self._constants and self._arithmetic.clipped and _is_float(value):
            value = clipped(value, self._arithmetic.dtype)
        return value if kind in self._arithmetic.kept else rounded(value, self._arithmetic.dtype)

    def _product(self, kind: str, operator: Operator, operands: list[Array | None]) -> Array:
        """Return a product in the dtype of the model: its sums are those of the arithmetic, its result is rounded."""
        dtype = next(value.dtype for value in operands if value is not None)
        if self._arithmetic.integers:
            operands = self._of_integers(kind, operator, operands)
        made = computed(kind, operator.attributes, operands, partial(product, arithmetic=self._arithmetic))
        made = by_tensor(made) if self._arithmetic.results else rounded(made, self._arithmetic.dtype)
        with np.errstate(over="ignore"):
            return made.astype(dtype)

    def _of_integers(self, kind: str, operator: Operator, operands: list[Array | None]) -> list[Array | None]:
        """Return the operands of a product rounded to 8 bits: weights by output, else by tensor; a bias stays."""
        axis = -2 if kind == "Gemm" and operator.attributes.get("transB") else OUTPUTS[kind]
        return [
            value
            if value is None or place > 1
            else (by_channel(value, axis) if place and operator.inputs[place] in self._constants else by_tensor(value))
            for place, value in enumerate(operands)
        ]

    def _is_kept(self, kind: str, operator: Operator) -> bool:
        """Return whether a result stays as it is: of an operator in float32, also of a square written as a product."""
        square = kind == "Mul" and operator.inputs[0] == operator.inputs[1] and "Pow" in self._arithmetic.kept
        return square or kind in self._arithmetic.kept


def _opener(arithmetic: Arithmetic) -> Opener:
    """Return what opens an ONNX file, ready to run in an arithmetic."""

    def open_model(path: Path, context: RunnerContext) -> EmulatedRunner:
        return EmulatedRunner(open_onnx(path, context.threads), arithmetic)

    return open_model


def _check_products(pieces: OnnxPieces, arithmetic: Arithmetic) -> None:
    """Return if products with weights are computed here, where it is they that an arithmetic rounds.

    Raises:
        RunnerError: they are in an operator that ONNX Runtime computes in one piece.
    """
    packed = sorted({operator.type for operator in pieces.operators if operator.type.endswith(PACKED)})
    if arithmetic.integers and packed:
        raise RunnerError(
            f"expected products whose formula is known, found {packed[0]}, which is not emulated in 8 bits; "
            "convert with --dialect onnx"
        )


def _notes(pieces: OnnxPieces, arithmetic: Arithmetic) -> tuple[str, ...]:
    """Return which operators are computed in one piece, with products and sums inside that are not emulated."""
    whole = sorted({operator.type for operator in pieces.operators if "::" in _kind(operator)})
    rounds = "inputs and results alone are rounded" if arithmetic.dtype else "nothing of them is rounded"
    return (f"{', '.join(whole)}: computed in one piece, in the dtype of the model; {rounds}.",) if whole else ()


def _kind(operator: Operator) -> str:
    """Return the name of a standard operator, and its whole type for any other."""
    prefix, separator, kind = operator.type.rpartition("::")
    return kind if f"{prefix}{separator}" in DOMAINS else operator.type


def _is_float(value: Array) -> bool:
    return bool(np.issubdtype(value.dtype, np.floating) or value.dtype.name == "bfloat16")


open_float16 = _opener(FLOAT16)
open_float16_sums = _opener(FLOAT16_SUMS)
open_bfloat16 = _opener(BFLOAT16)
open_ascend = _opener(ASCEND)
open_int8 = _opener(INT8)
open_aipu = _opener(AIPU)
