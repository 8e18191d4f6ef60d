"""The checker inside a bundle, with nothing but numpy: what it passes, and that it fails each mistake by its name."""

import ast
import ctypes
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lwmport.handoff import standalone
from lwmport.runtime.registry import RUNNERS
from lwmport.types import Array

ALONE = """
import runpy, sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + [sys.argv[1]]
sys.argv[:] = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="session")
def numpy_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds numpy and nothing else."""
    folder = tmp_path_factory.mktemp("numpy")
    installed = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (installed / name).exists():
            (folder / name).symlink_to(installed / name)
    return folder


@pytest.fixture
def alone(unpacked: Path, numpy_alone: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return ``alone(*words)``: the bundle's verify.py in a Python that can import numpy and the standard library."""

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        script = [sys.executable, "-I", "-S", "-c", ALONE, str(numpy_alone), str(unpacked / "verify.py")]
        return subprocess.run([*script, *map(str, words)], capture_output=True, text=True, check=False, cwd="/")

    return run


def write(folder: Path, arrays: Mapping[str, Array], *, raw: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        if raw:
            array.tofile(folder / f"{name}.bin")
        else:
            np.save(folder / f"{name}.npy", array)
    return folder


def golden(unpacked: Path, sample: str = "000") -> dict[str, Array]:
    folder = unpacked / "golden/small" / sample / "outputs"
    return {path.stem: np.load(path) for path in sorted(folder.glob("*.npy"))}


def judged(capsys: pytest.CaptureFixture[str], unpacked: Path, *words: str | Path) -> tuple[int, Any]:
    """Return the exit code and the document of the checker, run in this process."""
    capsys.readouterr()
    code = standalone.main([*map(str, words), "--json"], unpacked)
    said = capsys.readouterr()
    document = json.loads(said.out)
    if "error" not in document:
        return code, document
    status = "not judged" if code == 3 else "error"
    assert document == {"status": status, "error": said.err[len("error: ") : -1], "exit_code": code}
    return code, said.err


def test_it_is_old_python_and_imports_numpy_alone() -> None:
    source = Path(standalone.__file__).read_text(encoding="utf-8")
    tree = ast.parse(source, feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names) == {"numpy"}
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not calls & {"eval", "exec", "compile", "__import__"}
    assert "allow_pickle=True" not in source


def test_alone_it_passes_on_the_bundle(alone: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = alone()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("PASSED")


def test_alone_it_has_no_runtime(alone: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = alone("--run", "onnxruntime")
    assert done.returncode == 3
    assert done.stderr == "error: expected the runtime onnxruntime, found none that can be imported\n"


@pytest.mark.parametrize("raw", [False, True], ids=["npy", "bin"])
def test_alone_it_judges_outputs(
    *, raw: bool, alone: Callable[..., subprocess.CompletedProcess[str]], unpacked: Path, tmp_path: Path
) -> None:
    for sample in ("000", "001"):
        write(tmp_path / "out/small" / sample, golden(unpacked, sample), raw=raw)
    done = alone("--outputs", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.count("PASSED") == 7
    changed = {**golden(unpacked), "pixels": -golden(unpacked)["pixels"]}
    write(tmp_path / "out/small/000", changed, raw=raw)
    done = alone("--outputs", tmp_path / "out")
    assert done.returncode == 1
    assert "the sign is changed" in done.stdout


def test_alone_a_changed_byte_fails(alone: Callable[..., subprocess.CompletedProcess[str]], unpacked: Path) -> None:
    model = unpacked / "models/small.onnx"
    model.write_bytes(b"no Model")
    done = alone()
    assert done.returncode == 1
    assert "models/small.onnx: changed" in done.stdout


def of(name: str, change: Callable[[Array], Array]) -> Callable[[dict[str, Array]], dict[str, Array]]:
    return lambda arrays: {**arrays, name: change(arrays[name])}


def _nan(array: Array) -> Array:
    array = array.copy()
    array.flat[5] = np.nan
    return array


def _noisy(array: Array) -> Array:
    return array + np.random.default_rng(0).normal(0, 3e-3, array.shape).astype(np.float32)


SABOTAGE: dict[str, tuple[Callable[[dict[str, Array]], dict[str, Array]], str]] = {
    "sign": (of("pixels", np.negative), "the sign is changed"),
    "shifted": (of("pixels", lambda a: np.roll(a.reshape(-1), 3).reshape(a.shape)), r"shifted by \+3 elements"),
    "shifted back": (of("codes", lambda a: np.roll(a.reshape(-1), -1).reshape(a.shape)), "shifted by -1 elements"),
    "shifted along an axis": (of("pixels", lambda a: np.roll(a, 1, 2)), r"shifted by \+"),
    "stored as NCHW": (
        of("pixels", lambda a: a.transpose(0, 3, 1, 2).reshape(a.shape)),
        "stored as NCHW, expected NHWC",
    ),
    "NCHW": (of("pixels", lambda a: a.transpose(0, 3, 1, 2)), "stored as NCHW, expected NHWC"),
    "transposed": (of("codes", lambda a: a.transpose(0, 2, 1)), "stored as NWH, expected NHW"),
    "BGR": (of("pixels", lambda a: a[..., ::-1]), "axis 3 is reversed: BGR for RGB"),
    "upside down": (of("pixels", lambda a: a[:, ::-1]), "axis 1 is reversed"),
    "NaN": (of("pixels", _nan), r"1 NaN; the first value that is not finite stands at \(0, 0, 1, 2\)"),
    "infinite": (of("logits", lambda a: np.where(a == a.max(), np.float32(np.inf), a)), "float16 overflows"),
    "float16": (of("pixels", lambda a: a.astype(np.float16)), "dtype: expected float32, found float16"),
    "int64": (of("codes", lambda a: a.astype(np.int64)), "dtype: expected int32, found int64"),
    "float codes": (of("codes", lambda a: a.astype(np.float32)), "dtype: expected int32, found float32"),
    "bytes": (of("pixels", lambda a: ((a + 1) * 127.5).astype(np.uint8)), "dtype: expected float32, found uint8"),
    "big-endian": (of("pixels", lambda a: a.byteswap()), "big-endian"),
    "another range": (of("pixels", lambda a: (a + 1) / 2), "scaled: golden = 2 "),
    "zeros": (of("logits", np.zeros_like), "every value is 0"),
    "other values": (of("logits", lambda a: np.sin(a * 50)), "28 values beyond the tolerance"),
    "another sample": (of("codes", lambda _: _codes()), "these are the values of output codes of sample 001"),
    "one code": (of("codes", lambda a: a + (np.arange(24) == 7).reshape(a.shape).astype(np.int32)), "1 values beyond"),
    "coarse": (of("pixels", _noisy), "within the tolerance of float16: pass --precision float16"),
    "flat": (
        of("pixels", lambda a: a.reshape(-1)),
        r"shape: expected \[1, 8, 8, 3\], found \[192\]; its values in this",
    ),
    "cut": (of("pixels", lambda a: a[:, :7]), r"shape: expected \[1, 8, 8, 3\], found \[1, 7, 8, 3\]"),
    "missing": (lambda arrays: {name: arrays[name] for name in arrays if name != "codes"}, "missing: expected .*codes"),
}


def _codes() -> Array:
    """Return the codes of sample 001, as the bundle's fixture draws them."""
    random = np.random.default_rng(1)
    random.uniform(-1, 1, (1, 8, 8, 3))
    return random.integers(0, 1000, (1, 6, 4)).astype(np.int32)


@pytest.mark.parametrize("name", SABOTAGE)
def test_every_mistake_fails_by_its_name(
    name: str, unpacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, reason = SABOTAGE[name]
    write(tmp_path / "out", change(golden(unpacked)))
    code, found = judged(capsys, unpacked, "--outputs", tmp_path / "out", "--sample", "000")
    failed = [row for row in found["outputs"] if not row["passed"]]
    assert code == 1
    assert len(failed) == 1, found
    assert re.search(reason, failed[0]["note"]), failed[0]["note"]


RAW: dict[str, tuple[Callable[[Array], Array], str]] = {
    "float16": (lambda a: a.astype(np.float16), "dtype: expected float32, found float16"),
    "float64": (lambda a: a.astype(np.float64), "dtype: expected float32, found float64: .*; its values in this order"),
    "NCHW": (lambda a: a.transpose(0, 3, 1, 2).copy(), "stored as NCHW, expected NHWC"),
    "cut": (lambda a: a[:, :7].copy(), "size: expected 768 bytes"),
    "bfloat16": (lambda a: (a.view(np.uint32) >> 16).astype(np.uint16), "the bytes are those of bfloat16"),
}


@pytest.mark.parametrize("name", RAW)
def test_every_mistake_of_a_raw_file_fails_by_its_name(
    name: str, unpacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, reason = RAW[name]
    arrays = golden(unpacked)
    write(tmp_path / "out", {**arrays, "pixels": change(arrays["pixels"])}, raw=True)
    code, found = judged(capsys, unpacked, "--outputs", tmp_path / "out", "--sample", "000")
    (failed,) = (row for row in found["outputs"] if not row["passed"])
    assert code == 1
    assert re.search(reason, failed["note"]), failed["note"]


def test_a_raw_file_of_codes_as_floats_fails_by_its_dtype(
    unpacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = {name: array.astype(np.float32) for name, array in golden(unpacked).items()}
    write(tmp_path / "out", arrays, raw=True)
    _, found = judged(capsys, unpacked, "--outputs", tmp_path / "out", "--sample", "000")
    codes = next(row for row in found["outputs"] if row["output"] == "codes")
    assert "the bytes are those of float32: write int32" in codes["note"]


def _saved(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _zipped() -> bytes:
    file = io.BytesIO()
    np.savez(file, pixels=np.zeros((1, 8, 8, 3), np.float32))
    return file.getvalue()


NO_ARRAYS: dict[str, bytes] = {
    "empty": b"",
    "a broken zip": b"PK\x03\x04" + bytes(40),
    "a zip": _zipped(),
    "a pickle": b"\x80\x04K\x01.",
    "cut": _saved(np.zeros((1, 8, 8, 3), np.float32))[:200],
    "the mark alone": b"\x93NUMPY",
    "no closing bracket": _saved(np.zeros((1, 8, 8, 3), np.float32)).replace(b"}", b" "),
    "texts": _saved(np.full((1, 8, 8, 3), "1.5")),
    "records": _saved(np.zeros((1, 8, 8, 3), "f4,f4")),
    "dates": _saved(np.zeros((1, 8, 8, 3), "M8[s]")),
    "a size without end": _saved(np.zeros((1, 8, 8, 3), np.float32)).replace(b"(1, 8, 8, 3), }", b"(1<<60,), }    "),
    "an open bracket": _saved(np.zeros((1, 8, 8, 3), np.float32)).replace(b"(1, 8, 8, 3), }", b"(1, 8, 8, 3,   "),
    "more than there is memory": _saved(np.zeros((1, 8, 8, 3), np.float32)).replace(
        b"(1, 8, 8, 3), }      ", b"(99999999999999,), }"[:21].ljust(21)
    ),
}


@pytest.mark.parametrize("name", NO_ARRAYS)
def test_a_file_that_holds_no_numbers_fails_in_one_line(
    name: str, unpacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "out", golden(unpacked))
    (folder / "pixels.npy").write_bytes(NO_ARRAYS[name])
    code, found = judged(capsys, unpacked, "--outputs", folder, "--sample", "000")
    assert code == 1, found
    (failed,) = (row for row in found["outputs"] if not row["passed"])
    assert re.fullmatch(r"pixels\.npy is no array: .+", failed["note"]), failed["note"]


def test_padding_does_not_count(unpacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = golden(unpacked)
    arrays["logits"][:, 0] = 77
    write(tmp_path / "out", arrays)
    assert judged(capsys, unpacked, "--outputs", tmp_path / "out", "--sample", "000")[0] == 0
    arrays["logits"][:, 1] = 77
    write(tmp_path / "out", arrays)
    assert judged(capsys, unpacked, "--outputs", tmp_path / "out", "--sample", "000")[0] == 1


def test_a_small_systematic_error_fails(unpacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def sixty_db_missed(spec: Any) -> None:
        spec["components"][0]["tolerances"]["pixels"]["float32"] |= {"atol": 1.0, "min_sqnr_db": 60}

    _rewrite(unpacked, "spec.json", sixty_db_missed)
    _sealed(unpacked)
    for scale, code in ((1 + 5e-4, 0), (1 + 2e-3, 1)):
        write(tmp_path / "out", {**golden(unpacked), "pixels": golden(unpacked)["pixels"] * np.float32(scale)})
        found = judged(capsys, unpacked, "--outputs", tmp_path / "out", "--sample", "000")
        assert found[0] == code, found
    assert "the error is systematic: SQNR 54.0 dB is below 60" in found[1]["outputs"][0]["note"]


def _chosen(tied: Path, count: int, step: int = 1) -> dict[str, Array]:
    """Return outputs with another code, and its states, at some of the near ties."""
    arrays = golden(tied)
    book = np.load(tied / "golden/small/codebooks/codes.npy")
    for place in ((0, 0, 0), (0, 3, 2), (0, 5, 3))[:count]:
        arrays["codes"][place] += step
        arrays["states"][place] = book[arrays["codes"][place] % 1000]
    return arrays


def _rows(capsys: pytest.CaptureFixture[str], tied: Path, out: Path, precision: str) -> dict[str, Any]:
    _, found = judged(capsys, tied, "--outputs", out, "--sample", "000", "--precision", precision)
    return {row["output"]: row for row in found["outputs"]}


def test_near_ties_pass_in_float16_with_their_states(
    tied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = write(tmp_path / "out", _chosen(tied, 2))
    found = _rows(capsys, tied, out, "float16")
    assert all(row["passed"] for row in found.values()), found
    assert found["codes"]["tolerance"] == "exact but for near ties (2)"
    exact = _rows(capsys, tied, out, "float32")
    failed = {name: row["note"] for name, row in exact.items() if not row["passed"]}
    assert set(failed) == {"codes", "states"}
    assert all(note.endswith("pass --precision float16 if the model was compiled so") for note in failed.values())
    assert all(note.count("--precision") == 1 for note in failed.values())


TIES: dict[str, tuple[Callable[[Path], dict[str, Array]], set[str]]] = {
    "too many": (lambda tied: _chosen(tied, 3), {"codes", "states"}),
    "too far": (lambda tied: _chosen(tied, 1, step=2), {"codes", "states"}),
    "outside": (lambda tied: _chosen(tied, 1, step=1000), {"codes"}),
    "states of another code": (lambda tied: {**_chosen(tied, 1), "states": golden(tied)["states"]}, {"states"}),
    "no states": (lambda tied: {k: v for k, v in _chosen(tied, 1).items() if k != "states"}, {"states"}),
    "no codes": (lambda tied: {k: v for k, v in _chosen(tied, 1).items() if k != "codes"}, {"codes", "states"}),
    "codes of another shape": (lambda tied: {**golden(tied), "codes": np.zeros(3, np.int32)}, {"codes"}),
    "codes as floats": (
        lambda tied: {**golden(tied), "codes": golden(tied)["codes"].astype(np.float32)},
        {"codes"},
    ),
}


@pytest.mark.parametrize("name", TIES)
def test_what_is_no_near_tie_fails_in_float16(
    name: str, tied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, failing = TIES[name]
    found = _rows(capsys, tied, write(tmp_path / "out", change(tied)), "float16")
    assert {output for output, row in found.items() if not row["passed"]} == failing


VECTORS: dict[str, tuple[str, Array, str]] = {
    "vectors of another shape": (
        "golden/small/000/vectors/codes",
        np.zeros((1, 6, 4, 3), np.float32),
        "expected codes for",
    ),
    "a codebook of another width": ("golden/small/codebooks/codes", np.zeros((9, 3), np.float32), "expected codes for"),
    "a codebook of integers": ("golden/small/codebooks/codes", np.zeros((1000, 2), np.int32), "expected codes for"),
    "a flat codebook": ("golden/small/codebooks/codes", np.zeros(1000, np.float32), "expected codes for"),
    "an empty codebook": ("golden/small/codebooks/codes", np.zeros((0, 2), np.float32), "expected codes for"),
}


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_and_codebooks_are_held_against_the_codes(
    name: str, tied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stem, array, reason = VECTORS[name]
    np.save(tied / f"{stem}.npy", array)
    _sealed(tied)
    out = write(tied / "out", _chosen_from(tied))
    for words in ((), ("--outputs", out, "--sample", "000", "--precision", "float16")):
        code, found = judged(capsys, tied, *words)
        assert code == 1
        assert any(reason in failure for failure in found["failures"]), found


def _chosen_from(tied: Path) -> dict[str, Array]:
    arrays = golden(tied)
    arrays["codes"][0, 0, 0] += 1
    return arrays


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1" + 400 * "0"])
def test_a_limit_that_is_no_number_costs_one_line(number: str, tied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tied / "spec.json"
    spec.write_text(spec.read_text().replace('"share": 0.08333333333333333', f'"share": {number}'))
    assert number in spec.read_text()
    _sealed(tied)
    out = write(tied / "out", _chosen_from(tied))
    code, _ = judged(capsys, tied, "--outputs", out, "--sample", "000", "--precision", "float16")
    assert code in {1, 3}


def test_raw_files_are_made_on_demand(tied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not list(tied.rglob("*.bin"))
    code, found = judged(capsys, tied, "--raw", tmp_path / "raw")
    assert (code, found["status"]) == (0, "passed")
    made = {path.relative_to(tmp_path / "raw").as_posix() for path in (tmp_path / "raw").rglob("*.bin")}
    arrays = {path.relative_to(tied).as_posix()[:-4] for path in tied.glob("golden/**/*.npy")}
    assert made == {f"{name}.bin" for name in arrays} | {"calibration/small/x/000.bin"}
    for name in arrays:
        array = np.load(tied / f"{name}.npy")
        assert (tmp_path / f"raw/{name}.bin").read_bytes() == array.tobytes()
    assert judged(capsys, tied, "--raw", tied)[0] == 0
    assert judged(capsys, tied)[0] == 0, "raw files beside the others change nothing"
    assert judged(capsys, tied, "--outputs", tied / "golden/small/000/outputs", "--sample", "000")[0] == 0


def test_the_bundle_with_codes_passes(tied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert judged(capsys, tied)[0] == 0


def test_a_coarser_precision_and_a_cast_can_be_asked_for(
    unpacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = golden(unpacked)
    arrays |= {name: arrays[name].astype(np.float16) for name in ("pixels", "logits")}
    write(tmp_path / "out", arrays)
    words = ("--outputs", tmp_path / "out", "--sample", "000", "--precision", "float16")
    assert judged(capsys, unpacked, *words)[0] == 1
    assert judged(capsys, unpacked, *words, "--allow-cast")[0] == 0


def test_files_may_be_called_by_number(unpacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = ("pixels", "codes", "logits")
    write(tmp_path / "out", {f"x_{order.index(name)}": array for name, array in golden(unpacked).items()}, raw=True)
    assert judged(capsys, unpacked, "--outputs", tmp_path / "out", "--sample", "000")[0] == 0


def _rewrite(unpacked: Path, name: str, change: Callable[[Any], None]) -> None:
    value = json.loads((unpacked / name).read_text())
    change(value)
    (unpacked / name).write_text(json.dumps(value, indent=1) + "\n")


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed file": (lambda folder: (folder / "spec.json").write_text("{}"), "spec.json: expected"),
    "missing file": (lambda folder: (folder / "models/small.onnx").unlink(), "models/small.onnx: missing"),
    "longer file": (
        lambda folder: (folder / "models/small.onnx").write_bytes(b"no model "),
        "expected 8 bytes, found 9",
    ),
    "linked file": (
        lambda folder: (
            os.replace(folder / "models/small.onnx", folder / "m"),  # noqa: PTH105 - one expression
            (folder / "models/small.onnx").symlink_to(folder / "m"),
        ),
        "models/small.onnx: missing",
    ),
    "changed record": (
        lambda folder: _rewrite(folder, "bundle.json", lambda value: value.update(target="ascend")),
        "bundle.json: changed",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_every_damage_fails_by_its_file(name: str, unpacked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage, reason = DAMAGE[name]
    damage(unpacked)
    code, found = judged(capsys, unpacked)
    assert code == 1
    assert any(reason in failure for failure in found["failures"]), found


def _sealed(unpacked: Path) -> None:
    """Make the digests right again, as somebody would who changes a bundle on purpose."""
    value = json.loads((unpacked / "bundle.json").read_text())
    for file in value["files"]:
        content = (unpacked / file["name"]).read_bytes()
        file |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    value.pop("seal")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    value["seal"] = hashlib.sha256(text.encode()).hexdigest()
    (unpacked / "bundle.json").write_text(json.dumps(value, indent=1) + "\n")


def _codes_file(unpacked: Path) -> Path:
    return unpacked / "golden/small/000/outputs/codes.npy"


GOLDEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "dtype": (lambda folder: np.save(_codes_file(folder), np.zeros((1, 6, 4), np.int64)), "found int64"),
    "shape": (lambda folder: np.save(_codes_file(folder), np.zeros((1, 4, 6), np.int32)), r"found int32\[1, 4, 6\]"),
    "NaN": (lambda folder: _change(folder, "pixels", np.full((1, 8, 8, 3), np.nan, np.float32)), "holds NaN"),
    "range": (
        lambda folder: _change(folder, "codes", np.full((1, 6, 4), 1000, np.int32)),
        "expected values from 0 to 999",
    ),
}


def _change(folder: Path, name: str, array: Array) -> None:
    np.save(folder / "golden/small/000/outputs" / f"{name}.npy", array)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_files_are_held_against_themselves(
    name: str, unpacked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, reason = GOLDEN[name]
    change(unpacked)
    _sealed(unpacked)
    code, found = judged(capsys, unpacked)
    assert code == 1
    assert any(re.search(reason, failure) for failure in found["failures"]), found


CANNOT: dict[str, tuple[tuple[str, ...], str]] = {
    "no folder": (("--outputs", "/nowhere"), "expected a folder of outputs"),
    "component": (("--component", "other"), "expected a component of small"),
    "sample": (("--sample", "9"), "expected a sample"),
    "precision": (("--outputs", "/", "--precision", "int4"), "expected a precision of float32, float16"),
    "model": (("--run", "onnxruntime", "--model", "small=/nowhere"), "found no /nowhere"),
    "model of another component": (
        ("--run", "onnxruntime", "--model", "smal=/"),
        "expected --model of a component of the bundle (small), found smal",
    ),
    "model of no component": (("--run", "onnxruntime", "--model", "x.onnx"), "COMPONENT=FILE, found x.onnx"),
    "model without a file": (("--run", "onnxruntime", "--model", "small="), "COMPONENT=FILE, found small="),
    "model without a name": (("--run", "onnxruntime", "--model", "=x.onnx"), "COMPONENT=FILE, found =x.onnx"),
    "runtime": (("--run", "tensorrt"), "invalid choice: 'tensorrt'"),
    "option": (("--modle", "small=/"), "unrecognized arguments: --modle small=/; see: python verify.py --help"),
    "model of another runtime": (
        ("--run", "tflite"),
        "pass --runner migraphx or onnxruntime or onnxruntime-cann or onnxruntime-migraphx, or name the compiled file",
    ),
    "two models": (("--run", "onnxruntime", "--model", "small=a", "--model", "small=b"), "found a and b"),
    "model without a runtime": (("--model", "small=/"), "expected --runner beside --model, found none"),
    "model beside outputs": (("--outputs", "/", "--model", "small=/"), "expected --runner beside --model, found none"),
    "save without a runtime": (("--save", "/"), "expected --runner beside --save, found none"),
    "provider without a runtime": (("--provider", "X"), "expected --runner onnxruntime beside --provider, found none"),
    "provider of another runtime": (
        ("--run", "tflite", "--provider", "X"),
        "expected --runner onnxruntime beside --provider, found --runner tflite",
    ),
    "device of another runtime": (
        ("--run", "onnxruntime", "--device", "0"),
        "expected --runner ascend or ais_bench or acl beside --device, found --runner onnxruntime",
    ),
}


@pytest.mark.parametrize("name", CANNOT)
def test_what_cannot_be_judged_costs_one_line(name: str, unpacked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, reason = CANNOT[name]
    code, said = judged(capsys, unpacked, *words)
    assert code == (3 if name in {"no folder", "model"} else 2)
    assert reason in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize("file", ["small.tflite", "small.om", "small.pb"])
def test_a_runtime_says_which_models_it_opens(file: str, unpacked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (unpacked / file).write_bytes(b"model")
    code, said = judged(capsys, unpacked, "--run", "onnxruntime", "--model", f"small={unpacked / file}")
    assert code == 2
    assert f"expected a model that onnxruntime opens (.onnx, .ort) for small, found {unpacked / file}; " in said
    names = {"small.tflite": "litert", "small.om": "ascend"}
    assert (f"pass --runner {names.get(file)}, or" in said) is (file in names)


def test_every_runtime_says_what_it_opens() -> None:
    assert standalone.TAKES.keys() == standalone.RUNTIMES.keys()


OFFERED = {name: spec.suffixes for name, spec in RUNNERS.items() if spec.bundled}


def test_a_bundle_has_the_runners_of_the_registry_under_their_names() -> None:
    """The file travels alone, so its table is its own: this holds the two together."""
    own = {name: suffixes for name, suffixes in standalone.TAKES.items() if name not in standalone.OTHER_NAMES}
    assert own == OFFERED
    for name, runner in standalone.OTHER_NAMES.items():
        assert standalone.TAKES[name] == OFFERED[runner]


@pytest.mark.parametrize("name", [*OFFERED, *standalone.OTHER_NAMES])
@pytest.mark.parametrize("option", ["--runner", "--run"])
def test_either_word_names_a_runner(option: str, name: str) -> None:
    assert standalone.arguments([option, name]).runner == name


def test_a_missing_output_is_expected_in_its_place(
    unpacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    code, found = judged(capsys, unpacked, "--outputs", out)
    assert (code, found["status"]) == (3, "not judged"), "a device that wrote nothing has not failed"
    assert [row["note"] for row in found["outputs"]] == [
        f"missing: expected {out}/small/{sample}/{name}.npy or .bin"
        for sample in ("000", "001")
        for name in ("pixels", "codes", "logits")
    ]
    np.save(out / "pixels.npy", golden(unpacked)["pixels"])
    code, found = judged(capsys, unpacked, "--outputs", out, "--sample", "000")
    assert (code, found["status"]) == (1, "failed"), "one that wrote some of them has"
    assert found["outputs"][1]["note"] == f"missing: expected {out}/codes.npy or .bin"


def test_no_model_runs_before_all_are_known(
    unpacked: Path, device: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = stand_in(unpacked, ["CPUExecutionProvider"], ["CPUExecutionProvider"])
    runtime.InferenceSession = lambda *_, **__: pytest.fail("a session was opened")
    device("onnxruntime", runtime)
    code, said = judged(capsys, unpacked, "--run", "onnxruntime", "--model", "other=/")
    assert code == 2
    assert "found other" in said


def test_names_that_lead_out_are_refused(unpacked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (unpacked.parent / "secret").write_bytes(b"x")
    _rewrite(unpacked, "bundle.json", lambda value: value["files"][0].update(name="../secret"))
    code, said = judged(capsys, unpacked)
    assert code == 3
    assert "inside the bundle" in said


def test_without_a_bundle_there_is_nothing_to_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = judged(capsys, tmp_path)
    assert code == 3
    assert "expected JSON at" in said


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return ``device(name, module)``: pretend that a runtime is installed."""

    def install(name: str, module: Any) -> None:
        monkeypatch.setitem(sys.modules, name, module)

    return install


class Settings:
    """Session options that keep what they are told, for the test to read."""

    log_severity_level = 2

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def add_session_config_entry(self, key: str, value: str) -> None:
        self.entries[key] = value


def stand_in(unpacked: Path, given: list[str], fallen: list[str]) -> ModuleType:
    """Return what looks like ONNX Runtime: it gives the golden outputs of sample 000, on the providers ``fallen``.

    Unless told not to, it leaves nodes to the CPU without a word.
    """
    runtime: Any = ModuleType("onnxruntime")
    session = SimpleNamespace(
        get_providers=lambda: fallen, run=lambda names, _: [golden(unpacked)[name] for name in names]
    )
    runtime.SessionOptions = Settings
    runtime.get_available_providers = lambda: given

    def open_session(_model: str, settings: Settings, providers: list[str]) -> Any:
        session.forbids = settings.entries.get("session.disable_cpu_ep_fallback") == "1"
        assert settings.entries["session.qdq_matmulnbits_accuracy_level"] == "1"
        assert session.forbids is (providers != ["CPUExecutionProvider"])
        return session

    runtime.InferenceSession = open_session
    return runtime  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "runner",
    [("--run", "onnxruntime", "--provider", "CANNExecutionProvider"), ("--runner", "onnxruntime-cann")],
    ids=["provider", "runner"],
)
def test_a_session_that_fell_back_is_no_pass(
    runner: tuple[str, ...], unpacked: Path, device: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*runner, "--sample", "000")
    device("onnxruntime", stand_in(unpacked, ["CANNExecutionProvider"], ["CPUExecutionProvider"]))
    code, said = judged(capsys, unpacked, *words)
    assert code == 3
    assert "fell back to" in said
    device("onnxruntime", stand_in(unpacked, ["CPUExecutionProvider"], ["CPUExecutionProvider"]))
    code, said = judged(capsys, unpacked, *words)
    assert code == 3
    assert "expected CANNExecutionProvider, found CPUExecutionProvider" in said
    device("onnxruntime", stand_in(unpacked, ["CANNExecutionProvider"], ["CANNExecutionProvider"]))
    assert judged(capsys, unpacked, *words)[0] == 0


@pytest.mark.parametrize(("runner", "outputs"), [("ais_bench", 3), ("ascend", 3), ("ascend", 2)])
def test_ais_bench_goes_by_order(
    runner: str, outputs: int, unpacked: Path, device: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    order = ("pixels", "codes", "logits")[:outputs]

    class Session:
        def __init__(self, device_id: int, path: str) -> None:
            assert (device_id, Path(path).name) == (0, "small.om")

        def get_inputs(self) -> list[Any]:
            return [SimpleNamespace(name="another")]

        def infer(self, arrays: list[Array], mode: str) -> list[Array]:
            assert mode == "static"
            assert all(array.flags.c_contiguous for array in arrays)
            return [golden(unpacked)[name] for name in order]

    device("ais_bench.infer.interface", SimpleNamespace(InferSession=Session))
    (unpacked / "small.om").write_bytes(b"om")
    words = ("--run", runner, "--model", f"small={unpacked / 'small.om'}", "--sample", "000")
    code, said = judged(capsys, unpacked, *words)
    assert (code == 0) is (outputs == 3), said
    if outputs != 3:
        assert "found 2 of them" in said


@pytest.mark.parametrize("outputs", [3, 2])
def test_compass_gives_whole_numbers_as_floats(
    outputs: int, unpacked: Path, device: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its executor undoes the quantisation of every output; it takes 32 bits, and the file of weights beside."""

    class Executor:
        def __init__(self, text: str, weights: str) -> None:
            assert (Path(text).name, Path(weights).name) == ("small_o.txt", "small_o.bin")

        def forward(self, arrays: list[Array], *, transfer_to_float: bool) -> list[Array]:
            assert transfer_to_float
            assert all(array.dtype != np.int64 for array in arrays)
            made = [golden(unpacked)[name] for name in ("pixels", "codes", "logits")[:outputs]]
            return [array.astype(np.float32) for array in made]

    device("AIPUBuilder.Optimizer.tools.optimizer_forward", SimpleNamespace(OptForward=Executor))
    (unpacked / "small_o.txt").write_bytes(b"IR")
    words = ("--run", "compass", "--model", f"small={unpacked / 'small_o.txt'}", "--sample", "000")
    code, said = judged(capsys, unpacked, *words)
    assert (code == 0) is (outputs == 3), said
    if outputs != 3:
        assert "found 2 of them" in said


def test_what_a_runtime_raises_costs_one_line(
    unpacked: Path, device: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("[ONNXRuntimeError] : 7 :\n INVALID_PROTOBUF")

    runtime = stand_in(unpacked, ["CPUExecutionProvider"], ["CPUExecutionProvider"])
    runtime.InferenceSession = refuse
    device("onnxruntime", runtime)
    code, said = judged(capsys, unpacked, "--run", "onnxruntime")
    assert code == 3
    assert said == "error: the runtime failed: [ONNXRuntimeError] : 7 : INVALID_PROTOBUF\n"


class Acl:
    """pyACL as its documents say: codes instead of exceptions, pointers instead of arrays, buffers of bytes."""

    def __init__(self, outputs: list[Array], *, writes: bool = True, code: int = 0) -> None:
        self.outputs, self.writes, self.code, self.fed = outputs, writes, code, b""
        self.memory: list[Any] = []
        self.rt = self.mdl = self

    def init(self) -> int:
        return 100002

    def set_device(self, device: int) -> int:
        return device

    def create_context(self, _: int) -> tuple[int, int]:
        return 1, 0

    def load_from_file(self, _: str) -> tuple[int, int]:
        return 1, self.code

    def create_desc(self) -> int:
        return 1

    def get_desc(self, *_: int) -> int:
        return 0

    def get_num_inputs(self, _: int) -> int:
        return 1

    def get_num_outputs(self, _: int) -> int:
        return len(self.outputs)

    def get_input_size_by_index(self, *_: int) -> int:
        return 16

    def get_output_size_by_index(self, _: int, number: int) -> int:
        return self.outputs[number].nbytes

    def get_output_dims(self, _: int, number: int) -> tuple[dict[str, Any], int]:
        return {"dims": list(self.outputs[number].shape)}, 0

    def get_output_data_type(self, _: int, number: int) -> int:
        return {"float32": 0, "int32": 3}[self.outputs[number].dtype.name]

    def create_dataset(self) -> list[int]:
        return []

    def malloc(self, size: int, _: int) -> tuple[int, int]:
        self.memory.append((ctypes.c_char * size)())
        return ctypes.addressof(self.memory[-1]), 0

    def create_data_buffer(self, pointer: int, _: int) -> int:
        return pointer

    def add_dataset_buffer(self, dataset: list[int], buffer: int) -> tuple[list[int], int]:
        dataset.append(buffer)
        return dataset, 0

    def memcpy(self, target: int, room: int, source: int, count: int, _: int) -> int:
        assert count <= room
        ctypes.memmove(target, source, count)
        return 0

    def memset(self, pointer: int, _: int, value: int, count: int) -> int:
        ctypes.memset(pointer, value, count)
        return 0

    def execute(self, _: int, feeds: list[int], results: list[int]) -> int:
        self.fed = ctypes.string_at(feeds[0], 16)
        for pointer, array in zip(results, self.outputs, strict=True):
            if self.writes:
                ctypes.memmove(pointer, array.tobytes(), array.nbytes)
        return 0


@pytest.mark.parametrize("runner", ["acl", "ascend"])
def test_pyacl_runs_an_om(
    runner: str, unpacked: Path, device: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    (unpacked / "small.om").write_bytes(b"om")
    words = ("--run", runner, "--model", f"small={unpacked / 'small.om'}", "--sample", "001")
    outputs = [golden(unpacked, "001")[name] for name in ("pixels", "codes", "logits")]
    binding = Acl(outputs)
    device("acl", binding)
    assert judged(capsys, unpacked, *words)[0] == 0
    assert binding.fed == np.ones(4, np.float32).tobytes()
    device("acl", Acl(outputs, writes=False))
    code, found = judged(capsys, unpacked, *words)
    assert code == 1
    assert [row["passed"] for row in found["outputs"]] == [False] * 3
    device("acl", Acl(outputs, code=107002))
    code, said = judged(capsys, unpacked, *words)
    assert code == 3
    assert said == "error: expected acl.mdl.load_from_file to return 0, found 107002\n"


def test_inputs_go_in_the_order_of_the_file() -> None:
    component = {"inputs": [{"name": "a"}, {"name": "b"}], "outputs": [{"name": "y"}]}
    for order, expected in ((["b", "a"], [2, 1]), (["other", "names"], [1, 2])):
        run = standalone.by_order(component, order, lambda arrays: [np.array(arrays)])
        assert run({"a": 1, "b": 2})["y"].tolist() == expected


ENDS = {
    "a loop without an end": ("while True: pass", 1, "expected the models to end within 1 s, found them still at work"),
    "a death": ("import os; os.kill(os.getpid(), 8)", 60, "the runtime died of SIGFPE: it cannot run this model"),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_model_that_does_not_end_well_costs_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work, seconds, line = ENDS[name]
    script = tmp_path / "verify.py"
    script.write_text(work)
    monkeypatch.setattr(standalone, "__file__", str(script))
    assert standalone.watched(["--runner", "onnxruntime", "--json"], seconds) == 3
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {line}")
    assert said.err.count("\n") == 1
    assert json.loads(said.out)["exit_code"] == 3


def test_models_run_in_a_process_that_is_watched(unpacked: Path) -> None:
    words = [sys.executable, str(unpacked / "verify.py"), "--runner", "onnxruntime"]
    done = subprocess.run([*words, "--seconds", "0"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, done.stderr)
    assert "expected the models to end within 0 s" in done.stderr


def test_names_of_a_bundle_are_shown_printably(capsys: pytest.CaptureFixture[str]) -> None:
    standalone.show(["a\x1b[2J\u202eb: missing"], [], ["\x9b1 files"], as_json=False)
    standalone.cannot("no \x1b[2J\u202e file", [])
    said = capsys.readouterr()
    assert all(line.isprintable() for line in (said.out + said.err).splitlines())
    assert r"a\x1b[2J\u202eb: missing" in said.out
    assert said.err == "error: no \\x1b[2J\\u202e file\n"
