"""A measurement of speed: rows in a process of its own with bounds, kept as they come, until something says stop."""

import contextlib
import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lwmport import __version__, atomic, child, digest, memory
from lwmport.errors import ChildError, PortError, UnusedOptionError, UsageError
from lwmport.extras import versions
from lwmport.models.families import NAMES
from lwmport.models.options import Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.pipeline.footprint.request import bytes_of
from lwmport.pipeline.names import one_name
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.output_checks import check_writable
from lwmport.pipeline.session import JAX
from lwmport.pipeline.speed.ramps import RAMPS, Ramp, ramp_of
from lwmport.pipeline.speed.request import INPUTS, OUTPUTS, BenchRequest
from lwmport.pipeline.speed.trial import measurer
from lwmport.pipeline.validate.subject import Subjects, subjects_of
from lwmport.processors import described, processors
from lwmport.reports import numbers
from lwmport.reports.speed.files import earlier_rows, write
from lwmport.reports.speed.record import FAILED, MEASURED, MEMORY, SLOW, Bench, BenchRow
from lwmport.requests import by_fields
from lwmport.runtime.isolated import DEVICE_BYTES
from lwmport.runtime.registry import runner_for
from lwmport.types import DECODE
from lwmport.wording import few

CAUSES: Final = {"memory": MEMORY, "time": SLOW}
"""Cause of a child's end -> what the row is called."""

RUNTIMES: Final = ("onnxruntime", "ai-edge-litert", "openvino", "tensorflow", "jax", "numpy")
"""Distributions whose versions are told, where they are installed."""


@by_fields(BenchRequest)
def bench(request: BenchRequest, observer: Observer | None = None) -> Bench:
    """Return how fast a model is on this machine, row by row.

    A row that ends its process is a row with the reason; those before it are kept.

    Raises:
        PortError: there is no such model, or it cannot be opened.
        UsageError: an unknown runner, or files at ``out`` that are not of such a measurement.
    """
    observer = observer or Silent()
    if request.out is not None:
        check_writable(request.out)
    with contextlib.ExitStack() as stack:
        path = _converted(request, stack, observer)
        found = subjects_of(path)
        if request.runner is None and found.items[0].runner:
            request = replace(request, runner=found.items[0].runner)
        ramp = _ramp(request, found)
        facts = _facts(request, found)
        key = digest.of_json([str(replace(request, out=None)), facts, found.made.weights_sha256])
        rows = list(earlier_rows(request.out, key)) if request.out is not None else []
        stopped = ""
        server = stack.enter_context(contextlib.closing(_server(request, path, found)))
        for row, stop in _measured(request, ramp, server, tuple(rows), observer):
            rows = [*(one for one in rows if _place(one) != _place(row)), row]
            stopped = stop
            if request.out is not None:
                write(_bench(request, facts, rows, stopped), key, request.out)
    return _bench(request, facts, rows, stopped)


def _converted(request: BenchRequest, stack: contextlib.ExitStack, observer: Observer) -> Path:
    """Return a converted model: the one that is named, or the component, converted for any batch."""
    name = one_name("component", request.model, {})
    if name not in NAMES or Path(request.model).exists():
        return Path(request.model)
    folder = stack.enter_context(atomic.scratch_folder((request.out or Path()) / "model")) / "model"
    asked = ConvertRequest(
        component=name,
        format="onnx",
        out=folder,
        config=request.config,
        batch="dynamic",
        validate=False,
        options=Options(),
    )
    convert(asked, observer)
    return folder


def _ramp(request: BenchRequest, found: Subjects) -> Ramp:
    if DECODE in found.made.phases:
        if request.like:
            return RAMPS[request.like]()
        lengths = request.input_lengths or INPUTS, request.output_lengths or OUTPUTS
    else:
        if len(found.items) != 1:
            names = few(item.part.path for item in found.items)
            raise UsageError(f"expected one model to measure, found the folder of {names}; name one of them")
        for name in ("input_lengths", "output_lengths", "like"):
            if getattr(request, name):
                word = name.replace("_", "-")
                raise UnusedOptionError(
                    f"expected no --{word} for {request.model}, which has no tokens, found some", word
                )
        lengths = (0,), (0,)
    return ramp_of(*lengths, request.batches, rising=request.ramp)


def _is_device(request: BenchRequest, found: Subjects) -> bool:
    return request.runner != JAX and runner_for(found.items[0].path, request.runner).device


def _server(request: BenchRequest, path: Path, found: Subjects) -> child.Server:
    most = bytes_of(request.max_memory)
    free = DEVICE_BYTES if _is_device(request, found) else memory.free_bytes()
    bound = min(size for size in (most, free, DEVICE_BYTES) if size is not None)
    return child.Server(
        measurer,
        {"path": path.absolute(), "runner": request.runner, "threads": request.threads},
        child.Bounds(seconds=float(request.max_seconds), nbytes=bound),
        f"a row of {request.model}",
    )


def _measured(
    request: BenchRequest, ramp: Ramp, server: child.Server, known: tuple[BenchRow, ...], observer: Observer
) -> Iterator[tuple[BenchRow, str]]:
    """Yield each row and why no more follow, which is empty while more do."""
    done = {_place(row): row for row in known}
    for climb in ramp.climbs:
        for batch in climb.batches():
            asked = BenchRow(input=climb.input, output=climb.output, batch=batch, status=MEASURED)
            observer.phase(f"measure {_words(asked)}")
            row = done.get(_place(asked)) or _row(request, server, asked)
            ended = row.status != MEASURED
            yield row, f"{_words(asked)}: {row.reason}" if ended and ramp.strict else ""
            if ended and ramp.strict:
                return
            if ended:
                break


def _row(request: BenchRequest, server: child.Server, asked: BenchRow) -> BenchRow:
    """Return a row with what was measured, or with why nothing was."""
    sizes = {"input": asked.input, "output": asked.output, "batch": asked.batch}
    try:
        found: dict[str, Any] = server.ask(**sizes, warm_up=request.warm_up, repeat=request.repeat)
    except ChildError as error:
        return replace(asked, status=CAUSES.get(error.cause, FAILED), reason=str(error))
    except PortError as error:
        return replace(asked, status=FAILED, reason=str(error))
    row = replace(asked, **found)
    bound = None if request.max_latency is None else request.max_latency / 1000
    if bound is not None and row.latency is not None and row.latency > bound:
        reason = f"p90 of {numbers.seconds(row.latency)} is above --max-latency {request.max_latency}"
        return replace(row, status=SLOW, reason=reason)
    return row


def _place(row: BenchRow) -> tuple[int, int, int]:
    return row.input, row.output, row.batch


def _words(row: BenchRow) -> str:
    lengths = f"{row.input} in, {row.output} out, " if row.input else ""
    return f"{lengths}batch {row.batch}"


def _facts(request: BenchRequest, found: Subjects) -> dict[str, str]:
    """Return what the numbers depend on, by name."""
    spec = (
        "the JAX model, which is the reference"
        if request.runner == JAX
        else runner_for(found.items[0].path, request.runner).title
    )
    processor = described("model name")
    if processor is None:
        processor = platform.processor() or platform.machine()
    installed = versions()
    told = [f"{name} {installed[name]}" for name in RUNTIMES if name in installed]
    precision = str(found.made.options.get("precision", Options().precision))
    return {
        "machine": f"{processor}, {processors()} processors, {numbers.size(memory.total_bytes() or 0)} of memory",
        "threads": str(request.threads or found.items[0].threads or processors()),
        "runner": spec,
        "versions": ", ".join([f"lwmport {__version__}", f"Python {platform.python_version()}", *told]),
        "model": f"{found.made.component}, {precision}, {found.made.artifact_format}",
        "weights": str(found.made.weights.get("description", "")),
        "inputs": "random tokens or numbers from seed 0",
    }


def _bench(request: BenchRequest, facts: dict[str, str], rows: list[BenchRow], stopped: str) -> Bench:
    ended = [row for row in rows if row.status != MEASURED]
    measured = len(rows) - len(ended)
    best = max((row for row in rows if row.rate is not None), key=lambda row: row.rate or 0.0, default=None)
    words = [f"{measured} rows measured on this machine, after {request.warm_up} warm-up runs of the same sizes each"]
    if best is not None:
        words.append(f"most at {_words(best)}: {numbers.number(best.rate or 0.0)} a second")
    words += [f"{_words(row)} was {row.status}" for row in ended]
    return Bench(
        model=request.model,
        facts=facts,
        warm_up=request.warm_up,
        repeat=request.repeat,
        rows=tuple(rows),
        stopped=stopped,
        sentence="; ".join(words),
    )
