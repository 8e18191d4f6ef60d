"""Blocks of ggml: the bytes of llama.cpp's own quantiser, and values that are near those that went in."""

import hashlib

import numpy as np
import pytest

from lwmport.ggml_kinds import KINDS
from lwmport.quantise.ggml.blocks import dequantised, quantised
from lwmport.types import Array

pytest.importorskip("gguf.quants")

LLAMA_CPP = {
    "Q4_0": "f2264c89f0cc41d92ec7e659ba42768c89dfdae1fe4ec3734a5e0d1d180966e0",
    "Q4_1": "6bfef1ac241545b91118be5b6c0b503d444e2c1c2557f4f7a5291d4bbce0f671",
    "Q5_0": "18e58ccebace2bad15d729e762e52d14421c7fc19e7b9492986ab41525227ff3",
    "Q8_0": "e3a4812feb1104302e2a0b37bdb1ce27ae67a204f275a4b2372a26782540f393",
    "Q4_K": "8202d9e67cd714a42089d8f686cad42a9fd0ff34cd7d5624988538be79349b1f",
    "Q5_K": "478328f725fa59084942e54a2419ad35b093efe22d03ae56e8ac2c87913ab69e",
    "Q6_K": "93538aaec6f6cf89a7e4e18662d96ff768428836ab792b83972138e54da9fbaa",
}
"""SHA-256 of what llama.cpp (``model_quantize`` of cyllama 0.2.18) makes of `values`, as ``token_embd.weight``."""

ERRORS = {"Q4_0": 0.11, "Q4_1": 0.10, "Q5_0": 0.06, "Q8_0": 0.008, "Q4_K": 0.09, "Q5_K": 0.045, "Q6_K": 0.025}
"""Error of a whole row as a share of it, at most."""


def values() -> Array:
    """Return [64, 512]: numbers around zero, and rows of one sign, of one number, of zeros, tiny, huge, of outliers."""
    number = np.arange(64 * 512, dtype=np.uint64)
    mixed = (number * np.uint64(2654435761) + np.uint64(12345)) % np.uint64(1 << 32)
    mixed = (mixed ^ (mixed >> np.uint64(13))) * np.uint64(2246822519) % np.uint64(1 << 32)
    x = (mixed.astype(np.float64) / 2**31 - 1).astype(np.float32).reshape(64, 512)
    x = x * x * x * np.float32(0.05)
    x[1], x[2] = np.abs(x[1]), -np.abs(x[2])
    x[3], x[4], x[5], x[6, :64] = 0, np.float32(0.03), np.float32(-0.03), 0
    for row, factor in ((7, 1e-7), (8, 1e4), (9, 1e-14)):
        x[row] *= np.float32(factor)
    x[10, ::7] *= 100
    x[11] = np.round(x[11] * 100) / 100
    return x


@pytest.mark.parametrize("kind", LLAMA_CPP)
def test_the_bytes_are_llama_cpps(kind: str) -> None:
    found = quantised(values(), KINDS[kind])
    assert found.shape == (64 * 512 // KINDS[kind].values, KINDS[kind].nbytes)
    assert hashlib.sha256(found.tobytes()).hexdigest() == LLAMA_CPP[kind]


@pytest.mark.parametrize("kind", LLAMA_CPP)
def test_values_come_back(kind: str) -> None:
    x = values()[12:]
    again = dequantised(quantised(x, KINDS[kind]), KINDS[kind]).reshape(x.shape)
    error = np.linalg.norm(again - x, axis=1) / np.linalg.norm(x, axis=1)
    assert error.max() < ERRORS[kind]


@pytest.mark.parametrize("kind", LLAMA_CPP)
def test_a_block_does_not_depend_on_its_neighbours(kind: str) -> None:
    blocks, x = KINDS[kind], values()
    whole = quantised(x, blocks)
    np.testing.assert_array_equal(quantised(x[5:7], blocks), whole[5 * 512 // blocks.values : 7 * 512 // blocks.values])
