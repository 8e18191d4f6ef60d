"""One record of what to compile, and for which device."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from lwmport.errors import UsageError
from lwmport.registry import check_known
from lwmport.targets.graphs.record import Value
from lwmport.targets.target import Target
from lwmport.types import Array, Compilation, Preprocessing, Signature, TensorSpec, size_of
from lwmport.wording import few

Gear: TypeAlias = Mapping[str, int]
"""One set of sizes for the dynamic dimensions: ``{"batch": 4}``."""

PRECISIONS: Final = ("float32", "mixed", "float16", "bfloat16", "int8")
"""What a compiler may compute in; ``mixed`` is float16, except where that loses accuracy."""

INTEGER_PRODUCTS: Final = ("MatMulNBits", "DequantizeLinear")
"""Operators that read such weights."""


@dataclass(frozen=True, kw_only=True)
class CompileJob:
    """One artifact and what its compiler needs to know.

    ``own`` is whether samples can be made for the model, ``quantised`` whether it computes in 8 bits already.
    ``public`` maps tensors to the names of inputs and outputs in ``signature``, where those are other ones. ``soc`` is
    the device within the target. ``calibration`` holds samples for quantisation by input name, each array
    [samples, ...]. ``keep_float32`` names what stays in float32 where the rest does not; ``nodes`` are the names of the
    model's nodes, None where nobody asked for them. ``extra`` are further options in the tool's own words.
    ``given`` are a user's inputs of several runs to compare on, ``scales`` the largest magnitudes of those outputs
    whose range is known. ``preprocessing`` is how a picture becomes each input that is one.
    ``toolchain`` is where the tool is, if not on the path; without ``run`` nothing is run.
    ``finish`` adds to a verdict what its record says beside it. ``within`` is a folder that holds model and results
    and keeps them together, if there is one. ``here`` is whether what is made may be for this machine alone, and
    ``threads`` how many threads it is to run in, None for one a processor.
    """

    path: Path
    name: str
    format: str
    signature: Signature
    operators: Mapping[str, int] = field(default_factory=dict)
    public: Mapping[str, str] = field(default_factory=dict)
    own: bool = True
    quantised: bool = False
    soc: str | None = None
    precision: str = "float32"
    gears: tuple[Gear, ...] = ()
    calibration: Mapping[str, Array] | None = None
    keep_float32: tuple[str, ...] = ()
    nodes: frozenset[str] | None = None
    given: tuple[Mapping[str, Array], ...] = ()
    scales: Mapping[str, float] = field(default_factory=dict)
    pictures_as_bytes: bool = False
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    toolchain: Path | None = None
    run: bool = True
    finish: Callable[[Compilation], Compilation] = lambda made: made
    within: Path | None = None
    here: bool = False
    threads: int | None = None


def check_job(job: CompileJob, target: Target, formats: tuple[str, ...], precisions: tuple[str, ...]) -> None:
    """Return if the target's compiler takes this format and this precision.

    Raises:
        UsageError: it does not.
    """
    if job.format not in formats:
        raise UsageError(
            f"expected an artifact in {' or '.join(formats)} for the target {target.name}, found {job.format} "
            f"({job.path}); convert with --to {formats[0]} --dialect {target.formats[formats[0]].name}"
        )
    check_known("precision", job.precision, PRECISIONS)
    if job.precision not in precisions:
        raise UsageError(
            f"expected a precision out of {', '.join(precisions)} for the target {target.name}, found {job.precision}"
        )


def has_integers(job: CompileJob) -> bool:
    """Return whether products of a model have weights of integers, which become numbers again in front of them."""
    return job.quantised or any(operator.rpartition(".")[2] in INTEGER_PRODUCTS for operator in job.operators)


def check_ranks(path: Path, inputs: Iterable[Value]) -> None:
    """Return if the number of axes of each input is known.

    Raises:
        UsageError: that of one is not, so no compiler can be told its shape.
    """
    unknown = [value.name for value in inputs if value.shape is None]
    if unknown:
        raise UsageError(
            f"expected the number of axes of each input of {path}, found none for {few(unknown)}; settle it: "
            f'lwmport check {path.name} --fix --input-shape "{unknown[0]}:1,..." --out F.onnx'
        )


def dynamic_names(signature: Signature) -> tuple[str, ...]:
    """Return the names of the dynamic dimensions of the inputs, in order of appearance; ``past+query`` has two."""
    dims = (dim for spec in signature.inputs for dim in spec.shape if isinstance(dim, str))
    return tuple(dict.fromkeys(name.strip() for dim in dims for name in dim.split("+")))


def check_gears(job: CompileJob, limit: tuple[int, int]) -> None:
    """Return if the gears name each dynamic dimension of the inputs, and nothing else.

    ``limit`` is how many gears there may be.

    Raises:
        UsageError: they do not, or there are too few or too many of them.
    """
    dynamic = dynamic_names(job.signature)
    for gear in job.gears:
        if sorted(gear) != sorted(dynamic):
            raise UsageError(
                f"expected sizes for the dynamic dimensions {few(dynamic) or '(none)'} of {job.path.name}, "
                f"found {few(gear)}"
            )
    if dynamic and not limit[0] <= len(job.gears) <= limit[1]:
        wanted = f"{limit[0]} to {limit[1]} gears" if limit[1] > 1 else "one size each"
        example = ";".join(f"{name}={','.join('1248'[: max(limit[0], 1)])}" for name in dynamic)
        raise UsageError(
            f"expected {wanted} for the dynamic dimensions {few(dynamic)} of {job.path.name}, "
            f"found {len(job.gears)}; give --gears '{example}', or convert with a static batch"
        )


def sized(spec: TensorSpec, gear: Gear) -> tuple[int, ...]:
    """Return the shape of a tensor in a gear."""
    return tuple(size_of(dim, gear) for dim in spec.shape)


def read_gears(text: str | None) -> tuple[Gear, ...]:
    """Return the gears of ``batch=1,2,4`` or ``query=1,8;cache=1024,2048``: the first sizes are the first gear.

    Raises:
        UsageError: the text has another form, its dimensions have different numbers of sizes, or a dimension or a gear
            stands there twice.
    """
    if not text:
        return ()
    columns: dict[str, list[int]] = {}
    for part in text.split(";"):
        name, equals, sizes = part.partition("=")
        words = [word.strip() for word in sizes.split(",")]
        if not equals or not name.strip() or not all(word.isdecimal() and int(word) > 0 for word in words):
            raise UsageError(f"expected gears like 'batch=1,2,4' or 'query=1,8;cache=1024,2048', found {text!r}")
        if name.strip() in columns:
            raise UsageError(f"expected each dimension once in --gears, found {name.strip()} twice in {text!r}")
        columns[name.strip()] = [int(word) for word in words]
    counts = {len(sizes) for sizes in columns.values()}
    if len(counts) != 1:
        raise UsageError(f"expected as many sizes for each dimension (a gear takes one of each), found {text!r}")
    rows = list(zip(*columns.values(), strict=True))
    if len(set(rows)) < len(rows):
        raise UsageError(f"expected gears that differ, found one twice in {text!r}; leave the second out")
    return tuple(dict(zip(columns, row, strict=True)) for row in rows)
