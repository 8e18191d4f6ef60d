"""The records that rooms hand to each other: frozen, keyword-only, free of any framework."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Dim: TypeAlias = int | str
"""A static size, or the name of a dynamic one (``"batch"``)."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being written, the bytes done and the bytes in all."""

ADDED: Final = MappingProxyType({"added": True})
"""Metadata of a field that a file of an earlier version lacks: `lwmport.plain.decode` then takes its default."""


class Status(StrEnum):
    """The outcome of a check. ``SKIPPED`` always comes with a reason, and is never a pass."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Kind(StrEnum):
    """What a tensor means, which decides how two of them are compared and shown."""

    VALUES = "values"
    INDICES = "indices"
    PICTURE = "picture"


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """Name, shape, dtype (numpy's name) and meaning of one input or output."""

    name: str
    shape: tuple[Dim, ...]
    dtype: str
    kind: Kind = Kind.VALUES
    layout: str = ""
    value_range: tuple[float, float] | None = None
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The named inputs and outputs of a component, in order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, kw_only=True)
class WeightSpec:
    """Shape and dtype (numpy's name) of one tensor of a checkpoint."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return int(np.prod(self.shape, dtype=np.int64)) * dtype_of(self.dtype).itemsize


class Weights(Protocol):
    """Named tensors that are read one at a time. Names are checkpoint paths: ``encoder/Conv_0/kernel``."""

    @property
    def specs(self) -> Mapping[str, WeightSpec]:
        """Shape and dtype of every tensor, known without reading any."""

    @property
    def source(self) -> Mapping[str, Any]:
        """Where the weights come from, for the manifest: at least ``kind`` and ``description``."""

    def read(self, name: str) -> Array:
        """Return one tensor. Nothing keeps it: memory is free once the caller lets go."""


@dataclass(frozen=True, kw_only=True)
class Quantizer:
    """How a component chooses: ``indices`` and ``states`` are outputs, the numbers of codes and the codes themselves.

    ``vectors(weights, inputs)`` returns what is quantized, the shape of the indices + [dimension], ``codebook`` is the
    weight [codes, dimension] that holds the codes.
    """

    indices: str
    states: str
    codebook: str
    vectors: Callable[[Mapping[str, Any], Mapping[str, Any]], Any]


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What the reference quantized in one run, and with which codebook; ``states`` is the output that holds codes."""

    states: str
    vectors: Array
    codebook: Array


@dataclass(frozen=True, kw_only=True)
class Component:
    """One convertible part of a model: its signature, the weights it reads, and its JAX function.

    ``apply(weights, inputs)`` takes flat ``{name: array}`` mappings of JAX arrays (or tracers) and returns
    the outputs by name. ``config`` is the model configuration as plain JSON values. ``feeder`` is the component whose
    outputs are realistic inputs of this one. ``quantizer`` tells what its indices are made of, where it has such.
    ``located`` holds the names that weights have in a checkpoint, where those are others. ``kept`` are the weights that
    stay in float32 whatever the precision.
    """

    name: str
    family: str
    signature: Signature
    weights: Mapping[str, WeightSpec]
    config: Mapping[str, Any]
    apply: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    feeder: "Component | None" = None
    quantizer: Quantizer | None = None
    located: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What one consumer of a format reads, as data.

    ``composites`` maps the name of a composite, or of a primitive that has several, to the forms it may take, best
    first, each a name in the converter's table of forms; a composite without a form that fits is decomposed.
    ``opsets`` is the closed range that may be asked for, ``opset`` the default. A ``static`` dialect has no dynamic
    sizes: a language model becomes a prefill and a decode with a cache of fixed length. ``attention`` is the form
    that is meant when none is asked for. In an ``embedded`` one weights lie in the model's own tables, not behind them
    (TFLite). One that is not ``lowered`` takes whole language models, whose weights get
    other names: its converter is given the component in place of a program. ``precisions`` are the dtypes that
    weights may have in it.
    """

    name: str
    format: str
    summary: str
    opset: int
    opsets: tuple[int, int]
    composites: Mapping[str, tuple[str, ...]]
    static: bool = False
    attention: str = "fused"
    embedded: bool = False
    lowered: bool = True
    precisions: tuple[str, ...] = ("float32", "float16")


@dataclass(kw_only=True)
class SharedData:
    """The file that holds the weights of several models of one folder, each once; the first of them writes it.

    ``offsets`` says where it has which weights: what they are made of (their name, dtype and order) -> bytes from its
    front. ``sha256`` is its digest. Both are empty before it is written.
    """

    name: str
    offsets: dict[Hashable, int] = field(default_factory=dict)
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """What one conversion wrote: the file to open, every file, and how it was made.

    ``sha256`` are the digests of files, by name, that were taken while they were written.
    """

    component: str
    format: str
    dialect: str
    path: Path
    files: tuple[Path, ...]
    signature: Signature
    operators: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class NearTies:
    """Which other codes than the reference's are as good, measured as `lwmport.validators.ties` does.

    ``distance`` is the largest measure of one of them, ``share`` how many of all indices they may be, rounded up.
    """

    distance: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far an output may be from the reference: ``|candidate - reference| <= atol + rtol * |reference|``.

    ``min_sqnr_db`` also bounds the error as a whole: a systematic one (a wrong epsilon) is small everywhere, but too
    large on average. None asks for no such bound. ``near_ties`` admits some other codes, None no other integer.
    """

    atol: float
    rtol: float
    why: str
    min_sqnr_db: float | None = None
    near_ties: NearTies | None = None


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """The tolerances of a family's outputs, beside the defaults in `lwmport.validators.tolerances`.

    Attributes:
        outputs: (output, precision) -> its tolerance.
        usual: precision -> the tolerance of outputs that ``outputs`` does not name.
    """

    outputs: Mapping[tuple[str, str], Tolerance] = field(default_factory=dict)
    usual: Mapping[str, Tolerance] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """How a picture with channels from 0 to 1 becomes an input: ``(value - mean) / deviation``, channel by channel."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def value_range(self) -> tuple[float, float]:
        """The least and the largest value of an input."""
        ends = [(end - m) / d for end in (0.0, 1.0) for m, d in zip(self.mean, self.deviation, strict=True)]
        return min(ends), max(ends)


@dataclass(frozen=True, kw_only=True)
class TensorDiff:
    """One output held against the reference. ``metrics`` are float64; see `lwmport.validators.metrics`."""

    name: str
    kind: Kind
    status: Status
    reason: str
    tolerance: Tolerance
    metrics: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The verdict on one artifact: every output, against which reference, on which inputs."""

    component: str
    artifact: str
    status: Status
    reason: str
    reference: str
    runner: str
    inputs: str
    diffs: tuple[TensorDiff, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Compilation:
    """What a vendor's compiler made of one artifact.

    ``SKIPPED`` means that the compiler is not installed or was not to be run: ``commands`` hold the exact lines of a
    shell, to be entered in ``folder``, as seen from the results. ``files`` are the names of everything written into the
    folder asked for (script, configuration, log), ``products`` of what the compiler made. ``details`` are facts of the
    target.
    """

    component: str
    artifact: str
    target: str
    tool: str
    status: Status
    reason: str
    folder: str
    commands: tuple[str, ...]
    files: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


class Severity(StrEnum):
    """What a finding means: the vendor's tool fails or its numbers are wrong; it may; or it is good to know."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing in a model file that a target objects to.

    ``rule`` is the id of the rule, ``where`` the node, tensor or file (empty for the whole model), ``vendor`` what the
    vendor's tool says or does about it, and ``fix`` what to do; ``fixable`` if `lwmport check --fix` does it.
    """

    rule: str
    severity: Severity
    title: str
    where: str
    operator: str
    found: str
    vendor: str
    fix: str
    fixable: bool = False


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What a target objects to in one model file, gravest first. ``chip`` is empty where it makes no difference."""

    artifact: str
    target: str
    chip: str
    status: Status
    findings: tuple[Finding, ...] = ()


class Runner(Protocol):
    """Runs one model. Inputs and outputs go by name; opened with a component or an artifact."""

    name: str

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return every output by name.

        Raises:
            RunnerError: the runtime refused the model or the inputs.
        """


def dtype_of(name: str) -> np.dtype[Any]:
    """Return the numpy dtype of a name, with the ml_dtypes ones (``bfloat16``, ``float8_e4m3fn``) included.

    Raises:
        TypeError: no such dtype.
    """
    try:
        found: np.dtype[Any] = np.dtype(name)
    except TypeError:
        import ml_dtypes

        scalar = getattr(ml_dtypes, name, None)
        if scalar is None:
            raise
        found = np.dtype(scalar)
    return found


def size_of(dim: Dim, sizes: Mapping[str, int]) -> int:
    """Return a size: a number, a name's out of ``sizes``, or a sum of such: ``"past + sequence"``, ``"past + 16"``."""
    if isinstance(dim, int):
        return dim
    parts = [part.strip() for part in dim.split("+")]
    return sum(int(part) if part.isdecimal() else sizes[part] for part in parts)
