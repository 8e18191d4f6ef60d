"""Seconds of a token against the length of the cache, beside what reading explains; and llama.cpp on the same tokens.

``python benchmarks/decode.py MODEL [--cache FOLDER ...] [--gguf F.gguf --llama-cpp PYTHON]``; MODEL is a folder of
``lwmport convert``, and each FOLDER one of the same model with a narrower cache.

Contenders take turns, and so does a plain reading of memory by as many threads: ratios are of the same round. What is
held at each length are zeros, not a prompt that was run.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import numpy as np
from decode_peer import Peer, Prompt
from measure import race, ratios
from tables import aligned
from workers import Worker

import lwmport
from lwmport.types import DECODE

READ = "reading"
OURS = "lwmport"
THEIRS = "llama.cpp"
COPYING = "copying"
"""Ours, where each run writes a longer cache instead of new tokens behind the old ones."""

Clock: TypeAlias = Callable[[], float]

TABLE = "embedding"
"""What the name of the table of embeddings ends in, of which a token reads one row."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    with ExitStack() as opened:
        session, *narrow = (
            opened.enter_context(lwmport.Session(folder, threads=options.threads))
            for folder in (options.model, *options.cache)
        )
        others = {_dtype(other): other for other in narrow}
        weights = weight_bytes(options.model)
        rows = [_row(session, others, weights, length, options) for length in options.lengths]
        head = ["cache", "ms a token", "GB read", "ms explained", "ratio, median (min-max)", "copying"]
        print(aligned([[*head, *(f"{name} by {_dtype(session)}, GB less" for name in others)], *rows]))
        if options.gguf:
            print(_beside_llama_cpp(session, options))


def _row(session: Any, others: Mapping[str, Any], weights: int, length: int, options: argparse.Namespace) -> list[str]:
    """Return a line of the table; ``others`` are sessions by the dtype of their cache."""
    clock = time.process_time if options.processor else time.perf_counter
    held = fill(session, length)
    less = {name: (held - fill(other, length)) / 1e9 for name, other in others.items()}
    size = weights + held
    block = np.ones(options.block << 18, np.float32)
    turns: dict[str, Callable[[], float]] = {
        READ: lambda: seconds_to_read(block, options.threads, clock) * size / block.nbytes,
        OURS: partial(_seconds_of_a_token, clock, session, length),
    }
    if options.copying:
        turns[COPYING] = partial(_seconds_when_copying, clock, session.fork())
    turns |= {name: partial(_seconds_of_a_token, clock, other, length) for name, other in others.items()}
    for turn in turns.values():
        turn()
    taken = race(turns, options.rounds)
    beside = {name: f"{one.median:.2f} ({one.low:.2f}-{one.high:.2f})" for name, one in ratios(taken, OURS).items()}
    found = {name: f"{own.median:.2f} ({own.low:.2f}-{own.high:.2f})" for name, own in ratios(taken, READ).items()}
    own, read = (f"{median(taken[name]) * 1e3:.0f}" for name in (OURS, READ))
    row = [f"{length:,}", own, f"{size / 1e9:.2f}", read, found[OURS], found.get(COPYING, "")]
    return [*row, *(f"{beside[name]}, {less[name]:.3f}" for name in others)]


def _dtype(session: Any) -> str:
    """Return the dtype of the cache of a session."""
    signature = session._phases.signatures[DECODE]  # noqa: SLF001 - what the table is about
    names = {state.input for state in signature.states}
    return str(next(spec.dtype for spec in signature.inputs if spec.name in names))


def _beside_llama_cpp(session: Any, options: argparse.Namespace) -> str:
    """Return the ratio of seconds, llama.cpp's by ours: 1 and more says that ours is as fast."""
    prompt = Prompt(path=options.gguf, threads=options.threads, tokens=options.prompt, new=options.new)
    worker = Worker(THEIRS, Peer, prompt, options.llama_cpp)
    ids = prompt.ids()

    def ours() -> float:
        session.prefill(ids)
        start = time.perf_counter()
        for _ in range(options.new):
            session.step(ids[:, :1])
        return time.perf_counter() - start

    turns: dict[str, Callable[[], float]] = {OURS: ours, THEIRS: lambda: worker.run({}).outputs["seconds"]}
    for turn in turns.values():
        turn()
    taken = race(turns, options.rounds)
    worker.close()
    found = ratios(taken, OURS)[THEIRS]
    rates = ", ".join(f"{name} {options.new / median(own):.1f}" for name, own in taken.items())
    return f"tokens a second: {rates}; rate by llama.cpp's: {found.median:.2f} ({found.low:.2f}-{found.high:.2f})"


def fill(session: Any, length: int) -> int:
    """Let a session hold so many tokens, whose cache is zeros; return the bytes of that cache."""
    session.prefill(np.zeros((1, 1), np.int64))
    signature = session._phases.signatures[DECODE]  # noqa: SLF001 - no prompt is run
    names = {state.input for state in signature.states}
    specs = [spec for spec in signature.inputs if spec.name in names]
    sizes = {spec.name: [1, spec.shape[1], length, spec.shape[3]] for spec in specs}
    arrays = {spec.name: np.zeros(sizes[spec.name], spec.dtype) for spec in specs}
    session._held = session._backend.hold(arrays)  # noqa: SLF001 - as above
    session._mask = np.ones((1, length), np.int64)  # noqa: SLF001 - as above
    session.step(np.zeros((1, 1), np.int64))
    return sum(array.nbytes for array in arrays.values())


def _seconds_of_a_token(clock: Clock, session: Any, length: int) -> float:
    session.truncate(length)
    start = clock()
    session.step(np.zeros((1, 1), np.int64))
    return clock() - start


def _seconds_when_copying(clock: Clock, session: Any) -> float:
    rooms = session._backend._rooms[DECODE]  # noqa: SLF001 - this is what is measured
    rooms._takes = False  # noqa: SLF001 - as above
    start = clock()
    session.step(np.zeros((1, 1), np.int64))
    seconds = clock() - start
    rooms._takes = True  # noqa: SLF001 - as above
    return seconds


def weight_bytes(folder: Path) -> int:
    """Return the bytes of weights that a token reads: what is stored in float16 and computed in float32 is float32."""
    import onnx

    (path,) = folder.glob("*.onnx")
    graph = onnx.load(path, load_external_data=False).graph
    half = onnx.TensorProto.FLOAT16
    sizes = {one.name: int(np.prod(one.dims)) * _width(one.data_type) for one in graph.initializer}
    wide = {node.input[0] for node in graph.node if node.op_type == "Cast"}
    return sum(
        size * (2 if one.data_type == half and one.name in wide else 1)
        for one in graph.initializer
        for size in [sizes[one.name]]
        if TABLE not in one.name
    )


def _width(kind: int) -> int:
    import onnx

    return int(onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize)


def seconds_to_read(block: Any, threads: int, clock: Clock = time.perf_counter) -> float:
    """Return the seconds that threads need to read an array once, each a part."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(np.max, np.split(block[: threads << 10], threads)))  # the threads are there
        start = clock()
        list(pool.map(np.max, np.array_split(block, threads)))
        return clock() - start


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("model", type=Path)
    parser.add_argument("--lengths", type=int, nargs="*", default=[128, 512, 1024, 2048, 4096])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--block", type=int, default=512, help="MiB of memory that is read for the bandwidth")
    parser.add_argument("--copying", action="store_true", help="also with a longer cache written in each run")
    parser.add_argument("--cache", type=Path, nargs="*", default=[], help="the same model with narrower caches")
    parser.add_argument("--processor", action="store_true", help="seconds of the processors: on a busy machine")
    parser.add_argument("--gguf", default="", help="the same model for llama.cpp")
    parser.add_argument("--llama-cpp", default="", help="a Python with ik-llama-cpp-python")
    parser.add_argument("--prompt", type=int, default=32, help="tokens in front of those that llama.cpp is beside")
    parser.add_argument("--new", type=int, default=8, help="tokens that are timed then")
    return parser


if __name__ == "__main__":
    main()
