"""Train a small VQGAN of LWM's architecture on photographs: the weights in ``tests/data/trained_vqgan``.

    pip install scikit-image scikit-learn optax
    python tools/train_small_vqgan.py vqgan.safetensors --state state.msgpack

It learns from ten photographs of scikit-learn (CC BY 2.0) and scikit-image (public domain and CC0), which
`small_vqgan_pictures` lists, in about six minutes of processor time. It goes on from ``--state``, which is written
each 100 steps; a step depends on that, on the seed and on its own number, and on nothing else. Seed 0 gave 27.7, 28.4
and 32.3 dB of PSNR on three photographs that it had never seen, with 488 of the 512 codes.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import flax.serialization
import flax.traverse_util
import jax.numpy as jnp
import numpy as np
import small_vqgan_pictures as pictures
import small_vqgan_step as training

from lwmport.checkpoints import sidecar
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.writers.write import write_checkpoint
from lwmport.types import Array, WeightSpec
from lwmport.validators.pictures import photographs

STEPS: Final = 1800
LATE: Final = 0.75
CROPS: Final = ((16, 16),)
LARGER: Final = ((16, 16), (64, 1))
"""Pixels of a side and crops of a batch, in turns; behind `LATE` of the steps the second. Many small crops tell more of
colours in a step, large ones have the statistics of normalisations that whole pictures have."""

NARROW: Final = "*coder/MidBlock_0/*/kernel"
"""Tensors that are written in float16, so that the file stays below 3 MB."""

TOLD: Final = 100
JUDGED: Final = 3
"""Photographs that are told of while training, and never trained on: the first of `lwmport.validators.pictures`."""


@dataclass(frozen=True)
class Trained:
    """Weights (`lwmport.types.Weights`) out of a state of training."""

    arrays: Mapping[str, Array]

    @property
    def specs(self) -> Mapping[str, WeightSpec]:
        """Shape and dtype by name."""
        return {name: WeightSpec(shape=array.shape, dtype=array.dtype.name) for name, array in self.arrays.items()}

    @property
    def source(self) -> Mapping[str, Any]:
        """What they are."""
        return {"kind": "file", "description": "a small VQGAN, trained"}

    def read(self, name: str) -> Array:
        """Return one tensor."""
        return self.arrays[name]


def main() -> int:
    """Train, and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    given = parser.parse_args()
    with training.differentiable():
        state = training.initial(given.seed, given.steps)
        if given.state.exists():
            state = flax.serialization.from_bytes(state, given.state.read_bytes())
        state = _trained(state, given)
    write(state, given.out)
    return 0


def _trained(state: training.State, given: argparse.Namespace) -> training.State:
    """Return the state after all steps; it is told of, and written, each `TOLD`."""
    found, judged = pictures.photographs(), jnp.asarray(photographs(JUDGED, training.CONFIG.resolution))
    for number in range(int(state["step"]), given.steps):
        sizes = CROPS if number < LATE * given.steps else LARGER
        side, count = sizes[number % len(sizes)]
        state, error = training.step(state, pictures.crops(found, given.seed, number, side, count), given.steps)
        if (number + 1) % TOLD == 0 or number + 1 == given.steps:
            made, codes = training.rebuilt(state, judged)
            psnr = 10 * np.log10(4 / np.square(np.asarray(made - judged)).mean((1, 2, 3)))
            told = f"step {number + 1}, training {10 * np.log10(4 / float(error)):.2f} dB, others {psnr.round(2)} dB"
            sys.stderr.write(f"{told}, {len(np.unique(codes))} codes\n")
            given.state.write_bytes(flax.serialization.to_bytes(state))
    return state


def write(state: training.State, out: Path) -> None:
    """Write weights in LWM's names, `NARROW` of them in float16, and the configuration beside them."""
    flat = flax.traverse_util.flatten_dict(state["params"], sep="/")
    flat["quantize/embeddings"] = training.codebook(state)
    arrays = {
        name: np.asarray(value, np.float16 if fnmatch(name, NARROW) else np.float32)
        for name, value in sorted(flat.items())
    }

    def beside(file: Path) -> None:
        sidecar.write_beside(open_checkpoint(file), "vqgan", training.CONFIG.to_json(), None)

    write_checkpoint(Trained(arrays), out, "safetensors", beside=beside)


if __name__ == "__main__":
    sys.exit(main())
