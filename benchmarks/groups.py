"""One product with weights of 4 or 8 bits in ONNX Runtime, by the group: ``python benchmarks/groups.py``.

It prints ratios within one round, to groups of 32 with as many bits. Level 4 of MatMulNBits: what is multiplied is
rounded to 8 bits.
"""

import argparse
import time
from collections.abc import Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from measure import race, ratios
from tables import aligned

BITS, GROUPS = (4, 8), (32, 64, 128)
RUNS = 4
"""Runs of a turn."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Race all groups and print."""
    options = _parser().parse_args(arguments)
    rows = [["bits", "group", "ms, median (best)", "ratio, median (min-max)", "GB of weights a second, best"]]
    for bits in BITS:
        seconds = _raced(bits, options)
        for group, ratio in ratios(seconds, str(GROUPS[0])).items():
            own, nbytes = seconds[group], options.inputs * options.outputs * (bits / 8 + 4 / int(group))
            told = f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
            times = f"{1e3 * median(own):.2f} ({1e3 * min(own):.2f})"
            rows.append([str(bits), group, times, told, f"{nbytes / min(own) / 1e9:.1f}"])
    print(aligned(rows))


def _raced(bits: int, options: argparse.Namespace) -> dict[str, list[float]]:
    """Return the seconds of one product, by the group."""
    random = np.random.default_rng(0)
    given = {"a": random.standard_normal((options.rows, options.inputs), np.float32)}
    sessions = {str(group): _opened(bits, group, options) for group in GROUPS}
    for session in sessions.values():
        session.run(None, given)
    turns = {group: partial(_timed, session, given) for group, session in sessions.items()}
    return race(turns, options.rounds)


def _opened(bits: int, group: int, options: argparse.Namespace) -> Any:
    """Return a session of one MatMulNBits with made-up weights."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    inputs, outputs, random = options.inputs, options.outputs, np.random.default_rng(1)
    codes = random.integers(0, 256, (outputs, inputs // group, group * bits // 8), dtype=np.uint8)
    weights: dict[str, Any] = {"codes": codes, "scales": random.random(codes.shape[:2], np.float32)}
    sizes = {"K": inputs, "N": outputs, "bits": bits, "block_size": group, "accuracy_level": 4}
    node = helper.make_node("MatMulNBits", ["a", *weights], ["y"], domain="com.microsoft", **sizes)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size])
        for name, size in (("a", inputs), ("y", outputs))
    ]
    held = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph([node], "product", ends[:1], ends[1:], held), opset_imports=opsets)
    model.ir_version = 10
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    return onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])


def _timed(session: Any, given: dict[str, Any]) -> float:
    """Return the seconds of one run; the first one, which wakes the threads, does not count."""
    session.run(None, given)
    start = time.perf_counter()
    for _ in range(RUNS):
        session.run(None, given)
    return (time.perf_counter() - start) / RUNS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=4096, help="a multiple of 128 (default: 4096)")
    parser.add_argument("--outputs", type=int, default=11008)
    parser.add_argument("--rows", type=int, default=1, help="tokens at once (default: 1)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=11)
    return parser


if __name__ == "__main__":
    main()
