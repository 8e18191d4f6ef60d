"""How many codes of the VQGAN's encoder a narrower dtype changes: ``python benchmarks/near_ties.py --help``.

JAX runs the encoder on the six photographs, in float32 and narrowed. What it finds is the reason for the near ties that
`lwmport/models/vqgan/tolerances.py` allows, and with ``--checkpoint`` whether they suit a codebook that was trained.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lwmport.checkpoints.model_weights import fitting
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.models.families import resolve
from lwmport.models.precision import in_precision
from lwmport.pipeline.validate.test_inputs import pictures
from lwmport.runtime.runners.jax import reference, unquantized
from lwmport.types import Array, Component, Quantized, Weights, WeightSpec
from lwmport.validators.pictures import PHOTOGRAPHS
from lwmport.validators.ties import distances


@dataclass(frozen=True)
class Rounded:
    """Weights rounded to float16, but for the codebook, and read as float32."""

    weights: Weights
    codebook: str

    @property
    def specs(self) -> Mapping[str, WeightSpec]:
        """Those of the weights."""
        return self.weights.specs

    @property
    def source(self) -> Mapping[str, Any]:
        """That of the weights."""
        return self.weights.source

    def read(self, name: str) -> Array:
        """Return one tensor, rounded."""
        value = self.weights.read(name)
        return value if name == self.codebook else value.astype(np.float16).astype(np.float32)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="How many codes of the VQGAN's encoder a narrower dtype changes.")
    parser.add_argument("--config", help="a configuration of the VQGAN by name, or a JSON file", default="lwm")
    parser.add_argument("--checkpoint", help="weights in place of seeded ones", default=None)
    options = parser.parse_args(arguments)
    family = resolve("vqgan-encoder", options.config)
    opened = None if options.checkpoint is None else open_checkpoint(options.checkpoint)
    print(table(family.components[0], fitting(family, opened, 0)))


def table(component: Component, weights: Weights) -> str:
    """Return what each way of narrowing changes, as a table in Markdown."""
    quantizer = component.quantizer
    if quantizer is None:
        raise ValueError(f"expected a component that quantizes, found {component.name}")
    before = unquantized(component, quantizer)
    codebook = weights.read(quantizer.codebook).astype(np.float32)
    made_of = Quantized(states=quantizer.states, vectors=_vectors(before, weights), codebook=codebook)
    lines = [
        "| narrowed | latents moved by | other codes | most in one photograph | largest tie distance |",
        "| --- | --- | --- | --- | --- |",
        _row("weights alone, to float16", made_of, _vectors(before, Rounded(weights, quantizer.codebook))),
        *(_row(name, made_of, _vectors(in_precision(before, name), weights)) for name in ("float16", "bfloat16")),
        "",
        f"Weights: {weights.source['description']}.",
    ]
    return "\n".join(lines)


def _vectors(before: Component, weights: Weights) -> Array:
    """Return what is quantized, [photographs, h, w, dimension]; a photograph at a time, as a picture model runs."""
    runner = reference(before, weights)
    (spec,) = before.signature.inputs
    found = (runner.run({spec.name: picture[None]}) for picture in pictures(spec, range(len(PHOTOGRAPHS))))
    return np.concatenate([next(iter(outputs.values())) for outputs in found])


def _row(name: str, made_of: Quantized, moved: Array) -> str:
    expected, found = (_nearest(vectors, made_of.codebook) for vectors in (made_of.vectors, moved))
    size, error = (
        np.sqrt(np.mean(values.astype(np.float64) ** 2)) for values in (made_of.vectors, moved - made_of.vectors)
    )
    differ = (expected != found).reshape(len(expected), -1).sum(axis=1)
    largest = distances(made_of, expected, found).max()
    return f"| {name} | {error / size:.2%} | {differ.sum()} of {found.size} | {differ.max()} | {largest:.2g} |"


def _nearest(vectors: Array, codebook: Array) -> Array:
    """Return the index of the nearest code of each vector [..., dimension], in float64."""
    vectors, codes = vectors.astype(np.float64), codebook.astype(np.float64)
    found: Array = ((codes**2).sum(-1) - 2 * vectors @ codes.T).argmin(-1)
    return found


if __name__ == "__main__":
    main()
