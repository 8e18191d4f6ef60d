"""ATC's options on shapes: static ones, and gears for dynamic ones."""

from typing import Final

from lwmport.errors import UsageError
from lwmport.targets.ascend.formats import FORMATS
from lwmport.targets.compile.job import CompileJob, Gear, dynamic_names, sized
from lwmport.types import TensorSpec

GEARS: Final = (2, 100)
"""How many gears ATC takes. Each one is compiled: the vendor recommends three or four."""

SIDES: Final = ("height", "width")


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
