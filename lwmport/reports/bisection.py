"""What a bisection found, as data: the JSON that ``lwmport bisect --json`` prints, and what its page is drawn from."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from lwmport.types import Status

SCHEMA: Final = 1
"""The version of the JSON; a field that is added does not raise it."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """How far one tensor is from the reference's.

    Attributes:
        max_abs: the largest absolute difference.
        relative: that, divided by the largest magnitude of the reference.
        sqnr_db: ten times the decimal logarithm of signal power over noise power; infinite where both are equal.
        cosine: of the angle between both, as vectors.
    """

    max_abs: float
    relative: float
    sqnr_db: float
    cosine: float


@dataclass(frozen=True, kw_only=True)
class Tap:
    """One place of the model that was compared.

    Attributes:
        tap: the name of the value in the reference: a layer's or a composite's; the tensor's own where it has no other.
        node: the name of the operator in the file that gives the tensor.
        operator: its type.
        output: the name of the tensor in the file.
        layer: the layer that it lies in, empty where it lies in none.
        whole: the difference when the whole model runs.
        own: the difference when the operators behind the tap before this one run on the reference's own inputs; None
            where that cannot be run.
        enters: whether an error enters here: ``own`` is beyond rounding.
        amplified: how much larger the relative difference is than at the inputs, where an error passes through here
            and the operator itself is right; None where there is none.
        harmless: whether an error enters here that no output of the model shows.
    """

    tap: str
    node: str
    operator: str
    output: str
    whole: Measured
    own: Measured | None = None
    layer: str = ""
    enters: bool = False
    amplified: float | None = None
    harmless: bool = False


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """One operator near the first wrong one. ``place`` is -1 for those in front, 0 for it, 1 for those behind."""

    node: str
    operator: str
    place: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, kw_only=True)
class First:
    """The operator at which the first error enters.

    Attributes:
        own_inputs: the difference of its output when it runs on the reference's own inputs.
        cause: the word of the rule that explains it; None where no rule does.
        explanation: in words, what was found, also where the cause is not known.
        neighbours: it, and what lies in front and behind.
        heat: the absolute difference of its output, laid out in two axes and shrunk to 64 x 64 cells at most, each the
            largest in it.
        axes: which axes of the tensor lie down and across in ``heat``.
        worst: the worst places: index, value of the reference, value found.
    """

    tap: str
    node: str
    operator: str
    output: str
    whole: Measured
    own_inputs: Measured
    cause: str | None
    explanation: str
    neighbours: tuple[Neighbour, ...] = ()
    heat: tuple[tuple[float, ...], ...] = ()
    axes: str = ""
    worst: tuple[tuple[tuple[int, ...], float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Bisection:
    """The whole result.

    Attributes:
        status: passed: nothing wrong; failed: something is; not judged: the search could not be made.
        component, artifact, reference, runner, inputs: what was compared with what, where, on what, in words.
        strict: whether errors that no output shows count as wrong.
        first: where the first error enters; None where none does.
        others: further places where an error enters, in order.
        taps: every place that was compared, in the order of computation.
        notes: what a reader must know: what was matched by what, what was left out.
        reason: why it was not judged.
        peak_bytes: of anonymous memory. seconds: by the clock.
    """

    status: Status
    component: str
    artifact: str
    reference: str
    runner: str
    inputs: str
    strict: bool = False
    first: First | None = None
    others: tuple[First, ...] = ()
    taps: tuple[Tap, ...] = ()
    notes: tuple[str, ...] = ()
    reason: str = ""
    weights: str = ""
    command: str = ""
    peak_bytes: int = 0
    seconds: float = 0.0
    outputs: tuple[tuple[str, Measured, bool], ...] = field(default=())
    """Each output of the model: its name, how far it is, whether it is within its tolerance."""


def as_json(found: Bisection) -> dict[str, Any]:
    """Return the document of a bisection; a number that is not finite is null there."""
    first = found.first
    document = {
        "schema": SCHEMA,
        "status": "not_judged" if found.status is Status.NOT_JUDGED else found.status.value,
        "first": None if first is None else _first(first),
        "others": [_first(item) for item in found.others],
        "taps": [_tap(item) for item in found.taps],
        "peak_bytes": found.peak_bytes,
        "seconds": found.seconds,
        **{name: getattr(found, name) for name in ("component", "artifact", "reference", "runner", "inputs", "strict")},
        "outputs": [{"name": name, **asdict(measured), "passed": passed} for name, measured, passed in found.outputs],
        "notes": list(found.notes),
        "reason": found.reason,
        "weights": found.weights,
        "command": found.command,
    }
    finite: dict[str, Any] = _finite(document)
    return finite


def _first(item: First) -> dict[str, Any]:
    return {
        "tap": item.tap,
        "node": item.node,
        "operator": item.operator,
        "output": item.output,
        "max_abs": item.whole.max_abs,
        "sqnr_db": item.whole.sqnr_db,
        "cosine": item.whole.cosine,
        "own_inputs_max_abs": item.own_inputs.max_abs,
        "own_inputs_sqnr_db": item.own_inputs.sqnr_db,
        "cause": item.cause,
        "explanation": item.explanation,
        "neighbours": [asdict(neighbour) for neighbour in item.neighbours],
        "worst": [{"index": index, "reference": one, "found": other} for index, one, other in item.worst],
    }


def _tap(item: Tap) -> dict[str, Any]:
    return {
        "tap": item.tap,
        "node": item.node,
        "operator": item.operator,
        "output": item.output,
        "layer": item.layer,
        **asdict(item.whole),
        "own_inputs_max_abs": None if item.own is None else item.own.max_abs,
        "own_inputs_sqnr_db": None if item.own is None else item.own.sqnr_db,
        "enters": item.enters,
        "amplified": item.amplified,
        "harmless": item.harmless,
    }


def _finite(value: Any) -> Any:
    """Return a document in which JSON can be written: infinite numbers and NaN become None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
