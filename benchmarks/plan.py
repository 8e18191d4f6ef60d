"""What ``lwmport plan`` says of a model's memory, beside what a run of it takes: ``python benchmarks/plan.py --help``.

Weights are seeded. What is measured is the kernel's high-water mark of a process that opens the ONNX file in ONNX
Runtime and runs it, which is what the plan for ``cpu`` adds up.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from tables import aligned
from workers import Worker

from lwmport.types import Array, Signature

STEPS: Final = 4
"""Single tokens behind a prompt: the first runs after it need most, for two caches are there."""

RUNS: Final = 3
"""Runs of a model that keeps no tokens: from the second one on its memory is one block besides."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """What is planned and run: a component, its configuration, and tokens of the prompt where it keeps tokens."""

    component: str
    config: str
    settings: tuple[str, ...] = ()
    tokens: int = 0


MODELS: Final = {
    "llama-7b": Model(component="llama", config="7b", settings=("num_hidden_layers=1",), tokens=512),
    "llama-200m": Model(component="llama", config="200m", tokens=512),
    "llava-image": Model(component="llava-image", config="clip-l-336"),
    "vqgan-decoder": Model(component="vqgan-decoder", config="lwm"),
}
"""Whole models, but for one: a LLaMA of 7B's width and one layer, for the width decides what a run takes."""

SMALL: Final = {
    name: Model(component=model.component, config="debug", tokens=min(model.tokens, 16))
    for name, model in MODELS.items()
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A converted model, tokens of the prompt, and the threads that run it."""

    path: str
    tokens: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """Bytes that were planned and measured."""

    planned: int
    measured: int


class Opened:
    """The model of a case, opened as a user would; a run of it is all runs that the plan assumes."""

    def __init__(self, case: Case) -> None:
        import lwmport

        self._session = lwmport.Session(Path(case.path).parent, threads=case.threads) if case.tokens else None
        self._model = None if case.tokens else lwmport.load(case.path)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model and give nothing back: outputs that are sent would take memory of their own."""
        if self._model is not None:
            for _ in range(RUNS):
                self._model.run(**inputs)
        elif self._session is not None:
            self._session.prefill(inputs["input_ids"])
            for _ in range(STEPS):
                self._session.step(inputs["input_ids"][:, :1])
        return {}


def main(arguments: Sequence[str] | None = None) -> None:
    """Plan, convert, run and print."""
    options = _parser().parse_args(arguments)
    models = SMALL if options.config == "debug" else MODELS
    found = {}
    for name in options.only or models:
        with tempfile.TemporaryDirectory(dir=options.work) as work:
            found[name] = measured(models[name], Path(work), options.threads)
    print(table(found))


def measured(model: Model, work: Path, threads: int) -> Row:
    """Return what is planned for a model, and what a process took that opened and ran it.

    Raises:
        RuntimeError: so little memory is free that weights would be held one at a time, which no plan is of.
    """
    import lwmport
    from lwmport import memory
    from lwmport.models.options import Options

    planned = lwmport.plan(
        model=model.component,
        config=model.config,
        settings=model.settings,
        precision="float32",
        target="cpu",
        context=model.tokens + STEPS if model.tokens else None,
        chunk=model.tokens or None,
    ).total
    if memory.is_scarce(planned):
        raise RuntimeError(f"expected {planned:,} bytes of free memory and as much again, found less")
    made = lwmport.convert(
        component=model.component,
        format="onnx",
        config=model.config,
        batch=1,
        options=Options(settings=model.settings),
        validate=False,
        out=work / "model",
    )
    (part,) = made.manifest.components
    case = Case(path=str(work / "model" / part.path), tokens=model.tokens, threads=threads)
    with closing(Worker(model.component, Opened, case)) as worker:
        turn = worker.run(_inputs(part.signature, model.tokens))
    return Row(planned=planned, measured=turn.peak_bytes)


def _inputs(signature: Signature, tokens: int) -> dict[str, Array]:
    """Return zeros: what a run takes does not depend on values."""
    if tokens:
        return {"input_ids": np.zeros((1, tokens), np.int64)}
    return {spec.name: np.zeros([int(dim) for dim in spec.shape], spec.dtype) for spec in signature.inputs}


def table(found: Mapping[str, Row]) -> str:
    """Return the results as Markdown."""
    rows = [["model", "measured", "planned", "planned / measured"]]
    for name, row in found.items():
        rows.append([name, f"{row.measured:,}", f"{row.planned:,}", f"{row.planned / row.measured:.3f}"])
    return aligned(rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Hold the plan of a model's memory against runs in ONNX Runtime.")
    add = parser.add_argument
    add("--only", nargs="+", choices=tuple(MODELS), help="some of the models (default: all)")
    add("--threads", type=int, default=2)
    add("--config", choices=("full", "debug"), default="full", help="debug is for tests: it measures the process alone")
    add("--work", type=Path, help="where a model is kept for as long as it runs, 2 GB")
    return parser


if __name__ == "__main__":
    import plan  # so that what is sent to a worker is of a module that it knows

    plan.main()
