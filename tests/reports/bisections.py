"""Bisections made up: a model of many layers, with one wrong operator in it, or with none."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from lwmport.reports.bisection import Bisection, First, Measured, Neighbour, Tap
from lwmport.types import Status

PARTS = ("norm", "query", "key", "value", "scores", "context", "output", "gate", "up", "down", "add")
OPERATORS = ("RMSNormalization", "MatMul", "MatMul", "MatMul", "MatMul", "MatMul", "MatMul", "Sigmoid", "MatMul",
             "MatMul", "Add")  # fmt: skip
EXPLANATION = (
    "The kernel has the right values with its last two axes swapped: transpose the weight, or set transB of this node."
)


def measured(sqnr_db: float) -> Measured:
    error = 10 ** (-sqnr_db / 20)
    return Measured(max_abs=4 * error, relative=error, sqnr_db=sqnr_db, cosine=1 - error**2 / 2)


EQUAL = Measured(max_abs=0.0, relative=0.0, sqnr_db=math.inf, cosine=1.0)


def taps(layers: int, wrong: int | None) -> tuple[Tap, ...]:
    """Return the taps of layers, with rounding that grows, and an error that enters at the key of layer ``wrong``."""
    random = np.random.default_rng(5)
    found = [Tap(tap="embed", node="/embed/Gather", operator="Gather", output="embedded", whole=EQUAL, own=EQUAL)]
    for layer in range(layers):
        for part, operator in zip(PARTS, OPERATORS, strict=True):
            name = f"layers.{layer}.{part}"
            behind = wrong is not None and (layer, PARTS.index(part)) >= (wrong, PARTS.index("key"))
            whole = (21.0 if behind else 128.0) - 0.9 * layer + float(random.normal(0, 1.5))
            own = 9.0 if (layer, part) == (wrong, "key") else 133.0 + float(random.normal(0, 1.0))
            found.append(
                Tap(
                    tap=name, node=f"/model/layers.{layer}/{part}/{operator}", operator=operator,
                    output=f"/model/layers.{layer}/{part}/{operator}_output_0", layer=f"layers.{layer}",
                    whole=measured(whole), own=measured(own) if layer % 2 == 0 or behind else None,
                    enters=(layer, part) == (wrong, "key"),
                    amplified=14.2 if behind and part == "scores" and layer == wrong else None,
                )
            )  # fmt: skip
    return tuple(found)


def first(layer: int) -> First:
    """Return the key of a layer as the first wrong operator."""
    random = np.random.default_rng(6)
    heat = np.abs(random.standard_normal((24, 64))) * np.linspace(0.1, 1, 64)
    node = f"/model/layers.{layer}/key/MatMul"
    places = ((0, 17, 61), (0, 3, 63), (0, 21, 60))
    return First(
        tap=f"layers.{layer}.key", node=node, operator="MatMul", output=f"{node}_output_0",
        whole=measured(9.0), own_inputs=measured(9.0), cause="transposed kernel", explanation=EXPLANATION,
        neighbours=(
            Neighbour(node=f"/model/layers.{layer}/norm/RMSNormalization", operator="RMSNormalization", place=-1,
                      shape=(1, 24, 4096), dtype="float32"),
            Neighbour(node=f"model.layers.{layer}.key.kernel", operator="weight", place=-1, shape=(4096, 4096),
                      dtype="float32"),
            Neighbour(node=node, operator="MatMul", place=0, shape=(1, 24, 4096), dtype="float32"),
            Neighbour(node=f"/model/layers.{layer}/rotary/Reshape", operator="Reshape", place=1,
                      shape=(1, 24, 32, 128), dtype="float32"),
        ),
        heat=tuple(tuple(map(float, row)) for row in heat), axes="axis 1 down, axis 2 across",
        worst=tuple((place, 0.31 * number, -1.7 * number) for number, place in enumerate(places, 1)),
    )  # fmt: skip


def bisection(layers: int = 4, wrong: int | None = 2, **changed: Any) -> Bisection:
    """Return a bisection that failed at a layer, or one that passed where ``wrong`` is None."""
    found = Bisection(
        status=Status.PASSED if wrong is None else Status.FAILED,
        component="llama-prefill",
        artifact="out/llama-prefill.onnx",
        reference="JAX 0.10.2 (float32, CPU)",
        runner="ONNX Runtime 1.31.1 (CPUExecutionProvider)",
        inputs="text of 24 tokens",
        weights="params of lwm-7b",
        first=None if wrong is None else first(wrong),
        taps=taps(layers, wrong),
        notes=("312 of 320 taps were matched by name, 8 by their values.",),
        command="lwmport bisect out/llama-prefill.onnx --checkpoint params::lwm-7b --out DIR",
        outputs=(("logits", measured(18.0), wrong is None), ("present.0.key", measured(120.0), True)),
        peak_bytes=2_400_000_000,
        seconds=214.0,
    )
    return replace(found, **changed)
