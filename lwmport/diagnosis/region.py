"""A region of several operators, recognised as the one operator that gives the same: the rules know operators."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from lwmport.diagnosis.evidence import Evidence, Side
from lwmport.diagnosis.formulas.norms import GROUPS_OF_OURS
from lwmport.diagnosis.formulas.table import compute
from lwmport.diagnosis.reading import REGION, plain
from lwmport.types import Array

SAME: Final = 1e-4
"""What an operator may differ from the reference by, as a share of it, both as root mean squares."""

ALONE: Final = ("Gelu", "FastGelu", "Silu", "Sigmoid", "Softmax", "Tanh", "Relu", "Erf", "Rsqrt", "Exp")
EPSILONS: Final = (1e-5, 1e-6, 1e-12, 1e-3)

Given = tuple[str, Array]


def recognised(evidence: Evidence) -> Evidence:
    """Return the evidence with the operator that a region is, if one gives what the reference gives."""
    side, reference = evidence.expected, evidence.reference.astype(np.float64)
    if side is None or plain(side.type) != REGION or not np.isfinite(reference).all() or not reference.any():
        return evidence
    limit, best = SAME * float(np.sqrt(np.mean(reference**2))), None
    for one in _candidates(side, reference.shape):
        found = compute(one)
        if found is None or found.size != reference.size:
            continue
        left = float(np.sqrt(np.mean((found.reshape(reference.shape) - reference) ** 2)))
        if left < limit:
            limit, best = left, one
    return evidence if best is None else replace(evidence, expected=best, found=None)


def _candidates(side: Side, shape: tuple[int, ...]) -> Iterator[Side]:
    """Return operators on the inputs of a region, each as it is found most often."""
    every = zip(side.names, side.inputs, side.constant, strict=True)
    known = [(name, one, held) for name, one, held in every if one is not None]
    computed = [(name, one) for name, one, held in known if not held and one.dtype.kind == "f"]
    constants = [(name, one) for name, one, held in known if held and one.dtype.kind == "f" and one.size > 1]
    numbers = [float(np.ravel(one)[0]) for _, one, held in known if held and one.size == 1 and one.dtype.kind == "f"]
    for given in computed:
        for kind in ALONE if not constants else ():
            yield _side(kind, {}, [given])
        yield from _norms(given, constants, [*numbers, *EPSILONS])
        yield from _products(given, constants, shape)
        yield from _windows(given, shape)
    if len(computed) == 2 and computed[0][1].shape == computed[1][1].shape and len(constants) == 1:
        for epsilon in (*numbers, *EPSILONS):
            yield _side("SkipSimplifiedLayerNormalization", {"epsilon": epsilon}, computed, constants)


def _side(kind: str, settings: dict[str, Any], computed: Sequence[Given], constants: Sequence[Given] = ()) -> Side:
    given = [*computed, *constants]
    return Side(
        type=kind,
        attributes=settings,
        inputs=tuple(value for _, value in given),
        names=tuple(name for name, _ in given),
        constant=(False,) * len(computed) + (True,) * len(constants),
    )


def _norms(x: Given, constants: Sequence[Given], epsilons: Sequence[float]) -> Iterator[Side]:
    vectors = [one for one in constants if max(one[1].shape) == one[1].size]
    if len(vectors) != len(constants) or len(vectors) > 2:
        return
    ndim = x[1].ndim
    for order in itertools.permutations(vectors):
        for epsilon, ddof in itertools.product(dict.fromkeys(epsilons), (0, 1)):
            settings = {"epsilon": epsilon, "ddof": ddof}
            for axis in range(ndim):
                along = {**settings, "axis": axis, "onlyaxis": True}
                yield _side("LayerNormalization", along, [x], order)
                yield _side("SimplifiedLayerNormalization", along, [x], order)
            if ndim == 4 and x[1].shape[1] % GROUPS_OF_OURS == 0:
                yield _side("GroupNorm32", settings, [x], order)
    for axes, ddof in itertools.product((*range(ndim), tuple(range(2, ndim))), (0, 1)):
        if not vectors and axes != ():
            yield _side("Variance", {"axes": axes, "ddof": ddof}, [x])


def _products(x: Given, constants: Sequence[Given], shape: tuple[int, ...]) -> Iterator[Side]:
    kernels = [one for one in constants if one[1].ndim in {2, 4}]
    biases = [one for one in constants if one[1].ndim == 1]
    if len(kernels) != 1 or len(biases) > 1 or len(kernels) + len(biases) != len(constants):
        return
    kernel = kernels[0][1]
    if kernel.ndim == 2:
        yield _side("FULLY_CONNECTED", {}, [x], [*kernels, *biases])
        yield _side("Gemm", {}, [x], [*kernels, *biases])
    elif x[1].ndim == 4 and len(shape) == 4:
        stride = max(1, x[1].shape[2] // shape[2])
        reach = kernel.shape[2] // 2
        for pads in ([reach] * 4, [0] * 4, [0, 0, 1, 1]):
            settings = {"strides": [stride] * 2, "pads": pads, "dilations": [1, 1]}
            yield _side("Conv", settings, [x], [*kernels, *biases])


def _windows(x: Given, shape: tuple[int, ...]) -> Iterator[Side]:
    if x[1].ndim != 4 or len(shape) != 4 or x[1].shape[:2] != shape[:2]:
        return
    stride = max(1, x[1].shape[2] // shape[2])
    for size, pad, count in itertools.product((2, 3), (0, 1), (0, 1)):
        settings = {"kernel_shape": [size] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "count_include_pad": count}
        yield _side("AveragePool", settings, [x])
    scales = np.divide(shape, x[1].shape).astype(np.float32)
    for kind, rounding in (("half_pixel", "round_prefer_floor"), ("asymmetric", "floor"), ("align_corners", "floor")):
        settings = {"mode": "nearest", "coordinate_transformation_mode": kind, "nearest_mode": rounding}
        one = _side("Resize", settings, [x])
        yield replace(one, inputs=(x[1], None, scales), names=(x[0], "", "scales"), constant=(False, False, True))
