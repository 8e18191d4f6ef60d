"""GPTQ's layout, which GPTQModel, vLLM and others read: words of codes along the inputs, zero points along the outputs.

Files of the first version ("gptq") hold each zero point minus one, and readers add one to whole words: a zero point of
0 would spill into its neighbour. So only symmetric weights are written in it. Others are written in the second
("gptq_v2"), which holds zero points as they are.
"""

import re
from typing import Any, Final

import numpy as np

from lwmport.checkpoints.writers.safetensors_folder import Item
from lwmport.converters.hf.packings import Folder, Format, PackedMatrix, in_words, made, words_of, zeros_of

FIRST: Final = "gptq"
SECOND: Final = "gptq_v2"


def pack(matrix: PackedMatrix) -> list[Item]:
    """Return the tensors of a matrix: qweight, qzeros, scales, and the group of each input."""
    (outputs, inputs), bits, name = matrix.shape, matrix.scheme.bits, matrix.name
    groups, less = matrix.scales.spec.shape[1], 1 if matrix.scheme.symmetric else 0
    return [
        made(
            f"{name}.qweight",
            (words_of(inputs, bits), outputs),
            "int32",
            lambda: in_words(matrix.codes.read().T, bits, 0),
        ),
        made(
            f"{name}.qzeros",
            (groups, words_of(outputs, bits)),
            "int32",
            lambda: in_words(zeros_of(matrix).T - np.uint8(less), bits, 1),
        ),
        made(f"{name}.scales", (groups, outputs), matrix.scales.spec.dtype, lambda: matrix.scales.read().T),
        made(f"{name}.g_idx", (inputs,), "int32", lambda: np.arange(inputs, dtype=np.int32) // matrix.scheme.group),
    ]


def config(folder: Folder) -> dict[str, Any]:
    """Return what ``config.json`` says."""
    return {"quantization_config": {"quant_method": FIRST, **_settings(folder)}}


def files(folder: Folder) -> dict[str, Any]:
    """Return the same in a file of its own, where older readers look for it."""
    return {"quantize_config.json": _settings(folder)}


def _settings(folder: Folder) -> dict[str, Any]:
    scheme = folder.scheme
    found = {
        "bits": scheme.bits,
        "group_size": scheme.group,
        "desc_act": False,
        "sym": scheme.symmetric,
        "lm_head": False,
        "true_sequential": True,
        "checkpoint_format": FIRST if scheme.symmetric else SECOND,
    }
    kept = [name for name in folder.ignored if name != "lm_head"]
    return {**found, "dynamic": {f"-:^{re.escape(name)}$": {} for name in kept}} if kept else found


FORMAT: Final = Format(pack=pack, config=config, files=files)
