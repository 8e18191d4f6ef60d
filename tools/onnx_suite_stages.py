"""What is done with one file of the suite. Runs as a child: a line in is a task as JSON, a line out what came of it."""

import json
import os
import resource
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx_suite_files as files

TARGETS: Final = ("ascend", "aipu", "migraphx", "cpu")
MOST: Final = 8 * 2**30
"""Bytes of address space that a child may have."""

NEAR: Final = {"float16": 1e-2, "bfloat16": 5e-2}
"""dtype -> how far an output may be from the suite's own, of its largest value; `USUAL` for the others."""

USUAL: Final = 1e-3

OF_THE_MACHINE: Final = ("Failed to construct locale",)
"""What ONNX Runtime says where the machine lacks something: such a model is not judged."""

NO_NUMPY: Final = ("No corresponding Numpy type", "can't be converted to MLDataType")
"""What its bindings say of types that numpy has not: the model runs, and only its values cannot be passed."""


def main() -> None:
    """Answer each line."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST, MOST))
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    for line in sys.stdin:
        task = json.loads(line)
        answers.write(json.dumps(STAGES[task["stage"]](task), default=str) + "\n")
        answers.flush()


def check(task: Mapping[str, str]) -> dict[str, Any]:
    """Return each target's verdict, with the rules that the model breaks."""
    return {target: _checked(_run("check", task["model"], "--target", target)) for target in TARGETS}


def fix(task: Mapping[str, str]) -> dict[str, Any]:
    """Return whether a target's mended copy was written, and whether it computes what the suite's data say."""
    model, target = Path(task["model"]), task["target"]
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(task.get("keep") or f"{scratch}/mended.onnx")
        out.parent.mkdir(parents=True, exist_ok=True)
        said = _run("check", str(model), "--target", target, "--fix", "--out", str(out))
        if "preflights" not in said:
            return said
        return {**_checked(said), "truth": _truth(model, out)}


def compile_cpu(task: Mapping[str, str]) -> dict[str, Any]:
    """Return the verdict on compiling for a CPU, and whether the result computes what the suite's data say."""
    model = Path(task["model"])
    with tempfile.TemporaryDirectory() as scratch:
        said = _run("compile", str(model), "--target", "cpu", "--out", f"{scratch}/out")
        if "exit" in said:
            return said
        made = sorted((Path(scratch) / "out").rglob("*.optimised.onnx"))
        status = str(said.get("status", "")) or "unknown"
        truth = _truth(model, made[0]) if made else "nothing made"
        return {"status": status, "truth": truth, "said": [item["reason"] for item in said["compilations"]]}


def runtime(task: Mapping[str, str]) -> dict[str, Any]:
    """Return what ONNX Runtime does with a model: ``takes`` is whether it loads it and runs the suite's data."""
    model = Path(task["model"])
    truth = _truth(model, model)
    lacks = any(words in truth for words in OF_THE_MACHINE)
    return {"said": truth} if lacks else {"takes": not truth.startswith(("refused", "fails")), "said": truth}


STAGES: Final = {"check": check, "fix": fix, "compile": compile_cpu, "runtime": runtime}


def _run(*words: str) -> dict[str, Any]:
    """Return what a command prints as JSON, or how it ended: an ``error`` of ours, or a ``traceback``."""
    from click.testing import CliRunner

    from lwmport.cli.main import cli
    from lwmport.errors import PortError, UnmendedError

    ended = CliRunner().invoke(cli, [*words, "--json"], standalone_mode=False)
    if ended.exception is None:
        found: dict[str, Any] = json.loads(ended.stdout)
        return found
    if isinstance(ended.exception, UnmendedError):  # one line for users, a fault of ours here
        return {"exit": 70, "traceback": "".join(traceback.format_exception(ended.exception.__cause__)[-4:])[-1500:]}
    if isinstance(ended.exception, PortError | OSError | MemoryError):
        return {"exit": getattr(ended.exception, "exit_code", 3), "error": str(ended.exception)[:400]}
    return {"exit": 70, "traceback": "".join(traceback.format_exception(ended.exception)[-4:])[-1500:]}


def _checked(said: Mapping[str, Any]) -> dict[str, Any]:
    if "preflights" not in said:
        return dict(said)
    findings = [finding for preflight in said["preflights"] for finding in preflight["findings"]]
    rules = sorted({finding["rule"] for finding in findings if finding["severity"] == "error"})
    warned = sorted({finding["rule"] for finding in findings if finding["severity"] == "warning"})
    return {"status": said["status"], "errors": rules, "warnings": warned}


def _truth(model: Path, made: Path) -> str:
    """Return how a file does in ONNX Runtime on the data beside a model: equal, differs, refused, fails or no data."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(made), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - the bindings raise many kinds
        return f"refused: {error}"[:600]
    sets = files.data_sets(model)
    for inputs, outputs in sets:
        try:
            pairs = zip(session.get_inputs(), inputs, strict=False)
            given = {spec.name: _value(path, spec.type) for spec, path in pairs}
            wanted = [files.read(path, spec.type) for spec, path in zip(session.get_outputs(), outputs, strict=False)]
        except Exception as error:  # noqa: BLE001 - onnx has no values of some of its own types
            return f"no data: {error}"[:300]
        try:
            found = _outputs(session, given)
        except Exception as error:  # noqa: BLE001 - the bindings raise many kinds
            unseen = any(words in str(error) for words in NO_NUMPY)
            return f"{'no data' if unseen else 'fails'}: {error}"[:600]
        worst = max((_distance(*pair) for pair in zip(wanted, found, strict=False)), default=0.0)
        if worst > 1:
            return f"differs: {worst:.3g} times as far off as allowed"
    return "equal" if sets else "no data"


def _value(path: Path, kind: str) -> Any:
    import onnx
    import onnxruntime

    value = files.read(path, kind)
    name = getattr(getattr(value, "dtype", None), "name", "")
    if name.startswith(("bfloat16", "float8")) or (name == "uint16" and kind == "tensor(bfloat16)"):
        number = onnx.TensorProto.BFLOAT16 if name == "uint16" else onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
        plain = value.view(np.uint16 if value.dtype.itemsize == 2 else np.uint8)
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(plain, number)
    return value


def _outputs(session: Any, given: Mapping[str, Any]) -> Sequence[Any]:
    import onnxruntime

    if not any(isinstance(value, onnxruntime.OrtValue) for value in given.values()):
        found: Sequence[Any] = session.run(None, dict(given))
        return found
    own = {
        name: value if isinstance(value, onnxruntime.OrtValue) else onnxruntime.OrtValue.ortvalue_from_numpy(value)
        for name, value in given.items()
    }
    return [value.numpy() for value in session.run_with_ort_values(None, own)]


def _distance(wanted: Any, found: Any) -> float:
    """Return how far two values are apart, 1 for what is allowed; infinite for another shape or kind."""
    if wanted is None or found is None:
        return 0.0 if wanted is found else float("inf")
    if isinstance(wanted, list | tuple):
        pairs = list(zip(wanted, found, strict=False))
        return max((_distance(*pair) for pair in pairs), default=0.0) if len(wanted) == len(found) else float("inf")
    return _between(np.asarray(wanted), np.asarray(found))


def _between(wanted: Any, found: Any) -> float:
    """Return the same for two arrays."""
    if wanted.shape != found.shape:
        return float("inf")
    if wanted.dtype.kind in "OSU" or found.dtype.kind in "OSU":
        return 0.0 if np.array_equal(wanted.astype(str), found.astype(str)) else float("inf")
    near = NEAR.get(wanted.dtype.name, USUAL)
    try:
        left, right = wanted.astype(np.complex128), found.astype(np.complex128)
    except (TypeError, ValueError):
        return 0.0  # a type of a few bits, which the runtime returns packed
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    if same.all():
        return 0.0
    finite = np.isfinite(left)
    peak = max(float(np.abs(left[finite]).max(initial=0)), 1e-6)
    error = float(np.abs(left - right)[~same].max(initial=0))
    return error / (near * peak) if np.isfinite(error) else float("inf")


if __name__ == "__main__":
    main()
