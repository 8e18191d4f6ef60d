"""ONNX through TensorFlow: a program and its weights become ``NAME.onnx`` by way of a SavedModel and tf2onnx."""

from collections import Counter
from pathlib import Path
from typing import Any, Final

import onnx

import lwmport
from lwmport import atomic, disk
from lwmport.choices import metadata, of_source
from lwmport.converters.saved_model.convert import convert as convert_to_saved_model
from lwmport.converters.saved_model.convert import weight_bytes
from lwmport.converters.tf2onnx_route.process import run_worker
from lwmport.errors import LoweringError
from lwmport.extras import installed, require
from lwmport.graphs.program import Program
from lwmport.types import Artifact, Dialect, Progress, Signature, Weights

LIMIT: Final = 2**31 - 1
"""Bytes of the largest model that tf2onnx and onnxsim pass to each other as one protocol buffer."""

MEMORY: Final = (4 * 2**30, 16)
"""Bytes for the tools themselves, and times the weights: the bound of their process.

Measured: 6.2 GB for 0.24 GB of weights, 7.6 GB for 0.35 GB; the peak is TensorFlow's constant folding.
"""

TIMEOUT: Final = 1800
"""Seconds after which the process is ended."""


def convert(program: Program, weights: Weights, dialect: Dialect, out: Path, progress: Progress) -> Artifact:
    """Write the program as an ONNX model into the folder ``out``, through tf2onnx and onnxsim.

    The signature is that of the direct route, so that both answer the same inputs and can be compared.

    Raises:
        LoweringError: the program holds an operation that plain TensorFlow operators or tf2onnx cannot express, or
            weights of more than 2 GiB.
        PortError: the process took too long or too much memory.
        MissingExtraError: TensorFlow, tf2onnx or onnxsim is not installed.
    """
    for module in ("tf2onnx", "onnxsim"):
        if not installed(module):
            require(module)
    size = weight_bytes(program)
    if size > LIMIT:
        raise LoweringError(
            f"expected weights of at most {LIMIT} bytes (2 GiB, one protocol buffer) for tf2onnx, found {size} in "
            f"{program.component}; use the direct route to ONNX"
        )
    path = out / f"{program.component}.onnx"
    with atomic.os_errors(out), atomic.scratch_folder(path) as scratch, disk.blamed(out, size):
        between = convert_to_saved_model(program, weights, dialect, scratch, progress)
        request = _request(program, weights, dialect, between.path, scratch)
        run_worker(request, scratch, TIMEOUT)
        files = [made.replace(out / made.name) for made in sorted(Path(request["path"]).parent.iterdir())]
    return _artifact(program, dialect, path, files)


def _request(program: Program, weights: Weights, dialect: Dialect, saved_model: Path, scratch: Path) -> dict[str, Any]:
    """Return what the worker is to do, as JSON values."""
    base, times = MEMORY
    folder = scratch / "onnx"
    folder.mkdir()
    return {
        "name": program.component,
        "memory_bytes": base + times * weight_bytes(program),
        "metadata": {f"lwmport.{name}": text for name, text in metadata(of_source(weights.source)).items()},
        "opset": dialect.opset,
        "path": str(folder / f"{program.component}.onnx"),
        "producer": ["lwmport", lwmport.__version__],
        "raw": str(scratch / "raw.onnx"),
        "saved_model": str(saved_model),
        "signature": _plain(program.signature),
    }


def _plain(signature: Signature) -> dict[str, Any]:
    sides = {"inputs": signature.inputs, "outputs": signature.outputs}
    return {
        side: [{"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype} for spec in specs]
        for side, specs in sides.items()
    }


def _artifact(program: Program, dialect: Dialect, path: Path, files: list[Path]) -> Artifact:
    model = onnx.load(path, load_external_data=False)
    counts = Counter(node.op_type for node in model.graph.node)
    return Artifact(
        component=program.component,
        format="onnx",
        dialect=dialect.name,
        path=path,
        files=tuple(files),
        signature=program.signature,
        operators=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        details={"opset": dialect.opset, "via": "tf2onnx", "program": program.digest},
    )
