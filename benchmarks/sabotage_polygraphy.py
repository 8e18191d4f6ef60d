"""What Polygraphy's layerwise comparison finds: ``python sabotage_polygraphy.py CLEAN.onnx PLANTED.onnx INPUTS.npz``.

Both models run in ONNX Runtime with every tensor marked as an output, as ``polygraphy run --onnx-outputs mark all``
does; the first tensor in the order of the clean model that is not equal within its default tolerances is what a user
reads off. It prints JSON. Packages: polygraphy, onnx, onnxruntime; this project is not needed.
"""

import contextlib
import json
import resource
import sys
import time
from typing import Any

import numpy as np


def first_mismatch(clean: str, planted: str, inputs: str) -> dict[str, Any]:
    """Return the name of the first tensor that differs, None if none does, and what that took."""
    from polygraphy import constants
    from polygraphy.backend.onnx import BytesFromOnnx, ModifyOutputs, OnnxFromPath
    from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
    from polygraphy.comparator import Comparator, CompareFunc

    started = time.perf_counter()
    with np.load(inputs) as given:
        feeds = [dict(given)]
    runners = []
    for name, path in (("clean", clean), ("planted", planted)):
        marked = ModifyOutputs(OnnxFromPath(path), outputs=constants.MARK_ALL)
        runners.append(OnnxrtRunner(SessionFromOnnx(BytesFromOnnx(marked)), name=name))
    results = Comparator.run(runners, data_loader=feeds)
    compare = CompareFunc.simple(check_shapes=True, fail_fast=False)
    compared = Comparator.compare_accuracy(results, compare_func=compare)
    (pair,) = (compared if hasattr(compared, "values") else compared[0]).values()  # releases before 0.53 give no list
    found = next((name for name, equal in pair[0].items() if not equal), None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"tensor": found, "seconds": time.perf_counter() - started, "peak_bytes": peak}


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        told = first_mismatch(*sys.argv[1:4])
    print(json.dumps(told))
