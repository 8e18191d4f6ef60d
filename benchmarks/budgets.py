"""KL divergence of bits that a budget chose beside the same bits for all, at the bytes of the same files, both in JAX.

``python benchmarks/budgets.py SmolLM2`` prints a table. The folder is that of a language model with its
``tokenizer.json``; what each tensor costs is measured once, on the text of ``lwmport convert --budget-gb``; the text
that is judged on is that of ``calibration.py``. ``--budget-kl`` adds rows of bounds on the loss.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from calibration import row, token_ids

from lwmport.checkpoints.model_weights import component_weights
from lwmport.models.llama.given_tokens import completed
from lwmport.models.options import Options
from lwmport.pipeline.budget_record import GB
from lwmport.pipeline.convert.budget import measured, within
from lwmport.pipeline.convert.forecast import forecast_bytes
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import opened
from lwmport.pipeline.convert.work import Work
from lwmport.pipeline.observer import Silent
from lwmport.runtime.runners.jax_streamed import StreamedJaxRunner
from lwmport.types import Array

FOUR = Options(quantize="w4a16")
UNIFORM = {
    "4 bits": FOUR,
    "4 bits, table of 8 bits": replace(FOUR, recipe=(json.dumps({"*/embedding": {"kind": "w8a16"}}),)),
    "4 bits, groups of 16": replace(FOUR, group_size=16),
    "8 bits": Options(quantize="w8a16"),
}


def work_of(checkpoint: str, options: Options, **budget: Any) -> Work:
    """Return a conversion that is not begun."""
    out = Path(tempfile.gettempdir()) / "never-written"
    asked = ConvertRequest(
        component="llama", format="onnx", out=out, checkpoint=checkpoint, batch="dynamic", options=options, **budget
    )
    return opened(asked, Silent())


def log_probabilities(work: Work, ids: Array) -> Array:
    """Return what a model says of the token behind each of some tokens, float64 [tokens, vocabulary]."""
    (component,) = work.family.references
    runner = StreamedJaxRunner(component, component_weights(work.family, component, work.weights))
    cases = [completed(component, {"input_ids": row[None]}).inputs for row in ids]
    found = np.concatenate([one["logits"][0] for one in runner.run_all(cases)]).astype(np.float64)
    found -= found.max(axis=-1, keepdims=True)
    found -= np.log(np.exp(found).sum(axis=-1, keepdims=True))
    return found


def chosen(checkpoint: str, uniform: dict[str, int], losses: list[float]) -> Iterator[tuple[str, Options, int]]:
    """Yield what a budget is, the options that it leads to, and the bytes of the files."""
    table = measured(work_of(checkpoint, FOUR, budget_gb=1.0))
    budgets = [{"budget_gb": count / GB} for name, count in uniform.items() if name != "4 bits"]
    for budget in [*budgets, *({"budget_kl": loss} for loss in losses)]:
        work = work_of(checkpoint, FOUR, **budget)
        request, found = within(work, table)
        ((name, value),) = budget.items()
        counts = f"{found.counts}; forecast {found.predicted:.3f}, trial {found.trial:.3f}"
        yield f"`--{name.replace('_', '-')} {value:.6g}`: {counts}", request.options, found.planned


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--budget-kl", type=float, nargs="*", default=[])
    parser.add_argument("--tokens", type=int, default=1024, help="to judge on, in two windows")
    asked = parser.parse_args()
    ids = token_ids(asked.checkpoint, asked.tokens)
    exact = log_probabilities(work_of(asked.checkpoint, Options()), ids)
    print("| bits | MB | KL mean | median | 99 % | same top | perplexity |")
    print(f"|{' --- |' * 7}")
    print(f"| exact | | {row(exact, exact, ids)} |")
    sizes = {}
    for name, options in UNIFORM.items():
        work = work_of(asked.checkpoint, options)
        sizes[name] = forecast_bytes(work, {})
        print(f"| {name} | {sizes[name] / 1e6:.2f} | {row(exact, log_probabilities(work, ids), ids)} |", flush=True)
    for name, options, count in chosen(asked.checkpoint, sizes, asked.budget_kl):
        made = log_probabilities(work_of(asked.checkpoint, options), ids)
        print(f"| {name} | {count / 1e6:.2f} | {row(exact, made, ids)} |", flush=True)


if __name__ == "__main__":
    main()
