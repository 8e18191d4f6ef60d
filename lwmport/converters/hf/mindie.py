"""MindIE's W8A16: int8 with a scale and an offset for each output, and a description of every tensor.

Source: hiascend.com, MindIE LLM 1.0 and 2.3, page mindie_llm0289: ``(weight - weight_offset) * weight_scale``, scales
and offsets float32 [outputs, 1], everything else float16. Both names of the description are written: 1.0 and 2.3 look
for different ones.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from lwmport.checkpoints.writers.safetensors_folder import Item
from lwmport.converters.hf.packings import Folder, Format, PackedMatrix, made, whole, zeros_of
from lwmport.quantise.rounding import middle
from lwmport.types import Array

KIND: Final = "w8a16"
DESCRIPTIONS: Final = ("quant_model_description.json", f"quant_model_description_{KIND}.json")


def pack(matrix: PackedMatrix) -> list[Item]:
    """Return the tensors of a matrix."""

    def offsets() -> Array:
        return zeros_of(matrix).astype(np.float32) - middle(matrix.scheme.bits)

    return [
        whole(f"{matrix.name}.weight", matrix.codes),
        made(f"{matrix.name}.weight_offset", matrix.scales.spec.shape, "float32", offsets),
        whole(f"{matrix.name}.weight_scale", matrix.scales),
    ]


def config(_: Folder) -> dict[str, Any]:
    """Return what ``config.json`` says: the kind, and the dtype of everything else."""
    return {"quantize": KIND, "torch_dtype": "float16"}


def files(folder: Folder) -> Mapping[str, Any]:
    """Return the description: the kind of every tensor."""
    quantised = set(folder.quantised)
    kinds = {item.name: KIND.upper() if item.name.rpartition(".")[0] in quantised else "FLOAT" for item in folder.items}
    return {name: {"model_quant_type": KIND.upper(), **kinds} for name in DESCRIPTIONS}


FORMAT: Final = Format(pack=pack, config=config, files=files, weights=f"quant_model_weight_{KIND}.safetensors")
