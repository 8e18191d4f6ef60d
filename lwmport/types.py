"""The records that rooms hand to each other: frozen, keyword-only, free of any framework."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lwmport.choices import Choice

Array: TypeAlias = NDArray[Any]
Dim: TypeAlias = int | str
"""A static size, or the name of a dynamic one (``"batch"``)."""

TAPS: Final = ("layers", "composites")
"""Which values inside a program can be asked for: what its layers return, or what all composites compute too."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being written, the bytes done and the bytes in all."""

ADDED: Final = MappingProxyType({"added": True})
"""Metadata of a field that an earlier version did not have: `lwmport.plain.decode` takes its default where a file lacks
it, and `lwmport.plain.encode_asked` leaves its default out."""

ROUNDED_PRODUCTS: Final = "a8"
"""The precision of a model that rounds to 8 bits what it multiplies with its weights, and computes in float32."""

ROUNDED_BY_TENSOR: Final = "a8-tensor"
"""The same where a scale is that of a whole row, or of a whole picture, as in LiteRT."""

CACHED: Final = MappingProxyType({"float16": "cache-float16", "int8": "cache-int8"})
"""The precision of a model that computes in float32, by the dtype of its cache."""

PREFILL: Final = "prefill"
DECODE: Final = "decode"
"""The phases of generation: the tokens of a prompt, and each token behind it (`Component.phases`)."""

ROOM: Final = ("lwmport.caches", "may have room behind their tokens")
"""The entry of an ONNX file whose operators read no more of a cache than the mask has tokens, and write behind them.

This holds where no token is padding, and of several sequences each has one new token, or none before."""


class Status(StrEnum):
    """The outcome of a check. What is neither passed nor failed always comes with a reason, and is never a pass.

    A verdict is passed, failed or not judged (`lwmport.verdicts`). ``SKIPPED`` is none: a stage that was not run.
    """

    PASSED = "passed"
    FAILED = "failed"
    NOT_JUDGED = "not judged"
    SKIPPED = "skipped"


class Kind(StrEnum):
    """What a tensor means, which decides how two of them are compared and shown."""

    VALUES = "values"
    INDICES = "indices"
    PICTURE = "picture"


@dataclass(frozen=True, kw_only=True)
class TwoTables:
    """Which of two tables an index looks into: another input of the same shape says so, element by element.

    ``rows`` are the rows of the table where the input ``chosen_by`` is false, and of the one where it is true.
    """

    chosen_by: str
    rows: tuple[int, int]

    def least_above(self, chosen: Array) -> Array:
        """Return the least number that is no row, for each element of ``chosen_by``."""
        return np.where(chosen != 0, self.rows[1], self.rows[0])


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """Name, shape, dtype (numpy's name) and meaning of one input or output.

    ``tables`` are those that an input of indices looks into, where there are two.
    """

    name: str
    shape: tuple[Dim, ...]
    dtype: str
    kind: Kind = Kind.VALUES
    layout: str = ""
    value_range: tuple[float, float] | None = None
    description: str = ""
    tables: TwoTables | None = field(default=None, metadata=ADDED)


class Update(StrEnum):
    """What one run makes of a state.

    ``GROWS``: the output is the input with the new tokens behind it. ``SLOT``: both have the same shape, and the new
    tokens are written into it. ``REPLACED``: both have the same shape, and nothing of the input need be kept.
    """

    GROWS = "grows"
    SLOT = "slot"
    REPLACED = "replaced"


@dataclass(frozen=True, kw_only=True)
class State:
    """What is kept between two runs: ``output`` of one run is ``input`` of the next one.

    ``axis`` is the axis of the tokens. ``position`` names the input that says where new tokens are written, if it is a
    slot. A component that starts a state has no such input itself: ``input`` then names the one of the next phase.
    """

    input: str
    output: str
    axis: int
    update: Update
    position: str = ""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The named inputs and outputs of a component, in order, and which outputs are kept for the next run."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    states: tuple[State, ...] = field(default=(), metadata=ADDED)

    @property
    def caches(self) -> frozenset[str]:
        """The names of inputs and outputs that hold something of each token so far."""
        kept = (state for state in self.states if state.update is not Update.REPLACED)
        return frozenset(name for state in kept for name in (state.input, state.output))


@dataclass(frozen=True, kw_only=True)
class WeightSpec:
    """Shape and dtype (numpy's name) of one tensor of a checkpoint."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return prod(self.shape) * dtype_of(self.dtype).itemsize


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """What weights are stored as, apart from the dtype that is computed in.

    Attributes:
        name: what a user calls it.
        bits: bits of one stored value.
        dtype: numpy's name of the array that holds the stored values; one element may hold several values. Where it is
            ``computed``, the values that the codes stand for are stored, and a consumer makes codes of them again.
        computed: numpy's name of the dtype that a consumer makes of them.
        group: neighbouring values of one channel that share a scale; 0 for all values of the channel.
        channel: the axis whose entries have scales of their own.
        scales: numpy's name of the dtype of a scale; empty where values need none.
        symmetric: whether zero is stored as zero; if not, each scale has a zero point of ``bits`` bits beside it.
        method: how scales are chosen: rtn, mse or hqq (`lwmport.quantise`); empty where there are none.
        activations: bits that a consumer rounds to what it multiplies with the weights; 0 where it does not.
        even: whether scales are positive and zero is the middle code; the least code of others reaches furthest.
        ranged: whether what is multiplied is rounded to numbers that calibration finds, where others with ``even``
            scales find them while they run; of convolutions alone.
        turned: whether the channels are stored in front, with all that belongs to one of them behind each other.
        blocks: the kind of ggml's blocks (`lwmport.ggml_kinds`) in which values and scales lie together; empty
            where they lie apart. ``group`` is then the values of a block.
        block_bytes: of one block.
        left_out: patterns (`fnmatch`) of the names of tensors that stay as they are computed.
        least: fewest values of a tensor that is worth storing in another form.
    """

    name: str
    bits: int
    dtype: str
    computed: str = "float32"
    group: int = 0
    channel: int = -1
    scales: str = ""
    symmetric: bool = True
    method: str = ""
    activations: int = 0
    even: bool = False
    ranged: bool = False
    turned: bool = False
    blocks: str = ""
    block_bytes: int = 0
    left_out: tuple[str, ...] = ()
    least: int = 256

    @property
    def title(self) -> str:
        """What weights are rounded to, for a reader: ``float16``, ``w4a16 (groups of 32, symmetric, rtn)``."""
        if not self.scales:
            return self.name
        whose = f"groups of {self.group}" if self.group else "a scale for each output"
        kind = "symmetric" if self.symmetric else "asymmetric"
        return f"{self.name} ({whose}, {kind}, {self.method})"

    def takes(self, name: str, spec: WeightSpec) -> bool:
        """Return whether a tensor is stored by the scheme: a matrix, a kernel or a table that is not left out."""
        matrix = sum(size > 1 for size in spec.shape) > 1 and prod(spec.shape) >= self.least
        return matrix and spec.dtype == self.computed and not any(fnmatchcase(name, each) for each in self.left_out)

    def stored_bytes(self, spec: WeightSpec) -> int:
        """Return the bytes that a tensor takes in a file: values, scales and zero points; groups are filled up."""
        if self.block_bytes:
            return prod(spec.shape) // self.group * self.block_bytes
        bits = 8 * dtype_of(self.dtype).itemsize if self.dtype == self.computed else self.bits
        channels = spec.shape[self.channel]
        group = self.group or prod(spec.shape) // channels
        groups = -(-prod(spec.shape) // (channels * group))
        values = channels * -(-groups * group * bits // 8)
        scales = channels * groups * dtype_of(self.scales).itemsize if self.scales else 0
        zero_points = 0 if self.symmetric or not self.scales else channels * -(-groups * self.bits // 8)
        return values + scales + zero_points


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
class Levels:
    """The 256 numbers that values are rounded to: ``(code - zero) * scale`` for codes from -128 to 127.

    ``scale`` is a float32; zero is one of the numbers.
    """

    scale: float
    zero: int


@dataclass(frozen=True, kw_only=True)
class Rounded:
    """What a convolution of integers rounds: what goes in, and what comes out; None where that stays a sum."""

    inputs: Levels
    outputs: Levels | None


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Channels that may be divided where they are made and multiplied where they are used: nothing else sees them.

    Attributes:
        source: the weight that makes them: a vector [channels] that multiplies them, or a matrix [inputs, channels].
        targets: the matrices [inputs, outputs] of every product that they go into.
        blocks: equal parts that the channels come in.
        times: how often each part is met in a row, as heads of keys and values are that several queries share.
    """

    source: str
    targets: tuple[str, ...]
    blocks: int = 1
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class Component:
    """One convertible part of a model: its signature, the weights it reads, and its JAX function.

    ``apply(weights, inputs)`` takes flat ``{name: array}`` mappings of JAX arrays (or tracers) and returns
    the outputs by name. ``config`` is the model configuration as plain JSON values. ``feeder`` is the component whose
    outputs are realistic inputs of this one. ``quantizer`` tells what its indices are made of, where it has such.
    ``located`` holds the names that weights have in a checkpoint, where those are others. ``phases`` are those of
    generation that it runs: `PREFILL`, `DECODE`, both, or none. ``kept`` are the weights that stay in float32 whatever
    the precision. ``rounds`` are patterns (`fnmatch`) of the kernels whose convolutions can be those of integers
    without losing what the component is for; ``rounded`` are those that are, by kernel (`lwmport.models.rounding`).
    ``folds`` are the channels whose scale is free (`lwmport.models.folding`). ``turned`` are the states, by
    input, whose neighbouring channels a position turns into each other. ``scales`` are those of states that are codes,
    float32 by input (`lwmport.models.narrow_cache`).
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
    phases: tuple[str, ...] = ()
    kept: frozenset[str] = frozenset()
    rounds: tuple[str, ...] = ()
    rounded: Mapping[str, Rounded] = field(default_factory=dict)
    folds: tuple[Fold, ...] = ()
    turned: frozenset[str] = frozenset()
    scales: Mapping[str, Array] = field(default_factory=dict, compare=False)


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
    weights may have in it, ``stores`` the names of the schemes that it can store them by beside that. ``quantizes`` are
    those of ``--quantize``, each with the first opset that has its operators; ``rounding`` is the table of schemes that
    they are names in (`lwmport.models.schemes.ROUNDINGS`), empty for the usual one. ``caches`` are the dtypes of
    ``--cache`` that its readers take beside float32. ``packing`` is how a folder of it
    holds quantised weights, one of `lwmport.models.packed_schemes.PACKINGS`; empty where there is no such choice.
    ``quantised_by`` says what else makes integers for its reader, for who asks it for a kind that it does not have.
    ``runner`` is the one that runs its files here where the usual one of their suffix has not their operators.
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
    stores: tuple[str, ...] = ()
    quantizes: Mapping[str, int] = field(default_factory=dict)
    rounding: str = ""
    caches: tuple[str, ...] = ()
    packing: str = ""
    quantised_by: str = ""
    runner: str = ""

    @property
    def layout(self) -> str:
        """Axes of pictures that a model may take in either order: ONNX has channels first in all its operators."""
        return "nchw" if self.format == "onnx" else ""


@dataclass(kw_only=True)
class SharedData:
    """The file that holds the weights of several models of one folder, each once; the first of them writes it.

    ``offsets`` says where it has which weights: what they are made of (their name in the checkpoint, dtype and order)
    -> bytes from its front. ``sha256`` is its digest. Both are empty before it is written.
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


class Fit(StrEnum):
    """How a picture of any size comes to have an input's height and width.

    ``NONE``: it must have them. ``SQUASH``: both sides are resized, whatever becomes of the aspect. ``COVER``: it is
    resized so that it covers them, and the centre is cut out. ``PAD``: it is made square by a margin on both ends of
    its shorter side, then resized.
    """

    NONE = "none"
    SQUASH = "squash"
    COVER = "cover"
    PAD = "pad"


@dataclass(frozen=True, kw_only=True)
class Resizing:
    """How a picture is resized: by Pillow, whose filters look at every pixel when they shrink one.

    Attributes:
        fit: how it comes to have the size.
        filter: Pillow's filter, one of `FILTERS`.
        fill: the colour of the margin of ``PAD``, from 0 to 255 for each channel.
        floor: of ``COVER``, whether half a pixel too much is cut off behind the centre, as transformers does it. If
            not, Python's ``round`` decides, as in LWM and torchvision.
    """

    fit: Fit = Fit.COVER
    filter: str = "bicubic"
    fill: tuple[int, ...] = ()
    floor: bool = False


FILTERS: Final = ("bicubic", "bilinear")
"""Pillow's filters that families use."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How a picture becomes an input: its channels are red, green, blue; it is resized, then its bytes become numbers.

    Attributes:
        resizing: how it comes to have the input's size.
        normalisation: mean and deviation of each channel. None: the bytes are scaled to the input's ``value_range``.
    """

    resizing: Resizing = field(default_factory=Resizing)
    normalisation: Normalisation | None = None


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
    shell, to be entered in ``folder``, as seen from the results. Where the model lies apart from the results, the lines
    are those for a model that lies among them, and the script takes its folder as an argument: so the record is the
    same wherever both lie. Of what ``PASSED``, ``folder`` is the model's. ``files`` are the names of everything written
    into the folder asked for (script, configuration, log), ``products`` of what the compiler made. ``details`` are
    facts of the target. ``sha256`` is the digest of each file below the folder.
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
    sha256: Mapping[str, str] = field(default_factory=dict, metadata=ADDED)
    choices: tuple[Choice, ...] = field(default=(), metadata=ADDED)


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
    """Runs one model. Inputs and outputs go by name; opened with a component or an artifact.

    Attributes:
        name: the runtime, as reports call it.
        inputs: the inputs that `run` takes.
        outputs: the outputs that `run` returns.
        notes: what the runtime says about this model, one sentence each.
        streamed: whether weights are read again for each run. Such a run is not timed.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    notes: tuple[str, ...]
    streamed: bool

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return every output by name.

        Raises:
            RunnerError: the runtime refused the model or the inputs.
        """

    def close(self) -> None:
        """Give back what the model holds: memory, files, the device. A second call does nothing."""


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


def within_tables(specs: tuple[TensorSpec, ...], arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return arrays whose indices are rows of the table that each of them looks into."""
    found = dict(arrays)
    for spec in specs:
        if spec.tables is not None:
            above = spec.tables.least_above(found[spec.tables.chosen_by])
            found[spec.name] = (found[spec.name] % above).astype(found[spec.name].dtype)
    return found


def size_of(dim: Dim, sizes: Mapping[str, int]) -> int:
    """Return a size: a number, a name's out of ``sizes``, or a sum of such: ``"past + sequence"``, ``"past + 16"``."""
    if isinstance(dim, int):
        return dim
    parts = [part.strip() for part in dim.split("+")]
    return sum(int(part) if part.isdecimal() else sizes[part] for part in parts)
