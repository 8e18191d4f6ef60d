r"""Judge this bundle. One file; it needs Python 3.8 or newer and numpy, and nothing else unless it runs a model.

    python verify.py                             check the digests, and the golden files against their record
    python verify.py --outputs DIR               judge what a device wrote: .npy or raw .bin files
    python verify.py --runner onnxruntime        run the models here and judge their outputs
    python verify.py --runner ascend --model vqgan-decoder=vqgan-decoder.om
    python verify.py --runner compass --model vqgan-decoder=vqgan-decoder_o.txt
    python verify.py --raw .                     write the golden and calibration arrays as raw .bin files too

DIR holds COMPONENT/SAMPLE/OUTPUT.npy (or .bin, raw and little-endian). A level may be left out where only one component
or one sample is judged (--component, --sample). A file may also be called ANYTHING_0.npy by the number of its output,
as ais_bench does.

The digests are always checked first. An output passes when |found - golden| <= atol + rtol * |golden| at every element
and, where a least SQNR is given, its SQNR is not below. Integers must be equal; a few codes may be others in float16
and bfloat16, where the two were nearly as near, and the states of those follow them. NaN never passes. What fails is
diagnosed: layout, sign, shift, byte order, scale, dtype, swapped outputs.

Exit codes: 0 passed, 1 failed, 2 wrong arguments, 3 not judged (no outputs, no runtime, no bundle).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import itertools
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Arrays = dict[str, Any]
    Record = dict[str, Any]
    Runner = Callable[[Arrays], Arrays]

PASSED, FAILED, USAGE, CANNOT = 0, 1, 2, 3


def printable(text: str) -> str:
    """Return text of a file without what a terminal would obey: that is shown as escapes."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def cannot(reason: object, words_given: list[str], code: int = CANNOT) -> int:
    """Say in one line why nothing was judged, and in a document to who asked for one; return the exit code."""
    line = printable(" ".join(str(reason).split()))
    if "--json" in words_given:
        document = {"status": "not judged" if code == CANNOT else "error", "error": line, "exit_code": code}
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
    sys.stderr.write(f"error: {line}\n")
    return code


try:
    import numpy as np
except ImportError:
    sys.exit(cannot("expected numpy, found none; run: python -m pip install numpy", sys.argv))

EXPLAINED_DB = 30.0
"""SQNR from which a transformed output counts as the golden one: rounding and float16 stay above, mistakes below."""
EXPLAINED_EQUAL = 0.9
"""The same for integers: the share that is equal."""
SHIFTS = tuple(sign * step for step in range(1, 9) for sign in (1, -1))
DIAGNOSED = 1 << 23
"""Elements up to which a failed output is tried in other orders."""
ACL_DTYPES = {0: "float32", 1: "float16", 2: "int8", 3: "int32", 4: "uint8", 9: "int64", 12: "bool"}
"""aclDataType -> numpy's names."""
ACL_ALREADY, ACL_TO_DEVICE, ACL_TO_HOST, ACL_UNWRITTEN = 100002, 1, 2, 0xFF
USUAL_PROVIDER = "CPUExecutionProvider"
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    TokenError,
)
"""What numpy raises on a damaged header: it is a Python expression, which is only read, never run."""
SECONDS = 3600
"""What a model has to run in; a model can hold a loop without an end."""
IN_CHILD = "--in-child"
"""Said to the process that runs a model, by the one that watches it."""
UNWRITTEN = "missing: expected"
"""How the note on an output begins whose file is not there."""
WRONG_DTYPES = ("float16", "float32", "float64", "int8", "uint8", "int16", "int32", "int64")


class CannotJudgeError(Exception):
    """What was asked for cannot be judged; the message is one line."""

    code = CANNOT


class ArgumentsError(CannotJudgeError):
    """What was asked for contradicts itself, or names what there is not."""

    code = USAGE


class Row(NamedTuple):
    """The verdict on one output of one sample."""

    component: str
    sample: str
    output: str
    passed: bool
    max_abs_error: float
    sqnr_db: float
    mismatches: int
    elements: int
    tolerance: str
    note: str


class Numbers(NamedTuple):
    """How far an output is from the golden one; ``out`` counts the elements beyond the tolerance."""

    max_abs_error: float
    sqnr_db: float
    out: int
    nans: int


# --- the bundle ------------------------------------------------------------------------------------------------------


def inside(root: Path, name: str) -> Path:
    """Return the path of a file of the bundle; names that lead out of it are refused."""
    parts = name.split("/")
    if not name or "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        msg = f"expected the name of a file inside the bundle, found {name!a}"
        raise CannotJudgeError(msg)
    return root.joinpath(*parts)


def read_json(path: Path) -> Any:
    """Return a JSON file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        msg = f"expected JSON at {path}, found: {error}; unpack the bundle again"
        raise CannotJudgeError(msg) from error


def sha256(path: Path) -> str:
    """Return the digest of a file, read in pieces."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            state.update(piece)
    return state.hexdigest()


def check_digests(root: Path, bundle: Record) -> list[str]:
    """Return what is wrong with the files of the bundle; each failure starts with the name of the file."""
    rest = {key: value for key, value in bundle.items() if key != "seal"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    found = []
    if hashlib.sha256(text.encode()).hexdigest() != bundle.get("seal"):
        found.append("bundle.json: changed, its seal is not the digest of what it says")
    for entry in bundle["files"]:
        name = entry["name"]
        path = inside(root, name)
        if not path.is_file() or path.is_symlink():
            found.append(f"{name}: missing")
        elif path.stat().st_size != entry["bytes"]:
            found.append(f"{name}: expected {entry['bytes']} bytes, found {path.stat().st_size}")
        elif sha256(path) != entry["sha256"]:
            found.append(f"{name}: changed, its SHA-256 differs")
    return found


def golden(root: Path, file: Record) -> Any:
    """Return the array of one golden file."""
    try:
        return read_array(inside(root, file["npy"]))
    except CannotJudgeError as error:
        msg = "expected an array at {}, found: {}".format(file["npy"], error)
        raise CannotJudgeError(msg) from error


def read_array(path: Path) -> Any:
    """Return the numbers of a .npy file; the other kinds that numpy would take (zip, pickle, texts) are refused."""
    try:
        with path.open("rb") as content:
            mark = content.read(6)
            if mark != b"\x93NUMPY":
                found = repr(mark) if mark else "an empty file"
                raise CannotJudgeError(f"expected the mark of a .npy file, found {found}")
            content.seek(0)
            array = np.load(content, allow_pickle=False)
    except UNREADABLE as error:
        raise CannotJudgeError(" ".join(str(error).split()) or type(error).__name__) from error
    if array.dtype.kind not in "biufc":
        raise CannotJudgeError(f"expected numbers, found elements of {array.dtype}")
    return array


def check_golden(root: Path, component: Record, sample: Record) -> list[str]:
    """Return what is wrong with the golden files of one sample: shape, dtype, values."""
    specs = {"inputs": component["inputs"], "outputs": component["outputs"]}
    found = []
    for side, tensors in specs.items():
        if sorted(sample[side]) != sorted(tensor["name"] for tensor in tensors):
            found.append("{}: its {} are not those of the signature".format(sample["name"], side))
            continue
        for tensor in tensors:
            reason = wrong_golden(root, tensor, sample[side][tensor["name"]])
            if reason:
                found.append("{}: {}".format(sample[side][tensor["name"]]["npy"], reason))
    codes = "" if found else wrong_codes(root, component, sample)
    return [codes] if codes else found


def wrong_golden(root: Path, tensor: Record, file: Record) -> str:
    """Return why a golden file cannot be one of this tensor, or nothing."""
    array = golden(root, file)
    fits = len(array.shape) == len(tensor["shape"]) and all(
        isinstance(dim, str) or dim == size for dim, size in zip(tensor["shape"], array.shape)
    )
    if array.dtype.name != tensor["dtype"] or not fits or list(array.shape) != list(file["shape"]):
        return "expected {}{}, found {}{}".format(tensor["dtype"], tensor["shape"], array.dtype.name, list(array.shape))
    if array.dtype.kind == "f" and np.isnan(array).any():
        return "holds NaN"
    limits = tensor["value_range"]
    if limits and array.dtype.kind in "iu" and array.size and not limits[0] <= array.min() <= array.max() <= limits[1]:
        return f"expected values from {limits[0]:g} to {limits[1]:g}, found {array.min()} to {array.max()}"
    return ""


def wrong_codes(root: Path, component: Record, sample: Record) -> str:
    """Return why a codebook does not fit the golden files of a sample, or nothing."""
    if sorted(sample["vectors"]) != sorted(component["codes"]):
        return "{}: its vectors are not those of the codebooks".format(sample["name"])
    for name, codes in component["codes"].items():
        book, vectors = golden(root, codes["codebook"]), golden(root, sample["vectors"][name])
        states = golden(root, sample["outputs"][codes["states"]])
        indices = golden(root, sample["outputs"][name])
        numbers = indices.dtype.kind in "iu" and all(array.dtype.kind == "f" for array in (book, vectors, states))
        fits = states.shape == vectors.shape == indices.shape + book.shape[1:]
        if not numbers or book.ndim != 2 or not book.size or not fits:
            return "{}: expected codes for {} of sample {}".format(codes["codebook"]["npy"], name, sample["name"])
    return ""


def little(array: Any) -> Any:
    """Return the array in C order and little-endian."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def write_raw(root: Path, picked: list[tuple[Record, Record]], folder: Path) -> str:
    """Write the arrays of samples and of calibration as raw files, and return how many there are, in words.

    ``golden/NAME.npy`` becomes ``golden/NAME.bin``; ``calibration/COMPONENT/INPUT.npy`` one file for each of its runs,
    ``calibration/COMPONENT/INPUT/000.bin``.
    """
    components = {component["name"]: component for component, _ in picked}
    groups = [sample[side] for _, sample in picked for side in ("inputs", "outputs", "relevant", "vectors")]
    files = [file["npy"] for group in groups for file in group.values()]
    files += [codes["codebook"]["npy"] for component in components.values() for codes in component["codes"].values()]
    arrays: list[tuple[str, str, int | None]] = [(name[: -len(".npy")] + ".bin", name, None) for name in files]
    for component in components.values():
        for name in component["calibration"]["stacked"].values():
            runs = range(component["calibration"]["count"])
            arrays += [("{}/{:03}.bin".format(name[: -len(".npy")], run), name, run) for run in runs]
    for target, name, run in arrays:
        array = golden(root, {"npy": name})
        path = inside(folder, target)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(little(array if run is None else array[run]).tobytes())
    return f"{len(arrays)} raw files written into {folder}"


# --- judging ---------------------------------------------------------------------------------------------------------


def measure(expected: Any, found: Any, tolerance: Record) -> Numbers:
    """Return how far two arrays of one shape are apart, in float64; integers must be equal unless they may be apart."""
    if not tolerance["atol"] and expected.dtype.kind not in "fc" and found.dtype.kind not in "fc":
        wrong = expected != found
        error = float(np.abs(expected.astype(np.float64) - found.astype(np.float64)).max()) if wrong.any() else 0.0
        return Numbers(error, math.inf if not wrong.any() else sqnr(expected, found), int(wrong.sum()), 0)
    with np.errstate(invalid="ignore", over="ignore"):
        golden_values, values = expected.astype(np.float64), found.astype(np.float64)
        error = np.abs(values - golden_values)
        finite = np.isfinite(golden_values) & np.isfinite(values)
        error[~finite] = np.inf
        error[~finite & (golden_values == values)] = 0.0
        size = np.where(np.isfinite(golden_values), np.abs(golden_values), 0.0)
        out = int((~(error <= tolerance["atol"] + tolerance["rtol"] * size)).sum())
    return Numbers(float(error.max()), sqnr(expected, found), out, int(np.isnan(values).sum()))


def sqnr(expected: Any, found: Any) -> float:
    """Return 10 log10(sum golden^2 / sum error^2) in decibels; infinite when equal, minus infinite for NaN."""
    signal = expected.astype(np.float64).reshape(-1)
    with np.errstate(invalid="ignore", over="ignore"):
        noise = found.astype(np.float64).reshape(-1) - signal
        power, error = float(signal @ signal), float(noise @ noise)
    if not math.isfinite(error) or not math.isfinite(power):
        return -math.inf
    if error == 0.0:
        return math.inf
    return 10 * math.log10(power / error) if power else -math.inf


def refuses(numbers: Numbers, tolerance: Record) -> bool:
    """Return whether the numbers fail."""
    least = tolerance["min_sqnr_db"]
    return numbers.out > 0 or (least is not None and not numbers.sqnr_db >= least)


def words(tolerance: Record) -> str:
    """Return a tolerance in a few words."""
    if not tolerance["atol"] and not tolerance["rtol"]:
        return "exact but for near ties" if tolerance["near_ties"] else "exact"
    least = tolerance["min_sqnr_db"]
    return "atol {:g} rtol {:g}".format(tolerance["atol"], tolerance["rtol"]) + (f" SQNR >= {least:g}" if least else "")


class Case(NamedTuple):
    """One output to judge: what is expected, how far it may be off, and what else it could be taken for."""

    component: Record
    sample: Record
    tensor: Record
    expected: Any
    relevant: Any
    others: dict[str, Any]
    precision: str
    allow_cast: bool
    near_ties: int = 0

    @property
    def tolerance(self) -> Record:
        """The tolerance of the precision that was asked for."""
        tolerances: Record = self.component["tolerances"][self.tensor["name"]]
        if self.precision not in tolerances:
            msg = "expected a precision of {}, found {}".format(", ".join(tolerances), self.precision)
            raise ArgumentsError(msg)
        chosen: Record = tolerances[self.precision]
        return chosen


def judge(case: Case, found: Any | None, note: str = "") -> Row:
    """Return the verdict on one output; ``note`` says what was wrong already when it was read."""
    worst = Numbers(math.inf, -math.inf, case.expected.size, 0)
    if found is None:
        return row(case, worst, note)
    reason = "; ".join(filter(None, (note, wrong_form(case, found))))
    numbers = worst
    if found.size == case.expected.size:
        same = found.reshape(case.expected.shape)
        if case.relevant is not None:
            same = np.where(case.relevant, same, np.zeros((), same.dtype))
        numbers = measure(case.expected, same, case.tolerance)
        if refuses(numbers, case.tolerance):
            reason = "; ".join(filter(None, (reason, why(numbers, case.tolerance), diagnose(case, same))))
        elif reason:
            reason += "; its values in this order are right"
    return row(case, numbers, reason)


def row(case: Case, numbers: Numbers, reason: str) -> Row:
    """Return the row of the table; a reason is a failure."""
    return Row(
        component=case.component["name"],
        sample=case.sample["name"],
        output=case.tensor["name"],
        passed=not reason,
        max_abs_error=numbers.max_abs_error,
        sqnr_db=numbers.sqnr_db,
        mismatches=numbers.out,
        elements=int(case.expected.size),
        tolerance=words(case.tolerance) + (f" ({case.near_ties})" if case.near_ties else ""),
        note=reason,
    )


def wrong_form(case: Case, found: Any) -> str:
    """Return what is wrong with shape and dtype, or nothing."""
    reasons = []
    if found.shape != case.expected.shape:
        reasons.append(f"shape: expected {list(case.expected.shape)}, found {list(found.shape)}")
    same_kind = {found.dtype.kind, case.expected.dtype.kind} in ({"f"}, {"i"}, {"u"}, {"i", "u"})
    if found.dtype.name != case.expected.dtype.name and not (case.allow_cast and same_kind):
        cast = ", or pass --allow-cast" if same_kind else ""
        reasons.append(
            f"dtype: expected {case.expected.dtype.name}, found {found.dtype.name}: convert it before writing{cast}"
        )
    return "; ".join(reasons)


def why(numbers: Numbers, tolerance: Record) -> str:
    """Return which limit the numbers break."""
    if numbers.nans:
        return f"{numbers.nans} NaN"
    if not numbers.out:
        return "the error is systematic: SQNR {:.1f} dB is below {:g}".format(numbers.sqnr_db, tolerance["min_sqnr_db"])
    return f"{numbers.out} values beyond the tolerance"


def near_ties(expected: Any, found: Any, vectors: Any, book: Any, allowed: Record) -> Any:
    """Return where another code is as good: its vector lies near the plane halfway between the two codes.

    Near is a distance of at most ``allowed["distance"]`` times the root mean square of all vectors. If there are more
    such places than the share that is allowed, they are not excused.
    """
    inside = (np.minimum(expected, found) >= 0) & (np.maximum(expected, found) < len(book))
    near = (expected != found) & inside
    codes, vectors = book.astype(np.float64), vectors.astype(np.float64)
    one, other, point = codes[expected[near]], codes[found[near]], vectors[near]
    with np.errstate(invalid="ignore", over="ignore"):
        farther = ((point - other) ** 2).sum(-1) - ((point - one) ** 2).sum(-1)
        size = 2 * np.sqrt(((other - one) ** 2).sum(-1)) * math.sqrt((vectors**2).mean())
        near[near] = np.isfinite(size) & (np.abs(farther) <= allowed["distance"] * size)
    return near if near.sum() <= math.ceil(allowed["share"] * near.size) else np.zeros_like(near)


def verdicts(root: Path, judged: list[tuple[Case, Any | None, str]]) -> list[Row]:
    """Return the verdicts on the outputs of a sample; where codes fail, with the precision in which all would pass."""
    rows, first = decided(root, judged), judged[0][0]
    if not first.component["codes"] or all(row.passed for row in rows):
        return rows
    for name in first.component["tolerances"][first.tensor["name"]]:
        again = [(case._replace(precision=name), found, note) for case, found, note in judged]
        if all(row.passed for row in decided(root, again)):
            hint = f"; {suited(name)}"
            return [
                row if row.passed or hint in f"; {row.note}" else row._replace(note=row.note + hint) for row in rows
            ]
    return rows


def decided(root: Path, judged: list[tuple[Case, Any | None, str]]) -> list[Row]:
    """Return the verdicts on the outputs of a sample; what is expected follows where a near tie went the other way."""
    of = {case.tensor["name"]: (case, found) for case, found, _ in judged}
    changes: dict[str, tuple[Any, int]] = {}
    for name, codes in judged[0][0].component["codes"].items():
        case, found = of[name]
        allowed = case.tolerance["near_ties"]
        if not allowed or found is None or found.size != case.expected.size or found.dtype.kind not in "iu":
            continue
        same, book = found.reshape(case.expected.shape), golden(root, codes["codebook"])
        near = near_ties(case.expected, same, golden(root, case.sample["vectors"][name]), book, allowed)
        states = np.where(near[..., None], book[np.where(near, same, 0)], of[codes["states"]][0].expected)
        changes[name] = np.where(near, same, case.expected).astype(case.expected.dtype), int(near.sum())
        changes[codes["states"]] = states.astype(of[codes["states"]][0].expected.dtype), 0
    rows = []
    for case, found, note in judged:
        expected, count = changes.get(case.tensor["name"], (case.expected, 0))
        rows.append(judge(case._replace(expected=expected, near_ties=count), found, note))
    return rows


# --- diagnosis -------------------------------------------------------------------------------------------------------


def diagnose(case: Case, found: Any) -> str:
    """Return the likeliest mistake behind an output that fails, or nothing."""
    if found.size and (found == found.reshape(-1)[0]).all():
        return f"every value is {found.reshape(-1)[0]:g}: the device wrote nothing, or another buffer was read"
    with np.errstate(all="ignore"):
        swapped = explains(case.expected, found.byteswap())
        if found.size <= DIAGNOSED and not explains(case.expected, found):
            for name, meant in meanings(found):
                if explains(case.expected, meant):
                    return f"the bytes are those of {name}: write {case.expected.dtype.name}"
        if found.dtype.kind == "f" and not np.isfinite(found).all() and not swapped:
            place = tuple(int(axis) for axis in np.argwhere(~np.isfinite(found))[0])
            return f"the first value that is not finite stands at {place}; float16 overflows at 65504"
        if swapped or found.size > DIAGNOSED or explains(case.expected, found):
            return "the bytes are big-endian, expected little-endian" if swapped else precision_of(case, found)
        reasons = (text for text, expected, candidate in explanations(case, found) if explains(expected, candidate))
        return next(reasons, "") or precision_of(case, found)


def explains(expected: Any, candidate: Any) -> bool:
    """Return whether a transformed output is the golden one, roundings aside."""
    if expected.size == 0:
        return False
    if expected.dtype.kind == "f":
        return sqnr(expected, candidate) >= EXPLAINED_DB
    return bool((expected == candidate).mean() >= EXPLAINED_EQUAL)


def meanings(found: Any) -> Iterator[tuple[str, Any]]:
    """Yield the elements as another dtype of the same size: a raw file does not say which one a device wrote."""
    found = np.ascontiguousarray(found, found.dtype.newbyteorder("="))
    if found.dtype.name == "int32":
        yield "float32", found.view(np.float32)
    elif found.dtype.name == "float32":
        yield "int32", found.view(np.int32)
    elif found.dtype.name == "float16":
        yield "bfloat16", (found.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def explanations(case: Case, found: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield what could have happened, and the two arrays that are then equal; the likeliest first."""
    expected = case.expected
    for name, other in case.others.items():
        if other.shape == expected.shape and not np.array_equal(other, expected):
            yield f"these are the values of {name}", other, found
    if found.dtype.kind in "fi":
        yield "the sign is changed", expected, -found
    yield from orders(case, found)
    for axis in range(expected.ndim):
        yield f"axis {axis} is reversed{channels(case, axis)}", expected, np.flip(found, axis)
    yield from shifts(expected, found)
    if expected.dtype.kind == "f":
        yield from scales(expected, found.astype(np.float64))


def channels(case: Case, axis: int) -> str:
    """Return what a reversed axis of channels means."""
    layout = case.tensor["layout"]
    return ": BGR for RGB" if axis < len(layout) and layout[axis] == "C" and case.expected.shape[axis] == 3 else ""


def orders(case: Case, found: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the output read in every other order of its axes."""
    expected, letters = case.expected, case.tensor["layout"]
    rank = expected.ndim
    if not 2 <= rank <= 5:
        return
    for order in itertools.permutations(range(rank)):
        if order == tuple(range(rank)):
            continue
        stored = found.reshape([expected.shape[axis] for axis in order])
        if len(letters) == rank:
            text = "layout: stored as {}, expected {}".format("".join(letters[axis] for axis in order), letters)
        else:
            text = f"layout: its axes are stored in the order {order}"
        yield text, expected, stored.transpose(np.argsort(order))


def shifts(expected: Any, found: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the output moved by a few elements, flat and along each axis; what falls off is left out."""
    flat = expected.reshape(-1), found.reshape(-1)
    for step in SHIFTS:
        if abs(step) * 2 < flat[0].size:
            yield f"shifted by {step:+d} elements", *overlap(flat[0], flat[1], 0, step)
    for axis in range(expected.ndim):
        for step in SHIFTS:
            if abs(step) * 2 <= expected.shape[axis]:
                yield f"shifted by {step:+d} along axis {axis}", *overlap(expected, found, axis, step)


def overlap(expected: Any, found: Any, axis: int, step: int) -> tuple[Any, Any]:
    """Return the parts of both that would coincide if ``found`` were shifted by ``step`` along an axis."""
    size = expected.shape[axis]
    first = [slice(None)] * expected.ndim
    second = list(first)
    first[axis] = slice(0, size - step) if step > 0 else slice(-step, size)
    second[axis] = slice(step, size) if step > 0 else slice(0, size + step)
    return expected[tuple(first)], found[tuple(second)]


def scales(expected: Any, found: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the output after the best line through it: another value range, or a forgotten mean."""
    spread = float(found.var())
    if not spread > 0 or not math.isfinite(spread):
        return
    slope = float(((found - found.mean()) * (expected - expected.mean())).mean()) / spread
    offset = float(expected.mean()) - slope * float(found.mean())
    if abs(slope - 1) > 0.02 or abs(offset) > 0.02 * (float(np.abs(expected).max()) or 1.0):
        yield f"scaled: golden = {slope:.4g} * found {offset:+.4g}", expected, slope * found + offset


def precision_of(case: Case, found: Any) -> str:
    """Return which coarser precision the error fits, or nothing."""
    tolerances = case.component["tolerances"][case.tensor["name"]]
    for name, tolerance in tolerances.items():
        if tolerance != case.tolerance and not refuses(measure(case.expected, found, tolerance), tolerance):
            return suited(name)
    return ""


def suited(precision: str) -> str:
    """Return the advice to judge by a coarser precision."""
    return f"it is within the tolerance of {precision}: pass --precision {precision} if the model was compiled so"


# --- outputs that a device wrote -------------------------------------------------------------------------------------


def places(folder: Path, case: Case, alone: tuple[bool, bool]) -> list[Path]:
    """Return the folders that may hold the outputs of a sample; ``alone``: the only component, the only sample."""
    component, sample = case.component["name"], case.sample["name"]
    found = [folder / component / sample]
    found += [folder / sample] if alone[0] else []
    found += [folder / component] if alone[1] else []
    return found + ([folder] if all(alone) else [])


def usual_place(folder: Path, case: Case, alone: tuple[bool, bool]) -> Path:
    """Return the folder where an output that is missing would be looked for: beside the others of its sample."""
    found = places(folder, case, alone)
    return next((place for place in found if any(place.glob("*.npy")) or any(place.glob("*.bin"))), found[0])


def find_output(folder: Path, case: Case, alone: tuple[bool, bool]) -> Path | None:
    """Return the file of one output, by its name or else by its number."""
    names = [tensor["name"] for tensor in case.component["outputs"]]
    name = str(case.tensor["name"])
    number = names.index(name)
    for place in places(folder, case, alone):
        for path in (place / (name + ".npy"), place / (name + ".bin")):
            if path.is_file():
                return path
        numbered = sorted(place.glob(f"*_{number}.npy")) or sorted(place.glob(f"*_{number}.bin"))
        if len(numbered) == 1:
            return numbered[0]
    return None


def read_output(path: Path, expected: Any) -> tuple[Any | None, str]:
    """Return an output as it was written, and what is wrong with the file itself."""
    if path.suffix == ".npy":
        try:
            return read_array(path), ""
        except CannotJudgeError as error:
            return None, f"{path.name} is no array: {error}"
    content = path.read_bytes()
    if len(content) == expected.nbytes:
        return np.frombuffer(content, expected.dtype.newbyteorder("<")).reshape(expected.shape), ""
    for name in WRONG_DTYPES:
        dtype = np.dtype(name).newbyteorder("<")
        if dtype.kind == expected.dtype.kind and len(content) == expected.size * dtype.itemsize:
            return np.frombuffer(content, dtype).reshape(expected.shape), ""
    wanted = f"{expected.nbytes} bytes ({expected.dtype.name}{list(expected.shape)})"
    return None, f"size: expected {wanted}, found {len(content)}"


# --- runtimes --------------------------------------------------------------------------------------------------------


def load(*modules: str) -> Any:
    """Return the first module that is installed."""
    for module in modules:
        with contextlib.suppress(ImportError):
            return importlib.import_module(module)
    raise CannotJudgeError(f"expected the runtime {' or '.join(modules)}, found none that can be imported")


def onnxruntime(model: Path, component: Record, options: Any) -> Runner:
    """Return a runner of ONNX Runtime, by the provider that was asked for."""
    return by_provider(options.provider or USUAL_PROVIDER, model, component)


def onnxruntime_cann(model: Path, component: Record, options: Any) -> Runner:
    """Return a runner of ONNX Runtime on an Ascend NPU."""
    del options
    return by_provider("CANNExecutionProvider", model, component)


def onnxruntime_migraphx(model: Path, component: Record, options: Any) -> Runner:
    """Return a runner of ONNX Runtime on an AMD GPU or a Hygon DCU."""
    del options
    return by_provider("MIGraphXExecutionProvider", model, component)


def by_provider(wanted: str, model: Path, component: Record) -> Runner:
    """Return a runner of ONNX Runtime; a session that leaves all or some of its nodes to the CPU is refused."""
    runtime = load("onnxruntime")
    settings = runtime.SessionOptions()
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")  # float32, as the standard says
    if wanted != USUAL_PROVIDER:
        settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    if wanted not in runtime.get_available_providers():
        msg = "expected {}, found {}".format(wanted, ", ".join(runtime.get_available_providers()))
        raise CannotJudgeError(msg)
    session = runtime.InferenceSession(str(model), settings, providers=[wanted])
    if list(session.get_providers())[:1] != [wanted]:
        msg = f"expected a session on {wanted}, found it fell back to {session.get_providers()}"
        raise CannotJudgeError(msg)
    names = [tensor["name"] for tensor in component["outputs"]]
    return lambda inputs: dict(zip(names, session.run(names, inputs)))


def litert(model: Path, component: Record, options: Any) -> Runner:
    """Return a runner of LiteRT, the TFLite runtime or TensorFlow, whichever is there."""
    del options
    module = load("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite")
    interpreter = module.Interpreter(str(model))
    interpreter.allocate_tensors()
    run = interpreter.get_signature_runner("serving_default")
    names = [tensor["name"] for tensor in component["outputs"]]

    def call(inputs: Arrays) -> Arrays:
        found = run(**inputs)
        return {name: np.asarray(found[name]) for name in names if name in found}

    return call


def ascend(model: Path, component: Record, options: Any) -> Runner:
    """Return a runner of an Ascend .om: through ais_bench where that is installed, else through pyACL."""
    found = load("ais_bench.infer.interface", "acl")
    return (ais_bench if hasattr(found, "InferSession") else acl)(model, component, options)


def ais_bench(model: Path, component: Record, options: Any) -> Runner:
    """Return a runner of an Ascend .om through ais_bench: inputs by name where the file kept them, else by order."""
    session = load("ais_bench.infer.interface").InferSession(options.device or 0, str(model))
    return by_order(component, named(session.get_inputs()), lambda arrays: session.infer(arrays, mode="static"))


def acl(model: Path, component: Record, options: Any) -> Runner:
    """Return a runner of an Ascend .om of static shapes through pyACL, CANN's own binding."""
    session = AclSession(load("acl"), model, options.device or 0)
    return by_order(component, [], session.infer)


class AclSession:
    """One .om on the device. Every call of pyACL returns a code, and none raises."""

    def __init__(self, binding: Any, model: Path, device: int) -> None:
        self.acl = binding
        code = binding.init()
        self.check("init", 0 if code == ACL_ALREADY else code)
        self.check("rt.set_device", binding.rt.set_device(device))
        self.context = self.made("rt.create_context", binding.rt.create_context(device))
        self.model = self.made("mdl.load_from_file", binding.mdl.load_from_file(str(model)))
        self.desc = binding.mdl.create_desc()
        self.check("mdl.get_desc", binding.mdl.get_desc(self.desc, self.model))
        self.feeds, self.results = self.dataset("input"), self.dataset("output")

    def infer(self, arrays: list[Any]) -> list[Any]:
        """Return the outputs in the order of the file; a buffer that the device leaves alone stays NaN or -1."""
        mdl, memory = self.acl.mdl, self.acl.rt
        if len(arrays) != len(self.feeds[1]):
            raise CannotJudgeError(f"expected {len(self.feeds[1])} inputs for the .om, found {len(arrays)}")
        for array, (pointer, size) in zip(arrays, self.feeds[1]):
            if array.nbytes != size:
                raise CannotJudgeError(f"expected an input of {size} bytes for the .om, found {array.nbytes}")
            self.check("rt.memcpy", memory.memcpy(pointer, size, array.ctypes.data, size, ACL_TO_DEVICE))
        for pointer, size in self.results[1]:
            self.check("rt.memset", memory.memset(pointer, size, ACL_UNWRITTEN, size))
        self.check("mdl.execute", mdl.execute(self.model, self.feeds[0], self.results[0]))
        found = []
        for number, (pointer, size) in enumerate(self.results[1]):
            dims = self.made("mdl.get_output_dims", mdl.get_output_dims(self.desc, number))["dims"]
            array = np.empty([int(dim) for dim in dims], ACL_DTYPES[mdl.get_output_data_type(self.desc, number)])
            if array.nbytes > size:
                raise CannotJudgeError(f"expected output {number} in {size} bytes, found {array.nbytes}")
            copied = memory.memcpy(array.ctypes.data, array.nbytes, pointer, array.nbytes, ACL_TO_HOST)
            self.check("rt.memcpy", copied)
            found.append(array)
        return found

    def dataset(self, side: str) -> tuple[Any, list[tuple[int, int]]]:
        """Return a data set with a buffer on the device for each tensor, and where those are."""
        mdl = self.acl.mdl
        found, buffers = mdl.create_dataset(), []
        for number in range(getattr(mdl, f"get_num_{side}s")(self.desc)):
            size = int(getattr(mdl, f"get_{side}_size_by_index")(self.desc, number))
            pointer = self.made("rt.malloc", self.acl.rt.malloc(size, 0))
            buffer = self.acl.create_data_buffer(pointer, size)
            self.made("mdl.add_dataset_buffer", mdl.add_dataset_buffer(found, buffer))
            buffers.append((pointer, size))
        return found, buffers

    def made(self, call: str, found: tuple[Any, int]) -> Any:
        """Return the value of a call that went well."""
        self.check(call, found[1])
        return found[0]

    def check(self, call: str, code: int) -> None:
        """Return if a call went well."""
        if code != 0:
            raise CannotJudgeError(f"expected acl.{call} to return 0, found {code}")


def migraphx(model: Path, component: Record, options: Any) -> Runner:
    """Return a runner of MIGraphX on the GPU, of an .mxr file or an ONNX one."""
    del options
    runtime = load("migraphx")
    if model.suffix == ".mxr":
        program = runtime.load(str(model))
    else:
        program = runtime.parse_onnx(str(model))
        program.compile(runtime.get_target("gpu"))
    names = [tensor["name"] for tensor in component["outputs"]]

    def call(inputs: Arrays) -> Arrays:
        given = {name: runtime.argument(array) for name, array in inputs.items()}
        return dict(zip(names, (np.array(result) for result in program.run(given))))

    return call


def compass(model: Path, component: Record, options: Any) -> Runner:
    """Return a runner of Compass's own executor on the CPU, of NAME.txt as parsed or NAME_o.txt as quantised."""
    del options
    module = load("AIPUBuilder.Optimizer.tools.optimizer_forward")
    executor = module.OptForward(str(model), str(model.with_suffix(".bin")))
    dtypes = [np.dtype(tensor["dtype"]) for tensor in component["outputs"]]

    def call(arrays: list[Any]) -> list[Any]:
        given = [array.astype(np.int32) if array.dtype == np.int64 else array for array in arrays]
        found = list(executor.forward(given, transfer_to_float=True))
        return [
            as_promised(np.asarray(array), dtype) for array, dtype in itertools.zip_longest(found, dtypes[: len(found)])
        ]

    return by_order(component, [], call)


def as_promised(array: Any, dtype: Any) -> Any:
    """Return what a quantised model gives as floats in the promised dtype, where that changes no number."""
    cast = array.astype(dtype or array.dtype)
    return cast if np.array_equal(cast, array) else array


def named(ports: Any) -> list[str]:
    """Return the names of a file's inputs as a runtime tells them."""
    return [str(port.name) for port in ports]


def by_order(component: Record, order: list[str], run: Callable[[list[Any]], list[Any]]) -> Runner:
    """Return a runner by name of a function that takes and gives lists, the inputs in ``order`` where it fits."""
    inputs = [tensor["name"] for tensor in component["inputs"]]
    outputs = [tensor["name"] for tensor in component["outputs"]]
    if sorted(order) == sorted(inputs):
        inputs = order

    def call(given: Arrays) -> Arrays:
        found = list(run([given[name] for name in inputs]))
        if len(found) != len(outputs):
            raise CannotJudgeError(f"expected the outputs {', '.join(outputs)}, found {len(found)} of them")
        return {name: np.asarray(array) for name, array in zip(outputs, found)}

    return call


RUNTIMES = {
    "acl": acl,
    "ais_bench": ais_bench,
    "ascend": ascend,
    "compass": compass,
    "litert": litert,
    "migraphx": migraphx,
    "onnxruntime": onnxruntime,
    "onnxruntime-cann": onnxruntime_cann,
    "onnxruntime-migraphx": onnxruntime_migraphx,
    "tflite": litert,
}
"""Name of a runner -> what opens a model. The names are those of lwmport's own runners, and some more."""
OTHER_NAMES = {"acl": "ascend", "ais_bench": "ascend", "tflite": "litert"}
"""Further names -> the runner that they are a part of, or another name for."""
TAKES = {
    "acl": (".om",),
    "ais_bench": (".om",),
    "ascend": (".om",),
    "compass": (".txt",),
    "litert": (".tflite",),
    "migraphx": (".onnx", ".mxr"),
    "onnxruntime": (".onnx", ".ort"),
    "onnxruntime-cann": (".onnx",),
    "onnxruntime-migraphx": (".onnx",),
    "tflite": (".tflite",),
}
"""Runner -> how the files end that it opens."""
TAKERS = {
    "model": tuple(RUNTIMES),
    "save": tuple(RUNTIMES),
    "provider": ("onnxruntime",),
    "device": ("ascend", "ais_bench", "acl"),
}
"""Option -> the runners that take it."""


# --- the command -----------------------------------------------------------------------------------------------------


def cases(root: Path, component: Record, sample: Record, options: Any) -> list[Case]:
    """Return the outputs of a sample that are to be judged."""
    files = {"output {} of sample {}".format(name, other["name"]): file
             for other in component["samples"] for name, file in other["outputs"].items()}  # fmt: skip
    others = {name: golden(root, file) for name, file in files.items()}
    for name, file in sample["inputs"].items():
        others[f"input {name}"] = golden(root, file)
    return [
        Case(
            component,
            sample,
            tensor,
            golden(root, sample["outputs"][tensor["name"]]),
            golden(root, sample["relevant"][tensor["name"]]) if tensor["name"] in sample["relevant"] else None,
            others,
            options.precision or component["precision"],
            options.allow_cast,
        )
        for tensor in component["outputs"]
    ]


def judge_folder(root: Path, picked: list[tuple[Record, Record]], options: Any) -> list[Row]:
    """Return the verdicts on the outputs in a folder."""
    folder = Path(options.outputs)
    if not folder.is_dir():
        msg = f"expected a folder of outputs, found {folder}"
        raise CannotJudgeError(msg)
    alone = (len({part["name"] for part, _ in picked}) == 1, len({sample["name"] for _, sample in picked}) == 1)
    rows = []
    for component, sample in picked:
        judged: list[tuple[Case, Any | None, str]] = []
        for case in cases(root, component, sample, options):
            path = find_output(folder, case, alone)
            if path is None:
                place = usual_place(folder, case, alone) / case.tensor["name"]
                judged.append((case, None, f"{UNWRITTEN} {place}.npy or .bin"))
            else:
                judged.append((case, *read_output(path, case.expected)))
        rows += verdicts(root, judged)
    return rows


def judge_runs(root: Path, picked: list[tuple[Record, Record]], options: Any, known: list[str]) -> list[Row]:
    """Return the verdicts on what the models give here."""
    models = models_of(root, picked, options, known)
    rows = []
    for _, group in itertools.groupby(picked, key=lambda pair: pair[0]["name"]):
        pairs = list(group)
        component = pairs[0][0]
        model = models[component["name"]]
        runner = attempt(lambda: RUNTIMES[options.runner](model, component, options))  # noqa: B023 - called at once
        for _, sample in pairs:
            inputs = {name: np.ascontiguousarray(golden(root, file)) for name, file in sample["inputs"].items()}
            found = attempt(lambda: runner(inputs))  # noqa: B023 - called at once
            if options.save:
                save(Path(options.save) / component["name"] / sample["name"], found)
            judged = []
            for case in cases(root, component, sample, options):
                missing = "" if case.tensor["name"] in found else "missing: the model has no such output"
                judged.append((case, found.get(case.tensor["name"]), missing))
            rows += verdicts(root, judged)
    return rows


def models_of(root: Path, picked: list[tuple[Record, Record]], options: Any, known: list[str]) -> dict[str, Path]:
    """Return the file of each component that is judged: the one that ``--model`` names, or the bundle's own."""
    found = {component["name"]: inside(root, component["model"]) for component, _ in picked}
    for name, file in compiled(options.model).items():
        if name not in known:
            raise ArgumentsError(f"expected --model of a component of the bundle ({', '.join(known)}), found {name}")
        if name in found:
            found[name] = Path(file)
    for name, model in found.items():
        if not model.exists():
            raise CannotJudgeError(f"expected the model of {name}, found no {model}")
        check_taken(options.runner, name, model)
    return found


def check_taken(runtime: str, name: str, model: Path) -> None:
    """Refuse a model of another runtime; a file that ends like none of them is left to the runtime."""
    ends = TAKES[runtime]
    others = [other for other, taken in TAKES.items() if model.suffix in taken and other not in OTHER_NAMES]
    if model.suffix not in ends and (others or model.suffix == ".pb"):
        hint = f"pass --runner {' or '.join(others)}, or " if others else ""
        raise ArgumentsError(
            f"expected a model that {runtime} opens ({', '.join(ends)}) for {name}, found {model}; "
            f"{hint}name the compiled file: --model {name}=FILE{ends[0]}"
        )


def compiled(given: list[str]) -> dict[str, str]:
    """Return what ``--model`` says: the file of each component that it names."""
    found: dict[str, str] = {}
    for text in given:
        name, _, file = text.partition("=")
        if not name or not file:
            raise ArgumentsError(f"expected --model COMPONENT=FILE, found {text}")
        if name in found:
            raise ArgumentsError(f"expected one --model of {name}, found {found[name]} and {file}")
        found[name] = file
    return found


def check_unused(options: Any) -> None:
    """Refuse options that would change nothing: what was not run must not look as if it had been."""
    for name, runtimes in TAKERS.items():
        if getattr(options, name) not in (None, []) and options.runner not in runtimes:
            among = "--runner" if len(runtimes) == len(RUNTIMES) else f"--runner {' or '.join(runtimes)}"
            found = f"--runner {options.runner}" if options.runner else "none"
            raise ArgumentsError(f"expected {among} beside --{name}, found {found}; add it, or leave --{name} out")
    compiled(options.model)


def attempt(work: Callable[[], Any]) -> Any:
    """Return what a runtime gives; whatever it raises costs one line."""
    try:
        return work()
    except CannotJudgeError:
        raise
    except Exception as error:  # runtimes raise dozens of unrelated types
        msg = "the runtime failed: {}".format(" ".join(str(error).split())[:400])
        raise CannotJudgeError(msg) from error


def save(folder: Path, arrays: Arrays) -> None:
    """Write outputs as .npy files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(str(folder / (name + ".npy")), array)


def pick(spec: Record, options: Any) -> list[tuple[Record, Record]]:
    """Return the components and samples that were asked for."""
    names = [component["name"] for component in spec["components"]]
    for asked in options.component:
        if asked not in names:
            msg = "expected a component of {}, found {}".format(", ".join(names), asked)
            raise ArgumentsError(msg)
    found = [
        (component, sample)
        for component in spec["components"]
        if not options.component or component["name"] in options.component
        for sample in component["samples"]
        if not options.sample or sample["name"] in options.sample
    ]
    if not found:
        msg = "expected a sample of the bundle, found no {}".format(", ".join(options.sample))
        raise ArgumentsError(msg)
    return found


def table(rows: list[Row]) -> list[str]:
    """Return the verdicts as lines of a table; what failed says why."""
    head = ("verdict", "component", "sample", "output", "max error", "SQNR dB", "mismatches", "tolerance")
    cells = [head] + [
        (
            "PASSED" if found.passed else "FAILED",
            found.component,
            found.sample,
            found.output,
            f"{found.max_abs_error:.3g}",
            f"{found.sqnr_db:.1f}",
            f"{found.mismatches} of {found.elements}",
            found.tolerance,
        )
        for found in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]
    for number in reversed(range(len(rows))):
        if rows[number].note:
            lines.insert(number + 2, "        " + rows[number].note)
    return lines


class Parser(argparse.ArgumentParser):
    """The command line; what is wrong in it is told like whatever else cannot be judged."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print and exit with."""
        raise ArgumentsError(f"{message}; see: python verify.py --help")


def arguments(words_given: list[str] | None) -> Any:
    """Return the parsed command line."""
    parser = Parser(
        prog="verify.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    work = parser.add_mutually_exclusive_group()
    work.add_argument("--outputs", metavar="DIR", help="judge the outputs in this folder")
    work.add_argument("--raw", metavar="DIR", help="write the arrays as raw files too: C order, little-endian")
    work.add_argument("--runner", "--run", choices=sorted(RUNTIMES), help="what runs the models")
    parser.add_argument("--model", action="append", default=[], metavar="COMPONENT=FILE", help="run a compiled file")
    parser.add_argument("--provider", help=f"of ONNX Runtime (default: {USUAL_PROVIDER})")
    parser.add_argument("--device", type=int, help="of ascend: the number of the card (default: 0)")
    parser.add_argument("--save", metavar="DIR", help="write what the models give, as .npy")
    parser.add_argument("--component", action="append", default=[], help="judge only this one; may be repeated")
    parser.add_argument("--sample", action="append", default=[], help="judge only this one; may be repeated")
    parser.add_argument("--precision", help="what the model was compiled for: float32, float16, bfloat16")
    parser.add_argument("--allow-cast", action="store_true", help="take another dtype of the same kind")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="the models may take (default: %(default)s)")
    parser.add_argument(IN_CHILD, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print one JSON document, of an error too")
    return parser.parse_args(words_given)


def verify(root: Path, options: Any) -> tuple[list[str], list[Row], list[str]]:
    """Return the failures of files, the verdicts on outputs, and what was checked."""
    check_unused(options)
    bundle, said = read_json(root / "bundle.json"), []
    try:
        failures = check_digests(root, bundle)
        total = sum(file["bytes"] for file in bundle["files"])
        said.append(f"{len(bundle['files'])} files, {total} bytes")
        if failures:
            return failures, [], said
        spec = read_json(root / "spec.json")
        picked = pick(spec, options)
        known = [component["name"] for component in spec["components"]]
        for component, sample in picked:
            failures += check_golden(root, component, sample)
        said.append(f"{len(picked)} golden samples")
        if failures:
            return failures, [], said
        if options.raw:
            said.append(write_raw(root, picked, Path(options.raw)))
        if options.outputs:
            return failures, judge_folder(root, picked, options), said
        if options.runner:
            return failures, judge_runs(root, picked, options, known), said
        said.append("no output was judged: pass --outputs or --runner")
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, IndexError) as error:
        msg = f"expected the records of a bundle in bundle.json and spec.json, found no {error}"
        raise CannotJudgeError(msg) from error
    return failures, [], said


def verdict_of(failures: list[str], rows: list[Row]) -> str:
    """Return passed, failed, or not judged where a device has written none of the outputs."""
    if not failures and rows and all(found.note.startswith(UNWRITTEN) for found in rows):
        return "not judged"
    return "failed" if failures or not all(found.passed for found in rows) else "passed"


def show(failures: list[str], rows: list[Row], said: list[str], as_json: bool) -> None:  # noqa: FBT001 - a flag
    """Print the verdict."""
    verdict = verdict_of(failures, rows)
    if as_json:
        numbers = [
            {key: value if not isinstance(value, float) or math.isfinite(value) else str(value)
             for key, value in found._asdict().items()} for found in rows
        ]  # fmt: skip
        document = {"status": verdict, "failures": failures, "outputs": numbers}
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
        return
    lines = ["FAILED  " + failure for failure in failures] + (table(rows) if rows else [])
    ending = [] if verdict == "passed" else [f"{len(failures) + sum(not found.passed for found in rows)} failures"]
    lines.append(f"{verdict.upper()}  {', '.join([*said, *ending])}")
    sys.stdout.write("\n".join(map(printable, lines)) + "\n")


def main(words_given: list[str] | None = None, root: Path | None = None) -> int:
    """Judge the bundle in the folder of this file; return the exit code."""
    try:
        options = arguments(words_given)
        failures, rows, said = verify(root or Path(__file__).resolve().parent, options)
    except (CannotJudgeError, OSError, MemoryError) as error:
        given = sys.argv[1:] if words_given is None else words_given
        return cannot(str(error) or type(error).__name__, given, getattr(error, "code", CANNOT))
    show(failures, rows, said, options.json)
    return {"passed": PASSED, "failed": FAILED, "not judged": CANNOT}[verdict_of(failures, rows)]


def bound_memory(runtime: str) -> None:
    """Let a runtime on the processor take what is free now: a model can ask for more than there is, and for all of it.

    Only Linux says what is free, and only its newer kernels count all memory that can be written (RLIMIT_DATA).
    """
    with contextlib.suppress(ImportError, OSError, ValueError, StopIteration):
        import resource

        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if runtime in ("onnxruntime", "litert", "tflite") and soft == resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_DATA, (free, hard))


def watched(words_given: list[str], seconds: int) -> int:
    """Run this file again in a process of its own, and return its exit code, or say how it ended instead."""
    own = [sys.executable, *(["-S"] if sys.flags.no_site else []), __file__]
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen([*own, *words_given, IN_CHILD], env={**os.environ, **paths})  # noqa: S603 - this file
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        return cannot(
            f"expected the models to end within {seconds} s, found them still at work; "
            f"if they are only slow, pass --seconds with more", words_given)  # fmt: skip
    except KeyboardInterrupt:
        return 130
    finally:
        process.kill()
        process.wait()
    if code >= 0:
        return code
    known = {int(number): number.name for number in signal.Signals}
    return cannot(f"the runtime died of {known.get(-code, -code)}: it cannot run this model", words_given)


def script() -> int:
    """Judge the bundle in the folder of this file; what runs a model does so in a process that is watched."""
    words_given = sys.argv[1:]
    try:
        options = arguments(words_given)
    except CannotJudgeError:
        return main()  # which says what is wrong
    if options.runner and not options.in_child:
        return watched(words_given, options.seconds)
    if options.runner:
        bound_memory(options.runner)
    with contextlib.suppress(KeyboardInterrupt):
        return main()
    return 130


if __name__ == "__main__":
    sys.exit(script())
