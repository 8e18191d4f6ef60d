"""What more int8 between convolutions of integers would lose: ``python benchmarks/wider_int8.py --checkpoint FILE``.

TFLite has SiLU (LOGISTIC, MUL) and sums (ADD) on int8 too. Here JAX rounds at the places where these would: in front
of each convolution of integers that follows a SiLU, with LOGISTIC's fixed scale of 1/256, and at the end of each block
whose last convolution is one of integers. Nothing is timed.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from tables import aligned

from lwmport.models.composites import basic
from lwmport.models.composites.rounding import rounded
from lwmport.pipeline.convert.calibration import levels_of
from lwmport.types import Levels, Rounded

GATE = Levels(scale=1 / 256, zero=-128)
"""What TFLite's LOGISTIC gives on int8."""

KINDS = {
    "convolutions alone": (),
    "SiLU too": ("silu",),
    "sums too": ("sums",),
    "both": ("silu", "sums"),
}
PICTURES = range(3)
"""Photographs that are judged. The ranges are those of the next three."""

Arrays = Mapping[str, Any]
plain_silu = basic.silu


def main(arguments: Sequence[str] | None = None) -> None:
    """Run each half with each kind of rounding, and print what it loses."""
    options = _parser().parse_args(arguments)
    print(aligned([["component", "int8", "beside float32"], *_rows(options.checkpoint)]))


def _rows(checkpoint: str) -> list[list[str]]:
    from lwmport.checkpoints.model_weights import component_weights, open_model
    from lwmport.models.families import rounding
    from lwmport.models.options import Options
    from lwmport.models.storage import rounding_kernels
    from lwmport.pipeline.convert.calibration import ranges
    from lwmport.pipeline.validate.test_inputs import pictures
    from lwmport.runtime.runners.jax import reference

    family, weights = open_model("vqgan", checkpoint, "lwm", Options(quantize="w8a8"), 0)
    feeds = [{"pixel_values": one[None]} for one in pictures(family.references[0].signature.inputs[0], range(6))]
    rows = []
    for component in family.references:
        own = component_weights(family, component, weights)
        kernels = rounding_kernels(component, family.options)
        exact = reference(component, own.exact).run_all(feeds)  # type: ignore[attr-defined]
        found = ranges(component, own, kernels, feeds[len(PICTURES) :], family.options)
        wider = Wider(found=found)
        wider.run(component, own.exact, feeds[len(PICTURES) :])  # type: ignore[attr-defined]
        held = component_weights(rounding(family, {component.name: found}), component, weights)
        for kind, more in KINDS.items():
            wider.more = ("convolutions", *more)
            outputs = wider.run(component, held, [feeds[place] for place in PICTURES])
            rows.append([component.name, kind, _beside(exact[: len(PICTURES)], outputs)])
        feeds = [{"codebook_indices": one["codebook_indices"]} for one in exact if "codebook_indices" in one]
    return rows


@dataclass(kw_only=True)
class Wider:
    """A component in which more is rounded; where nothing is, it sees the ranges of what could be.

    Attributes:
        found: what each convolution of integers rounds.
        more: what is rounded: ``convolutions``, ``silu``, ``sums``.
        seen: the least and the largest value of each place.
        made: the results of SiLU, by identity, and what they were made of.
    """

    found: Mapping[str, Rounded]
    more: tuple[str, ...] = ()
    seen: dict[str, tuple[float, float]] = field(default_factory=dict)
    made: dict[int, tuple[Any, Any]] = field(default_factory=dict)

    def run(self, component: Any, weights: Any, feeds: Sequence[Arrays]) -> list[dict[str, Any]]:
        """Return what the component makes of each input; an operator at a time, so that results have identities."""
        held = {name: jnp.asarray(weights.read(name)) for name in component.weights}
        basic.silu = self._silu
        try:
            with nn.intercept_methods(self._intercept):
                return [component.apply(held, one) for one in feeds]
        finally:
            basic.silu = plain_silu
            self.made.clear()

    def _silu(self, x: Any) -> Any:
        y = plain_silu(x)
        self.made[id(y)] = (x, y)
        return y

    def _intercept(self, call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        path = "/".join(context.module.path)
        if context.method_name != "__call__":
            return call(*args, **kwargs)
        if f"{path}/kernel" in self.found:
            return self._convolved(f"{path}/kernel", call, *args)
        y = call(*args, **kwargs)
        if f"{path}/Conv_1/kernel" in self.found and type(context.module).__name__ == "ResnetBlock":
            return self._at(path, y, "sums")
        return y

    def _convolved(self, kernel: str, convolve: Any, x: Any) -> Any:
        own, (before, _) = self.found[kernel], self.made.get(id(x), (None, None))
        if before is not None and (not self.more or "silu" in self.more):
            codes = self._at(kernel, before, "silu")
            x = codes * rounded(jax.nn.sigmoid(codes), GATE) if self.more else x
        if not self.more:
            return convolve(x)
        y = convolve(rounded(x, own.inputs))
        return y if own.outputs is None else rounded(y, own.outputs)

    def _at(self, place: str, x: Any, what: str) -> Any:
        """Return a value, rounded where that is asked for; its range is seen where nothing is."""
        if self.more:
            return rounded(x, levels_of(*self.seen[place])) if what in self.more else x
        low, high = self.seen.get(place, (0.0, 0.0))
        self.seen[place] = min(low, float(x.min())), max(high, float(x.max()))
        return x


def _beside(expected: Sequence[Arrays], found: Sequence[Arrays]) -> str:
    if "codebook_indices" in expected[0]:
        pairs = [(one["codebook_indices"], other["codebook_indices"]) for one, other in _pairs(expected, found)]
        return f"{np.mean([np.mean(one == np.asarray(other)) for one, other in pairs]):.1%} of the codes"
    squared = [np.mean((one["pixel_values"] - other["pixel_values"]) ** 2) for one, other in _pairs(expected, found)]
    return f"{10 * np.log10(4 / np.max(squared)):.1f} dB PSNR, the worst picture"


def _pairs(expected: Sequence[Arrays], found: Sequence[Arrays]) -> list[tuple[Arrays, Arrays]]:
    return list(zip(expected, found, strict=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default="tests/data/trained_vqgan/vqgan.safetensors")
    return parser


if __name__ == "__main__":
    main()
