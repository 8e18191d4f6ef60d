"""MindIE's W8A16 and W8A8: int8 with a scale and an offset for each output, and a description of every tensor.

Source: hiascend.com, MindIE LLM 1.0 and 2.3, pages mindie_llm0288 and mindie_llm0289:
``(weight - weight_offset) * weight_scale``, scales and offsets float32 [outputs, 1], everything else float16. Both
names of the description are written: 1.0 and 2.3 look for different ones.

W8A8 also has what is multiplied in int8, ``x / input_scale + input_offset``, both float16 [1]. The product is
``(x * weight + quant_bias) * deq_scale``: quant_bias int32 [outputs] takes the offset away, and deq_scale int64
[outputs] holds the bits of a float32 in its low half (ModelSlim, quantized_weight_format.md). vllm-ascend reads
weight_scale and weight_offset of it too.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from lwmport.checkpoints.writers.safetensors_folder import Item
from lwmport.converters.hf.packings import Folder, Format, PackedMatrix, made, whole, zeros_of
from lwmport.quantise.rounding import middle
from lwmport.types import Array, Levels

DESCRIPTION: Final = "quant_model_description{}.json"


def pack(matrix: PackedMatrix) -> list[Item]:
    """Return the tensors of a matrix."""

    def offsets() -> Array:
        return zeros_of(matrix).astype(np.float32) - middle(matrix.scheme.bits)

    items = [
        whole(f"{matrix.name}.weight", matrix.codes),
        made(f"{matrix.name}.weight_offset", matrix.scales.spec.shape, "float32", offsets),
        whole(f"{matrix.name}.weight_scale", matrix.scales),
    ]
    return items if matrix.inputs is None else [*items, *_of_inputs(matrix, matrix.inputs)]


def _of_inputs(matrix: PackedMatrix, inputs: Levels) -> list[Item]:
    """Return the tensors that say how what is multiplied is rounded, and what becomes of the sums of codes."""

    def bias() -> Array:
        sums: Array = matrix.codes.read().sum(axis=1, dtype=np.int64)
        return (-inputs.zero * sums).astype(np.int32)

    def factors() -> Array:
        scales: Array = np.float32(inputs.scale) * matrix.scales.read().reshape(-1)
        return scales.view(np.uint32).astype(np.int64)

    outputs, _ = matrix.shape
    return [
        made(f"{matrix.name}.input_scale", (1,), "float16", lambda: np.asarray([inputs.scale], np.float16)),
        made(f"{matrix.name}.input_offset", (1,), "float16", lambda: np.asarray([inputs.zero], np.float16)),
        made(f"{matrix.name}.quant_bias", (outputs,), "int32", bias),
        made(f"{matrix.name}.deq_scale", (outputs,), "int64", factors),
    ]


def config(folder: Folder) -> dict[str, Any]:
    """Return what ``config.json`` says: the kind, and the dtype of everything else."""
    return {"quantize": folder.scheme.name, "torch_dtype": "float16"}


def files(folder: Folder) -> Mapping[str, Any]:
    """Return the description: the kind of every tensor."""
    quantised, kind = set(folder.quantised), folder.scheme.name.upper()
    kinds = {item.name: kind if item.name.rpartition(".")[0] in quantised else "FLOAT" for item in folder.items}
    told = {"model_quant_type": kind, **kinds}
    return {DESCRIPTION.format(end): told for end in ("", f"_{folder.scheme.name}")}


FORMAT: Final = Format(pack=pack, config=config, files=files, weights="quant_model_weight_{}.safetensors")
