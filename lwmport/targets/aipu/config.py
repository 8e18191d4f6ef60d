"""Compass's configuration: the sections of the parser and the optimizer, and the samples for quantisation."""

import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import numpy as np

from lwmport.errors import UsageError
from lwmport.targets.aipu.attention import attention_keys
from lwmport.targets.compile.job import CompileJob, sized
from lwmport.targets.compile.plan import Place
from lwmport.types import Array, Kind, TensorSpec, dtype_of
from lwmport.wording import few

TYPES: Final = {"onnx": "onnx", "tflite": "tflite", "frozen_graph": "tensorflow"}

_COMMON: Final = {
    "quantize_method_for_weight": "per_channel_symmetric_restricted_range",
    "quantize_method_for_activation": "per_tensor_asymmetric",
    "weight_bits": "8",
    "activation_bits": "8",
    "bias_bits": "32",
    "lut_items_in_bits": "8",
    "cast_dtypes_for_lib": "True",
}

PRECISIONS: Final = {
    "int8": {},
    "mixed": {"trigger_float_op": "float16_preferred! & <[FullyConnected]:float16_act_int_wht!>"},
    "float16": {"trigger_float_op": "float16_preferred!"},
    "bfloat16": {"trigger_float_op": "bfloat16_preferred!"},
}
"""``mixed``: weights of matrix products in int8, the rest in float16. Convolutions must not be listed there: as run,
their cosine falls to 0.2. ``quant_type = fp16`` is ignored without a word."""

MOST_SAMPLES: Final = 512 * 2**20
"""Bytes of samples: the optimizer holds them all, and statistics do not get better."""


def parser_section(job: CompileJob, place: Place) -> dict[str, str]:
    """Return what the parser has to know; inputs, shapes and outputs always, for their order follows them."""
    gear = job.gears[0] if job.gears else {}
    shapes = [f"[{','.join(map(str, sized(spec, gear)))}]" for spec in job.signature.inputs]
    pictures = any(spec.kind is Kind.PICTURE for spec in (*job.signature.inputs, *job.signature.outputs))
    return {
        "model_type": TYPES[job.format],
        "model_name": job.name,
        "model_domain": "image_classification" if pictures else "speech_recognition",
        "detection_postprocess": "",
        "input_model": place.model,
        "input": ",".join(spec.name for spec in job.signature.inputs),
        "input_shape": ",".join(shapes),
        "output": ",".join(spec.name for spec in job.signature.outputs),
        "output_dir": place.out,
    }


def optimizer_section(job: CompileJob, place: Place, dataset: Mapping[str, str]) -> dict[str, str]:
    """Return how the optimizer quantises, and on what; a key may be there only once."""
    own = {**_COMMON, **PRECISIONS[job.precision], **(attention_keys(job.path) if job.precision == "int8" else {})}
    return {**dataset, "calibration_data": f"{job.name}.calibration.npy", **own, "output_dir": place.out}


def calibration_file(job: CompileJob) -> tuple[Callable[[], bytes], dict[str, str]]:
    """Return a function that makes the optimizer's file of samples, and the keys that say how to read it.

    One input: an array whose first axis runs over samples and batch; several: a dictionary of such arrays, in the
    order of the inputs. Inputs without a common first axis go as one whole sample.

    Raises:
        UsageError: there are no samples, or they do not fit the inputs.
    """
    gear = job.gears[0] if job.gears else {}
    shapes = {spec.name: sized(spec, gear) for spec in job.signature.inputs}
    samples = {spec.name: _fitting(job, spec, shapes[spec.name]) for spec in job.signature.inputs}
    leading = {shape[0] if shape else 0 for shape in shapes.values()}
    if len(leading) != 1 or 0 in leading:
        whole = {name: array[0] for name, array in samples.items()}
        keys = {"dataset": "NumpyMultiInputWithoutBatchDimDataset", "calibration_batch_size": "1"}
        return partial(_dictionary, whole), {**keys, "without_batch_dim": "True"}
    flat = {name: array.reshape(-1, *array.shape[2:]) for name, array in samples.items()}
    keys = {"calibration_batch_size": str(leading.pop())}
    if len(flat) == 1:
        return partial(_array, next(iter(flat.values()))), {"dataset": "NumpyDataset", **keys}
    return partial(_dictionary, flat), {"dataset": "NumpyMultiInputDataset", **keys}


def _fitting(job: CompileJob, spec: TensorSpec, shape: tuple[int, ...]) -> Array:
    """Return the samples [samples, *shape] of one input in its dtype, or int32 for int64, which Compass has not."""
    name = spec.name
    found = (job.calibration or {}).get(name)
    if found is None:
        given = few(job.calibration or {}) or "none"
        auto = "auto, or " if job.own else ""
        raise UsageError(
            f"expected samples of the input {name} to quantise with, found {given}; give --calibration {auto}DIR with "
            f"{name}.npy, {spec.dtype}[samples, {', '.join(map(str, shape))}]"
        )
    if found.shape[1:] != shape or not len(found):
        raise UsageError(
            f"expected the samples of {name} as [samples, {', '.join(map(str, shape))}], found {list(found.shape)}"
        )
    most = max(MOST_SAMPLES // max(found[:1].nbytes * len(job.signature.inputs), 1), 1)
    taken = np.ascontiguousarray(found[:most])
    if spec.dtype != "int64":
        return taken.astype(dtype_of(spec.dtype), copy=False)
    narrow = taken.astype(np.int32)
    if not np.array_equal(narrow, taken):
        raise UsageError(
            f"expected the samples of {name} inside of int32, the widest integers that Compass has, found up to "
            f"{int(taken.max()):,} and down to {int(taken.min()):,}"
        )
    return narrow


def ini(sections: Mapping[str, Mapping[str, str]]) -> bytes:
    """Return sections as the text that Compass reads with Python's configparser."""
    blocks = [
        "\n".join([f"[{name}]", *(f"{key} = {value}".rstrip() for key, value in keys.items())])
        for name, keys in sections.items()
    ]
    return ("\n\n".join(blocks) + "\n").encode()


def _array(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _dictionary(arrays: Mapping[str, Array]) -> bytes:
    """Return a dictionary of arrays as numpy writes it: Compass asks for this form, and reads it with pickle."""
    file = io.BytesIO()
    np.save(file, np.array(dict(arrays), dtype=object), allow_pickle=True)
    return file.getvalue()
