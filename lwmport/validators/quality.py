"""Pictures: how alike two look, beside how far their numbers are apart."""

import math
from dataclasses import fields

import numpy as np

from lwmport.types import Array, Tolerance
from lwmport.validators.metrics import PictureMetrics, ValueMetrics
from lwmport.validators.values import decibels, value_metrics

WINDOW = 11
"""Pixels across the Gaussian window of SSIM."""


def picture_metrics(
    reference: Array, candidate: Array, tolerance: Tolerance, value_range: tuple[float, float] = (-1.0, 1.0)
) -> PictureMetrics:
    """Return the errors of every pixel value, and PSNR and SSIM of every picture.

    Args:
        reference: [..., height, width, channels], floating point; leading axes count pictures.
        candidate: the same shape.
        tolerance: for single pixel values.
        value_range: smallest and largest possible pixel. SSIM compares means as parts of each other, so it is computed
            of pixels that count from the smallest one, as in a file of bytes.
    """
    low, high = value_range
    values = value_metrics(reference, candidate, tolerance)
    pairs = list(zip(_pictures(reference), _pictures(candidate), strict=True))
    psnr = tuple(_psnr(*pair, high - low) for pair in pairs)
    ssim = tuple(_ssim(*pair, low, high) for pair in pairs)
    known = [value for value in ssim if value is not None]
    return PictureMetrics(
        **{field.name: getattr(values, field.name) for field in fields(ValueMetrics)},
        data_range=high - low,
        psnr_db=psnr,
        ssim=ssim,
        worst_psnr_db=min(psnr, default=-math.inf),
        worst_ssim=min(known) if known and len(known) == len(ssim) else None,
    )


def _pictures(batch: Array) -> Array:
    """Return [pictures, height, width, channels]."""
    return batch.reshape(-1, *batch.shape[-3:])


def _psnr(reference: Array, candidate: Array, data_range: float) -> float:
    if not (np.isfinite(reference).all() and np.isfinite(candidate).all()):
        return -math.inf
    error = candidate.astype(np.float64) - reference.astype(np.float64)
    return decibels(data_range**2, float(np.square(error).mean()))


def _ssim(reference: Array, candidate: Array, low: float, high: float) -> float | None:
    """Return the SSIM of one picture with the settings of Wang et al., IEEE TIP 13(4), 2004."""
    from skimage.metrics import structural_similarity

    finite = np.isfinite(reference).all() and np.isfinite(candidate).all()
    if not finite or min(reference.shape[:2]) < WINDOW:
        return None
    similarity = structural_similarity(
        reference.astype(np.float64) - low,
        candidate.astype(np.float64) - low,
        data_range=high - low,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return float(similarity)
