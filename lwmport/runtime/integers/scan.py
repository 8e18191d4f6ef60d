"""Runs an ONNX file an operator at a time, and looks at its integers: sums, pairs, clipped values, scales.

What an operator that computes with integers would sum is computed by the same operator of the codes, in float32: right
to three digits, where 70,000 products are in a sum. No more than the weights of one operator are in memory, and the
values that are still needed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from lwmport.runtime.integers.codes import RANGES, Codes, codes_of, operands, packed_codes, spread
from lwmport.runtime.integers.pairs import NONE, Pairs, in_a_convolution, in_a_product
from lwmport.runtime.pieces.lifetimes import last_uses
from lwmport.runtime.pieces.onnx import OnnxPieces, open_onnx
from lwmport.runtime.pieces.spec import Operator
from lwmport.runtime.runners.ascend_pairs import with_pairs
from lwmport.types import Array
from lwmport.validators.integers import (
    IntegerProduct,
    RoundedValues,
    ScaleFacts,
    Seen,
    headroom,
    scale_facts,
)

SUMS: Final = ("Conv", "MatMul", "Gemm")
PACKED: Final = "com.microsoft::MatMulNBits"
INTEGERS: Final = 4
"""``accuracy_level`` of a MatMulNBits that rounds what it multiplies to 8 bits, a group at a time."""

ROWS: Final = 64
"""Rows of what such a product multiplies that are looked at."""

END: Final = 127
"""The largest code of those."""


def scan(path: Path, threads: int) -> "Scan":
    """Return an ONNX file, ready to be looked at.

    Raises:
        ArtifactError: it is no whole ONNX file.
    """
    return Scan(open_onnx(path, threads, with_pairs))


class Scan:
    """An ONNX file as operators."""

    def __init__(self, pieces: OnnxPieces) -> None:
        self._pieces, self._last = pieces, last_uses(pieces)
        self._makers = {name: one for one in pieces.operators for name in one.outputs}
        self._readers: dict[str, Operator] = {}
        for one in reversed(pieces.operators):
            self._readers |= dict.fromkeys(one.inputs, one)
        self._values: dict[str, Array] = {}

    def run(self, inputs: Mapping[str, Array]) -> Seen:
        """Return what is seen while the model runs on some inputs.

        Raises:
            RunnerError: ONNX Runtime refuses an operator.
        """
        self._values = dict(inputs)
        products: list[IntegerProduct] = []
        values: list[RoundedValues] = []
        for number, operator in enumerate(self._pieces.operators):
            products.extend(self._sums(number, operator))
            values.extend(self._clipped(operator))
            own = {name: self._values[name] for name in operator.inputs if name in self._values}
            self._values |= self._pieces.run([number], own, [name for name in operator.outputs if name])
            for name in self._last.get(number, ()):
                self._values.pop(name, None)
        return Seen(products=products, values=values, scales=list(self._scales()))

    def close(self) -> None:
        """Give back what is held."""
        self._values.clear()
        self._pieces.close()

    def _read(self, name: str) -> Array:
        return self._values[name] if name in self._values else self._pieces.constant(name)

    def _codes(self, name: str) -> Codes | None:
        maker = self._makers.get(name)
        return None if maker is None else codes_of(self._read(name), maker, self._read)

    def _sums(self, number: int, operator: Operator) -> Iterator[IntegerProduct]:
        if operator.type == PACKED and operator.attributes.get("accuracy_level") == INTEGERS:
            yield self._of_groups(operator)
        if operator.type not in SUMS:
            return
        sides = [self._codes(name) for name in operator.inputs[:2]]
        left, right = sides
        if left is not None and right is not None:
            yield self._of_codes(number, operator, left, right)

    def _of_codes(self, number: int, operator: Operator, left: Codes, right: Codes) -> IntegerProduct:
        """Return the sums of a product whose both sides are codes: those of the same operator on the codes."""
        fed = {operator.inputs[0]: left.steps, operator.inputs[1]: right.steps}
        rows = _by_output(operator, right.steps)
        bias = np.zeros(1, np.float32)
        if len(operator.inputs) > len(fed) and operator.inputs[2]:
            bias = self._steps_of_bias(operator, left, right)
            fed[operator.inputs[2]] = bias
        (out,) = operator.outputs
        sums = np.abs(self._pieces.run([number], fed, [out])[out])
        largest = float(sums.max(initial=0))
        pairs = _pairs(operator, left, right, rows)
        return IntegerProduct(
            name=operator.name,
            weight=self._stored(operator.inputs[1]),
            terms=rows.shape[1],
            largest=largest,
            worst=_worst(rows, left.ends, bias),
            headroom_bits=headroom(largest),
            pairs=pairs.share,
            largest_pair=pairs.largest,
        )

    def _steps_of_bias(self, operator: Operator, left: Codes, right: Codes) -> Array:
        """Return a bias in steps of both scales: whole ones where it is stored so."""
        name = operator.inputs[2]
        codes, value = self._codes(name), self._read(name)
        if codes is not None:
            return codes.steps
        step = (left.scale * right.scale).reshape(-1)
        found: Array = np.divide(value, step, out=np.zeros_like(value), where=step != 0)
        return found

    def _of_groups(self, operator: Operator) -> IntegerProduct:
        """Return the sums of a product that rounds a group of what it multiplies at a time, of some rows."""
        codes, zeros = packed_codes(operator, self._read)
        _, groups, group = codes.shape
        rows: Array = self._read(operator.inputs[0]).reshape(-1, operator.attributes["K"])
        rows = rows[:: -(-len(rows) // ROWS)].astype(np.float32)
        rows = np.pad(rows, [(0, 0), (0, groups * group - rows.shape[1])]).reshape(-1, groups, group)
        scale = np.abs(rows).max(axis=2, keepdims=True) / END
        steps = np.rint(np.divide(rows, scale, out=np.zeros_like(rows), where=scale != 0))
        largest = worst = 0.0
        for number in range(groups):
            own = codes[:, number].astype(np.float32) - zeros[:, number, None].astype(np.float32)
            largest = max(largest, float(np.abs(steps[:, number] @ own.T).max(initial=0)))
            worst = max(worst, END * float(np.abs(own).sum(axis=1).max(initial=0)))
        return IntegerProduct(
            name=operator.name,
            weight=self._stored(operator.inputs[1]).removesuffix("/blocks"),
            terms=group,
            largest=largest,
            worst=worst,
            headroom_bits=headroom(largest),
            pairs=0.0,
            largest_pair=0.0,
        )

    def _clipped(self, operator: Operator) -> Iterator[RoundedValues]:
        if operator.type != "QuantizeLinear" or operator.inputs[0] in self._pieces.constants:
            return
        scale, zero = operands(operator, self._read)
        if zero.dtype.name not in RANGES or scale.size != 1 or not scale:
            return
        value = self._read(operator.inputs[0])
        codes = np.rint(value / spread(scale, value.ndim, 1)) + zero.reshape(-1)[0].astype(np.float32)
        least, largest = RANGES[zero.dtype.name]
        beyond = np.maximum(least - codes, codes - largest)
        yield RoundedValues(
            name=self._whose(operator),
            clipped=float(np.count_nonzero(~(beyond <= 0)) / max(beyond.size, 1)),
            steps=max(float(np.nan_to_num(beyond, nan=np.inf).max(initial=0)), 0.0),
        )

    def _whose(self, operator: Operator) -> str:
        """Return which operator of integers reads the codes, or whose result they are of."""
        back = self._readers.get(operator.outputs[0])
        reader = None if back is None or not back.outputs else self._readers.get(back.outputs[0])
        if reader is not None and reader.type in SUMS:
            return f"{reader.name}/inputs"
        maker = self._makers.get(operator.inputs[0])
        return f"{(maker or operator).name}/{'outputs' if maker is not None else 'inputs'}"

    def _stored(self, name: str) -> str:
        """Return the constant that a value is made of, behind QuantizeLinear and DequantizeLinear."""
        maker = self._makers.get(name)
        while maker is not None and maker.type in {"DequantizeLinear", "QuantizeLinear"}:
            name = maker.inputs[0]
            maker = self._makers.get(name)
        return name if name in self._pieces.constants else ""

    def _scales(self) -> Iterator[ScaleFacts]:
        seen: set[str] = set()
        for operator in self._pieces.operators:
            place = {"QuantizeLinear": 1, "DequantizeLinear": 1, PACKED: 2}.get(operator.type)
            name = "" if place is None else operator.inputs[place]
            if name in self._pieces.constants and name not in seen:
                seen.add(name)
                facts = scale_facts(name, self._pieces.constant(name))
                yield replace(facts, outside=self._outside(operator)) if operator.type == PACKED else facts

    def _outside(self, operator: Operator) -> int:
        """Return how many zero points of a packed weight are no code."""
        _, zeros = packed_codes(operator, self._read)
        top = (1 << operator.attributes["bits"]) - 1
        return int(np.count_nonzero((zeros < 0) | (zeros > top) | (zeros != np.rint(zeros))))


def _by_output(operator: Operator, weights: Array) -> Array:
    """Return weights as [outputs, terms], in the order of the operator."""
    if operator.type == "Conv":
        return weights.reshape(len(weights), -1)
    turned = operator.type == "Gemm" and operator.attributes.get("transB")
    wide = weights if turned else weights.swapaxes(-1, -2)
    return wide.reshape(-1, wide.shape[-1])


def _worst(rows: Array, ends: tuple[int, int], bias: Array) -> float:
    """Return the largest magnitude of a sum that weights [outputs, terms] allow for steps between two ends."""
    up, down = (part.sum(axis=1, dtype=np.float64) for part in (np.maximum(rows, 0), np.minimum(rows, 0)))
    least, largest = ends
    shift = bias.reshape(-1) if bias.size in (1, len(rows)) else np.zeros(1)
    sums = np.stack([up * largest + down * least, up * least + down * largest]) + shift
    return float(np.abs(sums).max(initial=0))


def _pairs(operator: Operator, left: Codes, right: Codes, rows: Array) -> Pairs:
    """Return the pairs of a product of values with signed weights; of others no kernel sums in 16 bits."""
    if right.dtype != "int8" or left.dtype not in {"int8", "uint8"}:
        return NONE
    values, weights = left.unsigned, right.steps + np.float32(right.zero)
    if operator.type == "Conv":
        zero = left.zero + (128 if left.dtype == "int8" else 0)
        return in_a_convolution(values, weights, operator.attributes, zero)
    return NONE if operator.attributes.get("transA") else in_a_product(values, rows + np.float32(right.zero))
