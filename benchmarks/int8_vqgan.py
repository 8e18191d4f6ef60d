"""The VQGAN in ONNX Runtime, float32 and with convolutions of integers: ``python benchmarks/int8_vqgan.py --help``.

Speed is a ratio, of runs in turns; where the time goes is told by operator. ``--sensitivity`` says what each
convolution of the encoder costs in codes, alone and with all that cost less. It asserts nothing about seconds.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measure import race, ratios
from tables import aligned

KINDS = {"float32": "", "w8a8": "w8a8"}
PICTURES = range(6)
"""Photographs that codes are counted on. The ranges are those of the last three."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert, race and print; or measure what convolutions cost, and print."""
    options = _parser().parse_args(arguments)
    if options.sensitivity:
        print(aligned([["convolution", "its codes alone", "codes with all above"], *_sensitivity(options.checkpoint)]))
        return
    with tempfile.TemporaryDirectory(dir=options.work) as work, ExitStack() as stack:
        models = {kind: _converted(kind, options, Path(work)) for kind in KINDS}
        runners = {kind: stack.enter_context(closing(_opened(path, options))) for kind, path in models.items()}
        print(aligned([["kind", "ms, median", "ratio, median (min-max)"], *_rows(runners, options.rounds)]))
        print(aligned([["kind", "operator", "share of the time"], *_shares(models, options.threads, Path(work))]))


def _converted(kind: str, options: argparse.Namespace, work: Path) -> Path:
    import lwmport

    asked = {"checkpoint": options.checkpoint} if options.checkpoint else {"config": options.config}
    chosen = lwmport.Options(quantize=KINDS[kind])
    out = work / kind
    lwmport.convert(
        component=options.component, format="onnx", batch=1, options=chosen, validate=False, out=out, **asked
    )
    return out / f"{options.component}.onnx"


def _opened(path: Path, options: argparse.Namespace) -> Any:
    from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner

    return OnnxRuntimeRunner(path, options.threads)


def _rows(runners: Mapping[str, Any], rounds: int) -> Iterator[list[str]]:
    """Yield a row of the table for each contender."""
    turns: dict[str, Callable[[], float]] = {
        kind: partial(_timed, runner, _inputs(runner.inputs)) for kind, runner in runners.items()
    }
    for turn in turns.values():
        turn()
    seconds = race(turns, rounds)
    for kind, ratio in ratios(seconds, "float32").items():
        told = f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
        yield [kind, f"{median(seconds[kind]) * 1e3:.1f}", told]


def _inputs(specs: Sequence[Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Return seeded codes or pixels."""
    random = np.random.default_rng(0)
    return {
        spec.name: random.integers(0, 512, spec.shape).astype(spec.dtype)
        if spec.dtype.startswith("int")
        else random.uniform(-1, 1, spec.shape).astype(spec.dtype)
        for spec in specs
    }


def _timed(runner: Any, inputs: Mapping[str, Any]) -> float:
    start = time.perf_counter()
    runner.run(inputs)
    return time.perf_counter() - start


def _shares(models: Mapping[str, Path], threads: int, work: Path) -> Iterator[list[str]]:
    """Yield the operators that take at least a hundredth of a run, as ONNX Runtime's profile has them."""
    import onnxruntime

    from lwmport.runtime.runners.onnxruntime import specs_of

    for kind, path in models.items():
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        options.enable_profiling, options.profile_file_prefix = True, str(work / kind)
        session = onnxruntime.InferenceSession(str(path), options)
        fed = _inputs(specs_of(session)[0])
        for _ in range(3):
            session.run(None, fed)
        spent: Counter[str] = Counter()
        for event in json.loads(Path(session.end_profiling()).read_text()):
            if event.get("cat") == "Node" and "op_name" in event.get("args", {}):
                spent[event["args"]["op_name"]] += event["dur"]
        for operator, taken in spent.most_common():
            if taken >= sum(spent.values()) / 100:
                yield [kind, operator, f"{taken / sum(spent.values()):.1%}"]


def _sensitivity(checkpoint: str) -> Iterator[list[str]]:
    """Yield each convolution of the encoder, the one that costs least first, and the codes that it leaves."""
    from lwmport.checkpoints.model_weights import component_weights, open_model
    from lwmport.models.options import Options
    from lwmport.models.rounding import with_rounding
    from lwmport.models.storage import rounding_kernels
    from lwmport.pipeline.convert.calibration import ranges
    from lwmport.pipeline.validate.test_inputs import TestInputs
    from lwmport.runtime.runners.jax import reference

    family, weights = open_model("vqgan-encoder", checkpoint, "lwm", Options(quantize="w8a8"), 0)
    component = replace(family.references[0], rounds=("*",))
    held = component_weights(family, component, weights)
    kernels = rounding_kernels(component, family.options)
    photographs = [TestInputs(component, held).make(1, number).inputs["pixel_values"] for number in PICTURES]
    found = ranges(component, held, kernels, [{"pixel_values": one} for one in photographs[3:]], family.options)
    pixels = {"pixel_values": np.concatenate(photographs)}
    exact = reference(component, held.exact).run(pixels)["codebook_indices"]  # type: ignore[attr-defined]

    def left(chosen: Sequence[str]) -> float:
        keep = tuple(f"{kernel}=float32" for kernel in kernels if kernel not in chosen)
        own = replace(family, options=replace(family.options, keep=keep))
        rounding = with_rounding(component, {kernel: found[kernel] for kernel in chosen})
        codes = reference(rounding, component_weights(own, rounding, weights)).run(pixels)["codebook_indices"]
        return float(np.mean(codes == exact))

    alone = {kernel: left([kernel]) for kernel in kernels}
    order = sorted(kernels, key=lambda kernel: -alone[kernel])
    for count, kernel in enumerate(order, 1):
        yield [kernel, f"{alone[kernel]:.1%}", f"{left(order[:count]):.1%}"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--component", default="vqgan-decoder")
    parser.add_argument("--config", default="lwm", help="the configuration, whose weights are seeded: for speed alone")
    parser.add_argument("--checkpoint", default="", help="weights in place of seeded ones")
    parser.add_argument(
        "--sensitivity", action="store_true", help="what each convolution of the encoder costs in codes"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--work", type=Path, help="where the models lie meanwhile")
    return parser


if __name__ == "__main__":
    main()
