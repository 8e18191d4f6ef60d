"""Quantised models in LiteRT beside float32 and other runtimes: ``python benchmarks/quantised_tflite.py --help``.

Of a VQGAN: codes that agree with JAX's on exact weights, how near a tie the others are, PSNR of its pictures. Of a
layer of a language model: SQNR of what it returns. Of both: time, in turns. It asserts nothing about seconds, for they
are the machine's and the minute's.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from measure import race, ratios
from tables import aligned

from lwmport.validators.values import sqnr_db

BASELINE = "float32"
BLOCK = "llama-block-decode"
KINDS: dict[str, dict[str, dict[str, Any]]] = {
    "vqgan": {
        BASELINE: {},
        "w8a8": {"quantize": "w8a8"},
        "w8a8, ends kept": {"quantize": "w8a8", "keep": ("*coder/Conv_?/kernel=float32",)},
        "w8a8, int8": {"quantize": "w8a8", "dialect": "int8"},
        "float32, ONNX Runtime": {"format": "onnx"},
        "w8a8, ONNX Runtime": {"quantize": "w8a8", "format": "onnx"},
        "float32, OpenVINO": {"format": "onnx", "dialect": "openvino", "runner": "float32"},
        "bfloat16, OpenVINO": {"format": "onnx", "dialect": "openvino", "runner": "bfloat16"},
        "w8a8, OpenVINO": {"quantize": "w8a8", "format": "onnx", "dialect": "openvino", "runner": "int8"},
        "w8a16": {"quantize": "w8a16"},
    },
    BLOCK: {
        BASELINE: {},
        "w8a8": {"quantize": "w8a8"},
        **{f"w4a8, blocks of {size}": {"quantize": "w4a8", "group_size": size} for size in (32, 128)},
    },
}
"""What is measured -> contender -> options of its conversion, its dialect or format where that is another one, and the
precision in which OpenVINO computes what is not of integers, where OpenVINO runs it."""

REST = 0.05
"""Seconds in front of a turn, so that the threads of whoever ran last are asleep; a run that does not count follows."""

Runners = Mapping[str, Any]
Arrays = Mapping[str, np.ndarray[Any, Any]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert, race and print."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        rows = [["what", "kind", "MB", "ms, median", "ratio, median (min-max)", "outside XNNPACK", "beside float32"]]
        rows += _vqgan(options, Path(work)) if options.what == "vqgan" else _block(options, Path(work))
        print(aligned(rows))


def _vqgan(options: argparse.Namespace, work: Path) -> Iterator[list[str]]:
    """Yield a row for each half and kind; inputs are photographs, and what JAX makes of them on exact weights."""
    from lwmport.checkpoints.model_weights import component_weights, open_model
    from lwmport.models.options import Options
    from lwmport.pipeline.validate.test_inputs import pictures
    from lwmport.runtime.runners.jax import quantized, reference

    chosen = Options(settings=tuple(options.set))
    family, weights = open_model("vqgan", options.checkpoint, options.config or "lwm", chosen, 0)
    encoder, decoder = family.components
    own = {part.name: component_weights(family, part, weights) for part in family.components}
    seen = [{"pixel_values": one[None]} for one in pictures(encoder.signature.inputs[0], range(options.samples))]
    codes = reference(encoder, own[encoder.name]).run_all(seen)
    fed = [{"codebook_indices": found["codebook_indices"]} for found in codes]
    shown = reference(decoder, own[decoder.name]).run_all(fed)
    made_of = [next(iter(found.values())) for found in quantized(encoder, own[encoder.name], seen)]
    told = {
        encoder.name: lambda found: _codes(codes, found, made_of),
        decoder.name: lambda found: _pictures(shown, found, [one["pixel_values"] for one in seen]),
    }
    with ExitStack() as stack:
        opened = _opened("vqgan", options, work, stack)
        for part, inputs in ((encoder, seen), (decoder, fed)):
            yield from _rows(part.name, {kind: each[part.name] for kind, each in opened.items()}, inputs, told, options)


def _block(options: argparse.Namespace, work: Path) -> Iterator[list[str]]:
    """Yield a row for each kind of a layer that decodes one token, its cache full of noise."""
    with ExitStack() as stack:
        runners = {kind: each[BLOCK] for kind, each in _opened(BLOCK, options, work, stack).items()}
        inputs = [_inputs(runners[BASELINE])]
        exact = runners[BASELINE].run(inputs[0])
        (name,) = (name for name in exact if not name.startswith("present"))
        told = {BLOCK: lambda found: f"SQNR {_sqnr(exact[name], found[0][name])}"}
        yield from _rows(BLOCK, runners, inputs, told, options)


def _opened(what: str, options: argparse.Namespace, work: Path, stack: ExitStack) -> dict[str, dict[str, Any]]:
    """Return contender -> component -> runner, converted and open."""
    import lwmport

    found: dict[str, dict[str, Any]] = {}
    for kind in [one for one in KINDS[what] if options.only is None or one in (BASELINE, *options.only)]:
        chosen, out = dict(KINDS[what][kind]), work / kind
        form, dialect = chosen.pop("format", "tflite"), chosen.pop("dialect", None)
        opened = partial(_runner, threads=options.threads, openvino=chosen.pop("runner", None))
        cached = {"max_length": options.cache} if what == BLOCK else {}
        given = {"checkpoint": options.checkpoint, "out": out}
        given["options"] = lwmport.Options(settings=tuple(options.set), **chosen, **cached)
        config = options.config or ("7b" if what == BLOCK else "lwm")
        lwmport.convert(component=what, format=form, dialect=dialect, config=config, validate=False, **given)
        paths = sorted(out.glob(f"*.{form}"))
        found[kind] = {p.stem: stack.enter_context(closing(opened(p))) for p in paths}
        for path in paths:
            files = (path, path.with_name(f"{path.name}.data"))
            found[kind][path.stem].megabytes = sum(file.stat().st_size for file in files if file.exists()) / 1e6
    return found


def _runner(path: Path, threads: int, openvino: str | None) -> Any:
    from lwmport.runtime.runners.litert import LiteRTRunner
    from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner
    from lwmport.runtime.runners.openvino import OpenVinoRunner

    if openvino:
        return OpenVinoRunner(path, threads, openvino)
    return LiteRTRunner(path, threads) if path.suffix == ".tflite" else OnnxRuntimeRunner(path, threads)


def _rows(
    name: str,
    runners: Runners,
    inputs: Sequence[Arrays],
    told: Mapping[str, Callable[[list[Arrays]], str]],
    options: argparse.Namespace,
) -> Iterator[list[str]]:
    outputs = {kind: [runner.run(one) for one in inputs] for kind, runner in runners.items()}
    turns = {kind: partial(_timed, runner, inputs[0]) for kind, runner in runners.items()}
    seconds = race(turns, options.rounds)
    for kind, ratio in ratios(seconds, options.baseline).items():
        outside = ", ".join(sorted(set(getattr(runners[kind], "undelegated", ())))).lower()
        times = f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"
        size = f"{runners[kind].megabytes:.2f}"
        yield [name, kind, size, f"{median(seconds[kind]) * 1e3:.1f}", times, outside, told[name](outputs[kind])]


def _codes(expected: Sequence[Arrays], found: Sequence[Arrays], made_of: Sequence[Any]) -> str:
    """Return how many codes are others, in the worst picture too, and how far the farthest of them is from a tie."""
    from lwmport.validators.ties import distances

    pairs = [(one["codebook_indices"], other["codebook_indices"]) for one, other in zip(expected, found, strict=True)]
    differ = [int((one != other).sum()) for one, other in pairs]
    far = max(distances(vectors, *pair).max() for vectors, pair in zip(made_of, pairs, strict=True))
    total = sum(one.size for one, _ in pairs)
    return f"{sum(differ)} of {total:,} codes differ, {max(differ)} in one picture, farthest from a tie {far:.2g}"


def _pictures(expected: Sequence[Arrays], found: Sequence[Arrays], seen: Sequence[np.ndarray[Any, Any]]) -> str:
    """Return the SQNR against float32, and the PSNR of both against the photographs."""
    both = [np.concatenate([one["pixel_values"] for one in side]) for side in (expected, found)]
    psnr = [10 * np.log10(4 / np.mean((made - np.concatenate(seen)) ** 2, dtype=np.float64)) for made in both]
    between = 10 * np.log10(4 / np.mean((both[0] - both[1]) ** 2, dtype=np.float64))
    return f"{between:.1f} dB PSNR; against the photographs {psnr[1]:.2f} dB, float32 {psnr[0]:.2f} dB"


def _sqnr(expected: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> str:
    decibels = sqnr_db(expected, found)
    return "no error" if decibels is None or np.isinf(decibels) else f"{decibels:.1f} dB"


def _inputs(runner: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Return seeded states and cache, an open mask, and the last position of the cache."""
    draw = np.random.default_rng(0)
    found = {}
    for spec in runner.inputs:
        shape = [size if isinstance(size, int) else 1 for size in spec.shape]
        array: Any = draw.standard_normal(shape)
        if "mask" in spec.name:
            array = np.ones(shape)
        if "position" in spec.name:
            array = np.full(shape, 5)
        found[spec.name] = array.astype(spec.dtype)
    return found


def _timed(runner: Any, inputs: Arrays) -> float:
    time.sleep(REST)
    runner.run(inputs)
    start = time.perf_counter()
    runner.run(inputs)
    return time.perf_counter() - start


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("vqgan", BLOCK))
    parser.add_argument("--config", help="the configuration; that of the checkpoint, or 7b, if none is named")
    parser.add_argument("--checkpoint", help="weights in place of seeded ones")
    parser.add_argument("--set", nargs="*", default=(), help="changes of the configuration, field=value")
    parser.add_argument("--only", nargs="*", help="contenders beside float32; all, if none is named")
    parser.add_argument("--baseline", default=BASELINE, help="whose seconds are 1 (default: float32 in LiteRT)")
    parser.add_argument("--samples", type=int, default=6, help="photographs")
    parser.add_argument("--cache", type=int, default=64, help="tokens of the cache of a layer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--work", type=Path, help="where the models lie meanwhile: 2 GB for a layer of 7b")
    return parser


if __name__ == "__main__":
    main()
