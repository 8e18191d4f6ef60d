"""``jobs.toml``: a matrix of ports, and single ones beside it."""

import contextlib
import itertools
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lwmport.checkpoints.model_weights import open_model
from lwmport.errors import PortError, UnusedOptionError, UsageError
from lwmport.memory import is_scarce
from lwmport.models.families import Family, is_file, resolve
from lwmport.models.options import Options
from lwmport.options import JOB, Kind, Place, flag_of, of_place
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.unused_options import check_unused
from lwmport.pipeline.names import named
from lwmport.pipeline.port.exclusion import left_out
from lwmport.pipeline.port.run import PortRequest, usual_format
from lwmport.registry import check_known
from lwmport.small_files import read_small
from lwmport.targets.registry import TARGETS
from lwmport.types import WeightSpec
from lwmport.wording import few

TABLES: Final = ("out", "workers", "memory", "defaults", "matrix", "jobs", "exclude")
FIELDS: Final = {option.key: option for option in JOB}
"""What a job may say: the options of ``lwmport port``, with underscores."""

NAMED: Final = ("component", "target", "to", "precision")
"""Fields that every job's name tells."""

BASE_BYTES: Final = 600 * 2**20
"""Memory of a process that has JAX and ONNX Runtime loaded and traced a small model (400 to 550 MB were measured)."""

COPIES: Final = 4
"""Float32 copies of the weights at the worst moment: the reference's, those of two open models, what a runtime makes of
its own. A model of 79 MB of weights took 0.95 GB, one of 2 MB 0.43 GB."""

_UNITS: Final = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@dataclass(frozen=True, kw_only=True)
class PortJob:
    """One port of a matrix, by a name that is its folder's, with the memory that it may take."""

    name: str
    request: PortRequest
    words: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """What a file asks for. ``workers`` and ``memory`` (bytes) are None where it does not say."""

    out: Path
    jobs: tuple[PortJob, ...]
    workers: int | None = None
    memory: int | None = None


def read_jobs(path: Path, out: Path | None = None) -> Jobs:
    """Return the ports that a file asks for; paths in it are beside the file.

    Raises:
        UsageError: the file cannot be read, or says something that no port can be; the message says where.
    """
    try:
        values = tomllib.loads(read_small(path).decode())
    except (OSError, ValueError) as error:
        found = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"expected a TOML file with jobs at {path}, found: {found}") from error
    for name in values:
        check_known(f"field of {path.name}", name, TABLES)
    folder = out or path.parent / _text(values.get("out", "ports"), "out", path)
    defaults = _table(values, "defaults", path)
    given = [*_matrix(_table(values, "matrix", path), path), *_tables(values, "jobs", path)]
    merged = [_named({**defaults, **item}, path) for item in given]
    every = [(_beside(path, item), defaults.keys() - own.keys()) for item, own in zip(merged, given, strict=True)]
    rules = [_named(rule, path) for rule in _tables(values, "exclude", path)]
    excluded = left_out([_meant(item) for item in merged], rules, FIELDS, path)
    kept = [pair for pair, out_of_it in zip(every, excluded, strict=True) if not out_of_it]
    fields = [item for item, _ in kept]
    if not fields:
        raise UsageError(f"expected a [matrix] or [[jobs]] in {path} that leave something to do, found nothing")
    told = _told(fields)
    jobs = tuple(_job(item, usual, told, folder, path) for item, (_, usual) in zip(fields, kept, strict=True))
    names = [job.name for job in jobs]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise UsageError(f"{path}: expected every job once, found {few(double)} more than once")
    memory = values.get("memory")
    return Jobs(
        out=folder,
        jobs=jobs,
        workers=_whole(values.get("workers"), "workers", path),
        memory=None if memory is None else read_bytes(str(memory)),
    )


def read_bytes(text: str) -> int:
    """Return a number of bytes written as ``8GB`` or ``512 MiB``.

    Raises:
        UsageError: it is none.
    """
    number = text.strip().rstrip("BGIKMbgikm ").strip()
    unit = text.strip()[len(number) :].strip().upper()
    try:
        return int(float(number) * _UNITS[unit])
    except (KeyError, ValueError, OverflowError) as error:
        raise UsageError(f"expected memory as 8GB or 512MiB, found {text!r}") from error


def _matrix(table: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """Return one job for every combination; values that are no list are the same for all."""
    if not table:
        return []
    many = {name for name, option in FIELDS.items() if option.kind is Kind.TEXTS}
    axes = [value if isinstance(value, list) and name not in many else [value] for name, value in table.items()]
    if any(not axis for axis in axes):
        raise UsageError(f"{path}: expected at least one value on every axis of [matrix], found an empty list")
    return [dict(zip(table, values, strict=True)) for values in itertools.product(*axes)]


def _table(values: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    found = values.get(name, {})
    if not isinstance(found, dict):
        raise UsageError(f"{path}: expected a table [{name}], found {type(found).__name__}")
    return found


def _tables(values: Mapping[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    found = values.get(name, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise UsageError(f"{path}: expected tables [[{name}]], found {type(found).__name__}")
    return found


def _named(fields: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the fields of a job or of a rule, with the one name of everything that has one.

    Raises:
        UsageError: a text may mean several.
    """
    fields_of = {key: FIELDS[key].name if key in FIELDS else key for key in fields}
    plain = {fields_of[key]: value for key, value in fields.items()}
    try:
        whole = named(plain)
        return {key: _each(fields_of[key], value, whole) for key, value in fields.items()}
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _each(name: str, value: Any, given: Mapping[str, Any]) -> Any:
    """Return a value by its one name; of a list, which a rule may have, each."""
    if isinstance(value, list):
        return [named({**given, name: item})[name] for item in value]
    return given[name]


def _beside(path: Path, fields: dict[str, Any]) -> dict[str, Any]:
    """Return a job's fields, checked, with the paths among them taken from the folder of the file.

    Raises:
        UsageError: an unknown field, a missing one, or one that is no text where it must be.
    """
    for name in fields:
        check_known(f"field of a job in {path.name}", name, FIELDS)
    missing = [name for name in ("component", "target") if name not in fields]
    if missing:
        raise UsageError(f"{path}: expected {' and '.join(missing)} of every job, found a job without")
    for name, value in fields.items():
        expected = FIELDS[name].expected(value)
        if expected:
            raise UsageError(f"{path}: expected {expected} as {name} of a job, found {value!r}")
    found = {**fields, "to": fields.get("to") or usual_format(fields["target"])}
    if "checkpoint" in found:
        prefix, separator, name = found["checkpoint"].rpartition("::")
        found["checkpoint"] = f"{prefix}{separator}{path.parent / name}"
    if "recipe" in found:
        found["recipe"] = [text if text.startswith("{") else str(path.parent / text) for text in found["recipe"]]
    for name in ("adapter", "calibrate_on", "config", "inputs", "toolchain"):
        if name in found and (name != "config" or is_file(found[name])):
            found[name] = str(path.parent / found[name])
    return found


def _meant(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return every value that a job has, with the usual ones where it does not say."""
    target = TARGETS[fields["target"]]
    form = fields.get("to") or usual_format(target.name)
    usual = {name: option.default for name, option in FIELDS.items() if option.default is not None}
    dialect = target.formats[form].name if form in target.formats else None
    return {**usual, "dialect": dialect, "soc": target.usual_chip, **fields, "to": form}


def _told(fields: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the fields that tell jobs apart: component, target, format, precision, and whatever else differs."""
    names = [name for name in FIELDS if len({repr(item.get(name)) for item in fields}) > 1]
    untold = {"adapter", "checkpoint", "toolchain"}
    return tuple(dict.fromkeys((*NAMED, *(name for name in names if name not in untold))))


def _job(fields: dict[str, Any], usual: Collection[str], told: Sequence[str], out: Path, path: Path) -> PortJob:
    """Return a job; its fields that are ``usual``, those of every job, are left out where they would change nothing."""
    values = {"precision": "float32", **fields}
    parts = [str(values[name]) if name in NAMED else f"{name}-{values[name]}" for name in told if name in values]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(parts)).strip("-")
    try:
        request = _request(fields, out / name)
        check_unused(request.conversion, request.converted.lowering)
        needed = _needed(request.conversion)
    except UsageError as error:
        idle = error.option if isinstance(error, UnusedOptionError) else ""
        if idle in fields and idle in usual:
            return _job({key: value for key, value in fields.items() if key != idle}, usual, told, out, path)
        raise UsageError(f"{path}, job {name}: {error}") from error
    return PortJob(name=name, request=request, words=_words({**fields, "out": str(out / name)}), bytes=needed)


def _request(fields: Mapping[str, Any], out: Path) -> PortRequest:
    several = {name: value for name, value in fields.items() if FIELDS[name].kind is Kind.TEXTS}
    texts = {name: value if isinstance(value, list) else [value] for name, value in several.items()}
    said = {**fields, **{name: tuple(map(str, values)) for name, values in texts.items()}}
    model, conversion, device = (_placed(said, place) for place in (Place.MODEL, Place.CONVERSION, Place.PORT))
    return PortRequest(conversion=ConvertRequest(options=Options(**model), out=out, **conversion), **device)


def _placed(fields: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Return the fields of a job that are fields of one record, by the names of that."""
    return {option.name: fields[option.key] for option in of_place(place) if option.key in fields}


def _needed(conversion: ConvertRequest) -> int:
    """Return an estimate of the memory that a port needs at its worst moment, the comparison with the reference."""
    family = _family(conversion)
    return BASE_BYTES + COPIES * max(_held(component.weights, conversion.format) for component in family.references)


def _family(conversion: ConvertRequest) -> Family:
    """Return the model of a job, as its checkpoint tells it where there is one; what is wrong with it is told later."""
    asked = (conversion.component, conversion.config, conversion.options)
    with contextlib.suppress(PortError):
        if conversion.checkpoint is not None:
            named = (conversion.seed, conversion.adapter)
            return open_model(asked[0], conversion.checkpoint, *asked[1:], *named)[0]
    return resolve(*asked)


def _held(weights: Mapping[str, WeightSpec], form: str) -> int:
    """Return the bytes of float32 weights held at once: of the largest alone in ONNX if memory is scarce."""
    if form == "onnx" and is_scarce(_total(weights)):
        return max(spec.nbytes for spec in weights.values())
    return _total(weights)


def _total(weights: Mapping[str, WeightSpec]) -> int:
    return sum(spec.nbytes for spec in weights.values())


def _words(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words behind ``lwmport port`` that mean the same job."""
    words: list[str] = []
    for name, value in fields.items():
        if name in FIELDS and FIELDS[name].kind is Kind.FLAG:
            words += [flag_of(name)] if value else []
            continue
        values: Sequence[Any] = value if isinstance(value, list) else [value]
        for item in values:
            words += [flag_of(name), str(item)]
    return tuple(words)


def _text(value: Any, name: str, path: Path) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{path}: expected a text as {name}, found {value!r}")
    return value


def _whole(value: Any, name: str, path: Path) -> int | None:
    if value is None:
        return None
    if type(value) is not int or value < 1:
        raise UsageError(f"{path}: expected a number of at least 1 as {name}, found {value!r}")
    return value
