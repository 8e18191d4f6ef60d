"""AWQ's layout (AutoAWQ's version "gemm"), which transformers and vLLM read: words of eight codes along the outputs.

A word holds the outputs 0, 2, 4, 6, 1, 3, 5, 7 of its eight, the first in its lowest bits, for kernels that widen two
halves at once. Zero points are stored as they are, in the same words, those of symmetric weights too.
"""

from typing import Any, Final

import numpy as np

from lwmport.checkpoints.writers.safetensors_folder import Item
from lwmport.converters.hf.packings import Folder, Format, PackedMatrix, in_words, made, words_of, zeros_of
from lwmport.types import Array

METHOD: Final = "awq"
ORDER: Final = (0, 2, 4, 6, 1, 3, 5, 7)


def pack(matrix: PackedMatrix) -> list[Item]:
    """Return the tensors of a matrix: qweight [inputs, words], qzeros [groups, words], scales [groups, outputs]."""
    (outputs, inputs), bits, name = matrix.shape, matrix.scheme.bits, matrix.name
    groups, words = matrix.scales.spec.shape[1], words_of(outputs, bits)
    return [
        made(f"{name}.qweight", (inputs, words), "int32", lambda: _in_words(matrix.codes.read().T, bits)),
        made(f"{name}.qzeros", (groups, words), "int32", lambda: _in_words(zeros_of(matrix).T, bits)),
        made(f"{name}.scales", (groups, outputs), matrix.scales.spec.dtype, lambda: matrix.scales.read().T),
    ]


def config(folder: Folder) -> dict[str, Any]:
    """Return what ``config.json`` says."""
    return {
        "quantization_config": {
            "quant_method": METHOD,
            "version": "gemm",
            "bits": folder.scheme.bits,
            "group_size": folder.scheme.group,
            "zero_point": True,
            "modules_to_not_convert": list(folder.ignored),
        }
    }


def _in_words(codes: Array, bits: int) -> Array:
    """Return codes [rows, outputs] as words along the outputs."""
    turned = codes.reshape(len(codes), -1, len(ORDER))[:, :, ORDER].reshape(codes.shape)
    return in_words(np.ascontiguousarray(turned), bits, 1)


FORMAT: Final = Format(pack=pack, config=config, files=lambda _: {})
