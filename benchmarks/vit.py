"""MiniGPT-4's vision tower in ONNX Runtime, ours beside PyTorch's export: ``python benchmarks/vit.py --help``.

It reports ratios. It asserts nothing about seconds, for they are the machine's and the minute's.
"""

import argparse
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import vit_torch
from measure import Ratio, race, ratios
from tables import aligned
from workers import Worker

COMPONENT = "minigpt4-vision"
BASELINE, PEER = "lwmport convert, ONNX Runtime", "transformers, torch.onnx.export, ONNX Runtime"
WARMING = 2


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model file, and the threads that run it."""

    path: str
    threads: int


def main(arguments: Sequence[str] | None = None) -> None:
    """Convert, race and print."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        print(table(*run(options, Path(work))))


def run(options: argparse.Namespace, work: Path) -> tuple[dict[str, list[float]], dict[str, Ratio], float]:
    """Return the seconds of each contender, their ratios, and how far the outputs of both are apart."""
    import lwmport
    from lwmport.models.options import Options
    from lwmport.pipeline.reopen import reopen

    ours, theirs = work / "ours", work / "torch.onnx"
    settings = Options(settings=(f"num_hidden_layers={options.layers}",))
    lwmport.convert(
        component=COMPONENT, format="onnx", config=options.config, batch=1, options=settings, validate=False, out=ours
    )
    converted = reopen(ours)
    component, weights = converted.component(COMPONENT), converted.component_weights(COMPONENT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        vit_torch.export(component.config, {name: weights.read(name) for name in component.weights}, theirs)
    size = int(component.config["image_size"])
    inputs = {"pixel_values": np.random.default_rng(0).standard_normal((1, 3, size, size)).astype(np.float32)}
    paths = {BASELINE: ours / f"{COMPONENT}.onnx", PEER: theirs}
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(closing(Worker(name, opened, Case(path=str(path), threads=options.threads))))
            for name, path in paths.items()
        }
        found = {name: [worker.run(inputs) for _ in range(WARMING)][-1].outputs for name, worker in workers.items()}
        seconds = race({name: partial(_timed, worker, inputs) for name, worker in workers.items()}, options.rounds)
    apart = float(np.abs(found[BASELINE]["image_embeds"] - found[PEER]["image_embeds"]).max())
    return seconds, ratios(seconds, BASELINE), apart


def opened(case: Case) -> Any:
    """Return a runner of a model file."""
    from lwmport.runtime.runners.onnxruntime import OnnxRuntimeRunner

    return OnnxRuntimeRunner(Path(case.path), case.threads)


def table(seconds: Mapping[str, Sequence[float]], found: Mapping[str, Ratio], apart: float) -> str:
    """Return the results as Markdown."""
    rows = [["run of the tower", "seconds, median (best)", "ratio, median (min-max)"]]
    for name, ratio in found.items():
        taken = f"{median(seconds[name]):.3f} ({min(seconds[name]):.3f})"
        rows.append([name, taken, f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"])
    return f"{aligned(rows)}\n\nThe outputs of both are at most {apart:.1e} apart."


def _timed(worker: Worker, inputs: Mapping[str, Any]) -> float:
    return worker.run(inputs).seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Race MiniGPT-4's vision tower against PyTorch's export of it.")
    add = parser.add_argument
    add("--layers", type=int, default=2, help="of the tower's 39 (default: 2)")
    add("--threads", type=int, default=2)
    add("--rounds", type=int, default=10, help="how often both run, in turns (default: 10)")
    add("--config", choices=("eva-g", "debug"), default="eva-g", help="debug is for tests; its times mean nothing")
    add("--work", type=Path, help="where the models are kept for as long as it runs, about 1 GB at 2 layers")
    return parser


if __name__ == "__main__":
    import vit  # so that what is sent to a worker is of a module that it knows

    vit.main()
