"""The process that runs tf2onnx and onnxsim: ``python -m lwmport.converters.tf2onnx_route.worker REQUEST.json``.

A process of its own, because both take memory that follows the model, and both may end without an exception.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import onnx

from lwmport.converters.tf2onnx_route.canonical import make_canonical
from lwmport.converters.tf2onnx_route.signature import impose
from lwmport.extras import require

INLINE_BYTES: Final = 1024
"""Smaller constants stay inside the graph, as in the direct route."""

UNUSED: Final = ("jax", "torch")
"""Frameworks that TensorFlow and onnxsim import where they find them, and need for nothing that is done here.

They took 3 of the 7 seconds that the process needs before its work begins.
"""


def main(arguments: Sequence[str]) -> None:
    """Do what the request says: convert the SavedModel, simplify it, give it the signature, write it."""
    request = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    _limit_memory(request["memory_bytes"])
    for name in UNUSED:
        sys.modules[name] = None  # type: ignore[assignment]  # an import fails, as where it is not installed
    raw, path = Path(request["raw"]), Path(request["path"])
    _tf2onnx(request, raw)
    model = _simplified(onnx.load(raw))
    raw.unlink()
    impose(model, request["signature"])
    make_canonical(model.graph)
    model.producer_name, model.producer_version = request["producer"]
    model.graph.name = request["name"]
    onnx.helper.set_model_props(model, request["metadata"])
    _write(model, path)


def _limit_memory(size: int) -> None:
    """Bound what the process may allocate; a larger request fails, and with it the process."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def _tf2onnx(request: Mapping[str, Any], output: Path) -> None:
    """Run tf2onnx's own command line, for it alone takes the names of the signature over."""
    require("tensorflow")
    require("tf2onnx")
    from tf2onnx import convert

    _optimize_without_copies()
    words = {
        "--saved-model": request["saved_model"],
        "--tag": "serve",
        "--signature_def": "serving_default",
        "--opset": str(request["opset"]),
        "--output": str(output),
    }
    sys.argv = ["tf2onnx", *(word for pair in words.items() for word in pair)]
    convert.main()


def _optimize_without_copies() -> None:
    """Let tf2onnx write weights into nodes once, at the end, rather than after each of its 24 passes.

    Passes work on nodes, not on their protocol buffers, and those never give back what was once written into them:
    237 MB of weights took 5.6 GB more.
    """
    from tf2onnx import optimizer
    from tf2onnx.graph import Graph

    optimize, write = optimizer.optimize_graph, Graph.update_proto

    def lean(*args: Any, **options: Any) -> Any:
        Graph.update_proto = lambda *_: None
        try:
            return optimize(*args, **options)
        finally:
            Graph.update_proto = write

    optimizer.optimize_graph = lean


def _simplified(model: Any) -> Any:
    """Return what onnxsim makes of a model. Its trial run is left out: outputs are compared with JAX's later."""
    found, _ = require("onnxsim").simplify(model, check_n=0)
    return found


def _write(model: Any, path: Path) -> None:
    data = path.with_name(path.name + ".data")
    onnx.save_model(
        model,
        path,
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=data.name,
        size_threshold=INLINE_BYTES,
    )
    if data.exists():
        data.chmod(path.stat().st_mode)  # onnx lets nobody else read it


if __name__ == "__main__":
    main(sys.argv[1:])
