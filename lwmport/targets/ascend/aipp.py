"""AIPP: pictures come as bytes, and the device makes numbers of them before the model's first operator.

The device computes ``(byte - mean_chn - min_chn) * var_reci_chn`` for each channel. ``mean_chn`` is a whole number from
0 to 255, the two others are float16, and so is what comes out (ATC's guide, on the configuration of AIPP).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.errors import UsageError
from lwmport.targets.ascend.formats import FORMATS
from lwmport.targets.compile.job import CompileJob
from lwmport.types import Array, Kind, Normalisation, Preprocessing, TensorSpec

BYTES: Final = "uint8"
LEVELS: Final = 255
CHANNELS: Final = 3


@dataclass(frozen=True, kw_only=True)
class Channel:
    """The numbers of one channel, as the configuration has them."""

    mean: int
    least: float
    factor: float


def aipp(job: CompileJob) -> bytes:
    """Return the configuration with which pictures come as bytes [n, h, w, 3] and the device makes numbers of them.

    Raises:
        UsageError: no input is a picture of static size that ATC can take its sides from, or a mean lies outside of
            what a byte can be.
    """
    return "".join(_block(job, rank, spec) for rank, spec in _pictures(job)).encode()


def differences(job: CompileJob) -> dict[str, float]:
    """Return, for each input that is a picture, how far it is at most from the float32 input of the same byte."""
    return {spec.name: difference(spec, job.preprocessing.get(spec.name)) for _, spec in _pictures(job)}


def difference(spec: TensorSpec, how: Preprocessing | None) -> float:
    """Return the largest difference, over all bytes and channels, of what AIPP makes of a byte.

    Each step is rounded to float16 here; a device that rounds less often is nearer.
    """
    numbers = _numbers(spec, how)
    exact = (np.arange(LEVELS + 1)[:, None] / LEVELS - numbers.mean) / np.asarray(numbers.deviation)
    return float(np.abs(emulated(channels_of(spec, how)).astype(np.float64) - exact).max())


def emulated(channels: tuple[Channel, ...]) -> Array:
    """Return what the device makes of each byte: float16 [256, channels], every step rounded to float16."""
    levels = np.arange(LEVELS + 1, dtype=np.float16)[:, None]
    mean = np.asarray([channel.mean for channel in channels], np.float16)
    least = np.asarray([channel.least for channel in channels], np.float16)
    found: Array = (levels - mean - least) * np.asarray([channel.factor for channel in channels], np.float16)
    return found


def channels_of(spec: TensorSpec, how: Preprocessing | None) -> tuple[Channel, ...]:
    """Return the numbers of each channel: ``255 mean``, its whole part apart, and ``1 / (255 deviation)``.

    Apart, the part behind the point is a float16 below 1: the whole of 122.77 as one would be off by 0.02.

    Raises:
        UsageError: a mean is no value that a byte can have.
    """
    numbers = _numbers(spec, how)
    means = [LEVELS * mean for mean in numbers.mean]
    if not all(0 <= mean <= LEVELS for mean in means):
        raise UsageError(
            f"expected a mean from 0 to {LEVELS} of the bytes of {spec.name} for pictures as bytes, found "
            f"{', '.join(f'{mean:g}' for mean in means)}; AIPP takes no other"
        )
    return tuple(
        Channel(mean=int(mean), least=mean - int(mean), factor=1 / (LEVELS * deviation))
        for mean, deviation in zip(means, numbers.deviation, strict=True)
    )


def _numbers(spec: TensorSpec, how: Preprocessing | None) -> Normalisation:
    """Return mean and deviation of each channel; those of the input's range where nothing else is told."""
    if how is not None and how.normalisation is not None:
        mean, deviation = how.normalisation.mean, how.normalisation.deviation
    else:
        low, high = spec.value_range or (-1.0, 1.0)
        mean, deviation = (-low / (high - low),), (1 / (high - low),)
    every = CHANNELS // len(mean)
    return Normalisation(mean=mean * every, deviation=deviation * every)


def _pictures(job: CompileJob) -> list[tuple[int, TensorSpec]]:
    found = [(rank, spec) for rank, spec in enumerate(job.signature.inputs) if spec.kind is Kind.PICTURE]
    if not found:
        raise UsageError(f"expected an input that is a picture, found none in {job.path.name}")
    for _, spec in found:
        if spec.dtype == BYTES:
            raise UsageError(
                f"expected {spec.name} as numbers for pictures as bytes, found {spec.dtype}: the model makes numbers "
                "of bytes itself (--with-preprocessing); leave one of both out"
            )
    return found


def _block(job: CompileJob, rank: int, spec: TensorSpec) -> str:
    axes = (2, 3, 1) if FORMATS[job.format] == "NCHW" else (1, 2, 3)
    height, width, channels = (spec.shape[axis] for axis in axes) if len(spec.shape) == 4 else (0, 0, 0)
    if channels != CHANNELS or isinstance(height, str) or isinstance(width, str):
        raise UsageError(
            f"expected {spec.name} as {FORMATS[job.format]} with 3 channels and static sides for pictures as bytes, "
            f"found [{', '.join(map(str, spec.shape))}]; ATC reads ONNX as NCHW, a frozen graph (--to frozen_graph) as "
            "NHWC, and a model converted with --with-preprocessing takes bytes itself"
        )
    numbers = channels_of(spec, job.preprocessing.get(spec.name))
    lines = [
        "aipp_op {",
        f"  related_input_rank: {rank}",
        "  aipp_mode: static",
        "  input_format: RGB888_U8",
        f"  src_image_size_w: {width}",
        f"  src_image_size_h: {height}",
        "  csc_switch: false",
        "  rbuv_swap_switch: false",
        *(f"  mean_chn_{index}: {channel.mean}" for index, channel in enumerate(numbers)),
        *(f"  min_chn_{index}: {channel.least:.9g}" for index, channel in enumerate(numbers)),
        *(f"  var_reci_chn_{index}: {channel.factor:.9g}" for index, channel in enumerate(numbers)),
        "}",
    ]
    return "\n".join(lines) + "\n"
