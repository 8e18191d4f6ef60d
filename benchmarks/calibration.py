"""KL divergence, by method and group, of a model with 4-bit weights from the same with exact ones, both in JAX.

``python benchmarks/calibration.py SmolLM2 --groups 32,128 --methods rtn,mse,hqq,gptq,awq`` prints a table. The folder
is that of a language model with its ``tokenizer.json``; the text is the documentation of Python's own statements
(``pydoc_data.topics``), 1024 tokens in two windows.
"""

import argparse
import tempfile
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

from lwmport.checkpoints.model_weights import component_weights, open_model
from lwmport.generation.tokenizer import Tokenizer
from lwmport.models.llama.given_tokens import completed
from lwmport.models.options import Options
from lwmport.pipeline.calibration.attach import attach
from lwmport.pipeline.observer import Silent
from lwmport.runtime.runners.jax import JaxRunner
from lwmport.types import Array

BEGIN, END = 20_000, 60_000
"""Characters of the text."""


def token_ids(checkpoint: str, tokens: int) -> Array:
    """Return tokens of the text, int64 [2, half of them]."""
    text = "\n".join(topics[name] for name in sorted(topics))[BEGIN:END]
    return np.asarray(Tokenizer(Path(checkpoint)).encode(text)[:tokens], np.int64).reshape(2, -1)


def log_probabilities(checkpoint: str, ids: Array, options: Options, scratch: Path) -> Array:
    """Return what a model says of the token behind each of some tokens, float64 [tokens, vocabulary]."""
    family, weights = open_model("llama", checkpoint, "lwm", options, 0)
    (component,) = family.components
    rounder = attach(family, weights, checkpoint, None, Silent())
    if rounder is not None:
        rounder.folder = scratch
        rounder.run(component)
    runner = JaxRunner(component, component_weights(family, component, weights))
    logits = [runner.run(completed(component, {"input_ids": row[None]}).inputs)["logits"][0] for row in ids]
    found = np.concatenate(logits).astype(np.float64)
    found -= found.max(axis=-1, keepdims=True)
    found -= np.log(np.exp(found).sum(axis=-1, keepdims=True))
    return found


def row(exact: Array, rounded: Array, ids: Array) -> str:
    """Return the cells of one line."""
    divergence = (np.exp(exact) * (exact - rounded)).sum(axis=-1)
    same = (exact.argmax(axis=-1) == rounded.argmax(axis=-1)).mean()
    said = rounded.reshape(*ids.shape, -1)[:, :-1]
    perplexity = np.exp(-np.take_along_axis(said, ids[:, 1:, None], axis=-1).mean())
    cells = (divergence.mean(), np.median(divergence), np.quantile(divergence, 0.99))
    return " | ".join([*(f"{cell:.3f}" for cell in cells), f"{same:.3f}", f"{perplexity:.2f}"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--groups", default="32,128")
    parser.add_argument("--methods", default="rtn,mse,hqq,gptq,awq")
    parser.add_argument("--tokens", type=int, default=1024, help="to judge on, in two windows")
    asked = parser.parse_args()
    ids = token_ids(asked.checkpoint, asked.tokens)
    with tempfile.TemporaryDirectory() as folder:
        exact = log_probabilities(asked.checkpoint, ids, Options(), Path(folder))
        print("| group | method | KL mean | median | 99 % | same top | perplexity |")
        print(f"|{' --- |' * 7}")
        print(f"| | exact | {row(exact, exact, ids)} |")
        for group in map(int, asked.groups.split(",")):
            for method in asked.methods.split(","):
                options = Options(quantize="w4a16", group_size=group, method=method)
                made = log_probabilities(asked.checkpoint, ids, options, Path(folder) / f"{method}-{group}")
                print(f"| {group} | {method} | {row(exact, made, ids)} |", flush=True)


if __name__ == "__main__":
    main()
