"""What an artifact that is not float32 loses in pictures and codes, beside the float32 model: stated, never judged."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.types import Array, Quantized, Tolerance
from lwmport.validators.quality import picture_metrics
from lwmport.validators.ties import distances

NO_LIMIT: Final = Tolerance(atol=0.0, rtol=0.0, why="a statement, no verdict")


@dataclass(frozen=True, kw_only=True)
class CodeAccuracy:
    """How many codes are those of the float32 model, and how near a tie the others were.

    Attributes:
        codes: how many there are.
        agreeing: how many of them agree.
        distinct: different codes of the float32 model: agreement on few of them says little.
        median_tie_distance: of those that do not agree, as `lwmport.validators.ties` measures it; None without any, or
            where it is not known what was quantized.
        largest_tie_distance: likewise.
    """

    codes: int
    agreeing: int
    distinct: int
    median_tie_distance: float | None
    largest_tie_distance: float | None


@dataclass(frozen=True, kw_only=True)
class PictureAccuracy:
    """How alike pictures are to others, one number a picture (`lwmport.validators.metrics.PictureMetrics`).

    Attributes:
        psnr_db: peak signal to noise ratio, decibels; infinite when equal.
        ssim: structural similarity; None for a picture smaller than its window or with a NaN.
    """

    psnr_db: tuple[float, ...]
    ssim: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """What one output of an artifact is beside that of the float32 model with exact weights, on the same inputs.

    Attributes:
        output: its name, ``CASE/OUTPUT`` where there are several cases.
        words: the statement, in one sentence.
        sqnr_db: 10 log10(sum r^2 / sum d^2), decibels, infinite when equal; None for integers.
        codes: of an output of codes.
        pictures: of an output of pictures, beside those of the float32 model.
        originals: of pictures that were made from others by way of codes: the artifact's beside those others.
        float32_originals: the float32 model's beside the same.
    """

    output: str
    words: str
    sqnr_db: float | None = None
    codes: CodeAccuracy | None = None
    pictures: PictureAccuracy | None = None
    originals: PictureAccuracy | None = None
    float32_originals: PictureAccuracy | None = None


@dataclass(frozen=True, kw_only=True)
class LayerLoss:
    """A tap, by its name, and its SQNR beside the float32 model's: decibels, infinite when equal."""

    name: str
    sqnr_db: float


def code_accuracy(expected: Array, found: Array, quantized: Quantized | None) -> CodeAccuracy:
    """Return how many codes agree, and how near a tie the others were.

    Args:
        expected: the float32 model's codes, any shape.
        found: the artifact's, of the same shape.
        quantized: what the float32 model made its codes of; None where that is not known.
    """
    other = expected != found
    ties = np.array([]) if quantized is None else distances(quantized, expected, found)[other]
    return CodeAccuracy(
        codes=expected.size,
        agreeing=expected.size - int(other.sum()),
        distinct=int(np.unique(expected).size),
        median_tie_distance=float(np.median(ties)) if ties.size else None,
        largest_tie_distance=float(ties.max()) if ties.size else None,
    )


def picture_accuracy(expected: Array, found: Array, value_range: tuple[float, float]) -> PictureAccuracy:
    """Return how alike pictures [..., height, width, channels] are; ``value_range`` as in `picture_metrics`."""
    metrics = picture_metrics(expected, found, NO_LIMIT, value_range)
    return PictureAccuracy(psnr_db=metrics.psnr_db, ssim=metrics.ssim)
