"""compressed-tensors, which transformers and vLLM read: ``pack-quantized``, and ``int-quantized`` for 8-bit products.

A code is stored in words of 32 bits as an unsigned number, 2^(bits - 1) more than the signed one that readers unpack.
So are zero points, whose words run along the outputs.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import numpy as np

from lwmport.checkpoints.writers.safetensors_folder import Item
from lwmport.converters.hf.packings import Folder, Format, PackedMatrix, in_words, made, whole, words_of
from lwmport.types import Array, Scheme, WeightSpec

METHOD: Final = "compressed-tensors"
PACKED: Final = "pack-quantized"
INTEGERS: Final = "int-quantized"


def pack(matrix: PackedMatrix) -> list[Item]:
    """Return the tensors of a matrix: words and scales, or int8 and scales where products are of integers."""
    if matrix.scheme.activations:
        return [whole(f"{matrix.name}.weight", matrix.codes), whole(f"{matrix.name}.weight_scale", matrix.scales)]
    (outputs, inputs), bits = matrix.shape, matrix.scheme.bits
    spec = WeightSpec(shape=(outputs, words_of(inputs, bits)), dtype="int32")
    found = [
        Item(name=f"{matrix.name}.weight_packed", spec=spec, pieces=partial(_words, matrix)),
        whole(f"{matrix.name}.weight_scale", matrix.scales),
        made(f"{matrix.name}.weight_shape", (2,), "int64", lambda: np.array(matrix.shape, np.int64)),
    ]
    if matrix.zeros is not None:
        zeros, shape = matrix.zeros, (words_of(outputs, bits), matrix.scales.spec.shape[1])
        name = f"{matrix.name}.weight_zero_point"
        found.append(made(name, shape, "int32", lambda: in_words(zeros.read(), bits, 0)))
    return found


def _words(matrix: PackedMatrix) -> Iterator[Array]:
    for rows in matrix.codes.pieces():
        yield in_words(rows.reshape(-1, matrix.shape[1]), matrix.scheme.bits, 1).reshape(-1)


def config(folder: Folder) -> dict[str, Any]:
    """Return what ``config.json`` says: every linear layer that is not ignored is quantised alike."""
    rounded = bool(folder.scheme.activations)
    group = {
        "targets": ["Linear"],
        "weights": _weights(folder.scheme),
        "input_activations": _inputs(folder.scheme) if rounded else None,
        "output_activations": None,
    }
    return {
        "quantization_config": {
            "quant_method": METHOD,
            "format": INTEGERS if rounded else PACKED,
            "quantization_status": "compressed",
            "config_groups": {"group_0": group},
            "ignore": list(folder.ignored),
            "kv_cache_scheme": None,
            "global_compression_ratio": None,
        }
    }


def _weights(scheme: Scheme) -> dict[str, Any]:
    found = {"num_bits": scheme.bits, "type": "int", "symmetric": scheme.symmetric, "dynamic": False}
    return {**found, "strategy": "group" if scheme.group else "channel", "group_size": scheme.group or None}


def _inputs(scheme: Scheme) -> dict[str, Any]:
    """Return that what is multiplied is rounded when a model runs, with a scale for each token."""
    return {"num_bits": scheme.activations, "type": "int", "symmetric": True, "dynamic": True, "strategy": "token"}


def files(_: Folder) -> dict[str, Any]:
    """Return no more files."""
    return {}


FORMAT: Final = Format(pack=pack, config=config, files=files)
