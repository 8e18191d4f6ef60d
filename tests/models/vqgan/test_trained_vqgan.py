"""The trained weights see: photographs that they were not trained on come back, and many codes are used for them."""

from pathlib import Path

import numpy as np
import pytest

from lwmport.checkpoints.model_weights import open_model
from lwmport.models.options import Options
from lwmport.runtime.runners.jax import reference
from lwmport.types import Array
from lwmport.validators.accuracy import NO_LIMIT
from lwmport.validators.pictures import photographs
from lwmport.validators.quality import picture_metrics

LARGEST = 3_000_000
"""Bytes that the weights may take."""


@pytest.fixture(scope="module")
def seen(trained_vqgan: Path) -> dict[str, Array]:
    """Photographs, their codes, and what is made of those."""
    family, weights = open_model("vqgan", str(trained_vqgan), "lwm", Options(), 0)
    side = family.config["resolution"]
    parts = {part.name: reference(part, weights) for part in family.components}
    pixels = photographs(3, side)
    codes = parts["vqgan-encoder"].run({"pixel_values": pixels})["codebook_indices"]
    made = parts["vqgan-decoder"].run({"codebook_indices": codes})["pixel_values"]
    return {"photographs": pixels, "codes": codes, "made": made}


def test_photographs_come_back(seen: dict[str, Array]) -> None:
    found = picture_metrics(seen["photographs"], seen["made"], NO_LIMIT)
    assert found.worst_psnr_db > 27
    assert np.mean(found.psnr_db) > 29
    assert found.worst_ssim is not None
    assert found.worst_ssim > 0.85


def test_codes_are_many(seen: dict[str, Array]) -> None:
    share = np.bincount(seen["codes"].ravel()) / seen["codes"].size
    used = share[share > 0]
    assert used.size > 460
    assert np.exp(-(used * np.log(used)).sum()) > 220  # as many codes, used alike, would say as much


def test_the_file_is_small(trained_vqgan: Path) -> None:
    assert trained_vqgan.stat().st_size < LARGEST
