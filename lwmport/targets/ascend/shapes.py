"""ATC's options on shapes: static ones, gears for dynamic ones, and pictures that come as bytes."""

from typing import Final

from lwmport.errors import UsageError
from lwmport.targets.compile.job import CompileJob, Gear, dynamic_names, sized
from lwmport.types import Kind, TensorSpec

GEARS: Final = (2, 100)
"""How many gears ATC takes. Each one is compiled: the vendor recommends three or four."""

SIDES: Final = ("height", "width")

FORMATS: Final = {"onnx": "NCHW", "frozen_graph": "NHWC"}
"""What ATC takes the sides of a picture from; it has no NHWC for ONNX."""


def shape_options(job: CompileJob) -> list[str]:
    """Return ``--input_format``, ``--input_shape`` and, for dynamic sizes, their gears."""
    shapes = ";".join(f"{spec.name}:{','.join(_dim(dim) for dim in spec.shape)}" for spec in job.signature.inputs)
    dynamic = dynamic_names(job.signature)
    options = [f"--input_shape={shapes}"]
    if not dynamic:
        return [f"--input_format={FORMATS[job.format]}", *options]
    if len(dynamic) == 1 and _leads(job, dynamic[0]):
        sizes = ",".join(str(gear[dynamic[0]]) for gear in job.gears)
        return [f"--input_format={FORMATS[job.format]}", *options, f"--dynamic_batch_size={sizes}"]
    if sorted(dynamic) == sorted(SIDES):
        sizes = ";".join(f"{gear['height']},{gear['width']}" for gear in job.gears)
        return [f"--input_format={FORMATS[job.format]}", *options, f"--dynamic_image_size={sizes}"]
    _check_no_bytes(job)
    sizes = ";".join(
        ",".join(_free(spec, gear) for spec in job.signature.inputs if _free(spec, gear)) for gear in job.gears
    )
    return ["--input_format=ND", *options, f"--dynamic_dims={sizes}"]


def aipp(job: CompileJob) -> bytes:
    """Return the configuration with which pictures come as bytes [n, h, w, 3] and are scaled on the device.

    The device computes ``(byte - 127.5) / 127.5`` for values in [-1, 1]: ``(pixel - mean - min) * var_reci`` in the
    vendor's terms.

    Raises:
        UsageError: no input is a picture of static size that ATC can take its sides from.
    """
    blocks = [_block(job, rank, spec) for rank, spec in enumerate(job.signature.inputs) if spec.kind is Kind.PICTURE]
    if not blocks:
        raise UsageError(f"expected an input that is a picture, found none in {job.path.name}")
    return "".join(blocks).encode()


def _block(job: CompileJob, rank: int, spec: TensorSpec) -> str:
    axes = (2, 3, 1) if FORMATS[job.format] == "NCHW" else (1, 2, 3)
    height, width, channels = (spec.shape[axis] for axis in axes) if len(spec.shape) == 4 else (0, 0, 0)
    if channels != 3 or isinstance(height, str) or isinstance(width, str):
        raise UsageError(
            f"expected {spec.name} as {FORMATS[job.format]} with 3 channels and static sides for pictures as bytes, "
            f"found [{', '.join(map(str, spec.shape))}]; ATC reads ONNX as NCHW, a frozen graph (--to frozen_graph) as "
            "NHWC"
        )
    low, high = spec.value_range or (-1.0, 1.0)
    scale = (high - low) / 255
    lines = [
        "aipp_op {",
        f"  related_input_rank: {rank}",
        "  aipp_mode: static",
        "  input_format: RGB888_U8",
        f"  src_image_size_w: {width}",
        f"  src_image_size_h: {height}",
        "  csc_switch: false",
        "  rbuv_swap_switch: false",
        *(f"  mean_chn_{channel}: 0" for channel in range(3)),
        *(f"  min_chn_{channel}: {-low / scale:.9g}" for channel in range(3)),
        *(f"  var_reci_chn_{channel}: {scale:.9g}" for channel in range(3)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _check_no_bytes(job: CompileJob) -> None:
    if job.pictures_as_bytes:
        raise UsageError(
            "expected either pictures as bytes or gears for other dimensions than the batch: ATC refuses both"
        )


def _leads(job: CompileJob, name: str) -> bool:
    """Return whether a dynamic dimension is the batch: the first of each input that has it, and nowhere else."""
    return all(dim != name or axis == 0 for spec in job.signature.inputs for axis, dim in enumerate(spec.shape))


def _free(spec: TensorSpec, gear: Gear) -> str:
    """Return a gear's sizes for the dynamic dimensions of one input, in their order."""
    sizes = sized(spec, gear)
    return ",".join(str(size) for size, dim in zip(sizes, spec.shape, strict=True) if isinstance(dim, str))


def _dim(dim: int | str) -> str:
    return "-1" if isinstance(dim, str) else str(dim)
