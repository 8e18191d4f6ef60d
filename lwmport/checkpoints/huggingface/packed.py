"""Quantised matrices of a Hugging Face folder as float32 again: by the published layouts, from the bytes of the files.

Nothing here is shared with what writes such folders (`lwmport.converters.hf`), so that one checks the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport.checkpoints.huggingface.folder import CONFIG, KINDS, in_files
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.plain_json import read_object
from lwmport.errors import CheckpointError
from lwmport.types import Array

COMPRESSED: Final = "compressed-tensors"
GPTQ: Final = "gptq"
AWQ: Final = "awq"
MINDIE: Final = "mindie"
MINDIE_FILE: Final = "quant_model_weight_{}.safetensors"
MINDIE_DESCRIPTION: Final = "quant_model_description.json"

PARTS: Final = frozenset(
    [
        *("weight_packed", "weight_scale", "weight_zero_point", "weight_shape", "weight_offset"),
        *("qweight", "qzeros", "scales", "g_idx"),
        *("input_scale", "input_offset", "quant_bias", "deq_scale"),
    ]
)
"""How the names of tensors end that belong to a quantised matrix, beside ``weight``."""


@dataclass(frozen=True, kw_only=True)
class PackedFolder:
    """A folder with quantised weights.

    Attributes:
        packing: how they are held.
        told: what ``config.json`` says of it.
        raw: its tensors, as the files have them.
        quantised: the modules whose matrices are quantised.
    """

    packing: str
    told: Mapping[str, Any]
    raw: Checkpoint
    quantised: tuple[str, ...]

    @property
    def rounds_products(self) -> bool:
        """Whether readers round what is multiplied with the weights."""
        return self.packing == COMPRESSED and bool(_group(self.told).get("input_activations"))

    @property
    def symmetric(self) -> bool:
        """Whether weights of compressed-tensors have no zero points."""
        return self.packing != COMPRESSED or _weights(self.told).get("symmetric") is not False

    def matrix(self, module: str) -> Array:
        """Return the matrix of a module, float32 [outputs, inputs].

        Raises:
            CheckpointError: tensors are missing, or their shapes do not fit each other.
        """
        try:
            return _MATRICES[self.packing](self, module)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise CheckpointError(f"{module}: expected tensors whose shapes fit each other, found: {error}") from error

    def inputs(self, module: str) -> tuple[float, int] | None:
        """Return scale and offset of what a matrix of MindIE is multiplied with; None where it is not rounded.

        Raises:
            CheckpointError: they cannot be read.
        """
        name = f"{module}.input_scale"
        if self.packing != MINDIE or name not in self.raw.specs:
            return None
        scale, offset = (self.raw.read(f"{module}.{part}") for part in ("input_scale", "input_offset"))
        return float(scale[0]), int(offset[0])

    def others(self) -> list[str]:
        """Return the names of the tensors that are not quantised."""
        held = {f"{module}.weight" for module in self.quantised}
        return [name for name in self.raw.specs if name not in held and name.rpartition(".")[2] not in PARTS]


def packed_folder(folder: Path) -> PackedFolder | None:
    """Return a folder with quantised weights; None for one that has none.

    Raises:
        CheckpointError: the folder is damaged, or quantised in a way that is not read here.
    """
    fields = read_object(folder / CONFIG)
    told, kind = fields.get("quantization_config"), fields.get("quantize")
    if isinstance(kind, str):
        described = read_object(folder / MINDIE_DESCRIPTION)
        held = {name.rpartition(".")[0] for name, what in described.items() if what == kind.upper() and "." in name}
        kinds = {MINDIE_FILE.format(kind): KINDS["model.safetensors"]}
        raw = Checkpoint(folder, "hf", *in_files(folder, kinds))
        return PackedFolder(packing=MINDIE, told=described, raw=raw, quantised=tuple(sorted(held)))
    if not isinstance(told, dict):
        return None
    packing = told.get("quant_method")
    if packing not in (COMPRESSED, GPTQ, AWQ):
        expected = f"expected weights quantised as {COMPRESSED}, {GPTQ} or {AWQ}"
        raise CheckpointError(f"{expected}, found {packing!r} in {CONFIG}")
    raw = Checkpoint(folder, "hf", *in_files(folder))
    end = ".weight_scale" if packing == COMPRESSED else ".qweight"
    held = {name.removesuffix(end) for name in raw.specs if name.endswith(end)}
    return PackedFolder(packing=packing, told=told, raw=raw, quantised=tuple(sorted(held)))


def _compressed(folder: PackedFolder, module: str) -> Array:
    """Return a matrix of compressed-tensors: words of codes from the lowest bits on, 2^(bits - 1) too large."""
    scales, weights = folder.raw.read(f"{module}.weight_scale"), _weights(folder.told)
    if folder.rounds_products:
        return folder.raw.read(f"{module}.weight").astype(np.float32) * scales
    bits = int(weights["num_bits"])
    half, shape = np.float32(1 << (bits - 1)), folder.raw.read(f"{module}.weight_shape")
    codes = _unpacked(folder.raw.read(f"{module}.weight_packed"), bits)[:, : int(shape[1])].astype(np.float32) - half
    zeros = np.zeros((1, 1), np.float32)
    if not weights["symmetric"]:
        words = folder.raw.read(f"{module}.weight_zero_point")
        zeros = _unpacked(words.T, bits).T[: len(codes)].astype(np.float32) - half
    return _by_groups(codes, scales, zeros, int(weights["group_size"]))


def _gptq(folder: PackedFolder, module: str) -> Array:
    """Return a matrix of GPTQ: words along the inputs, zero points along the outputs, one too small in version 1."""
    told, read = folder.told, folder.raw.read
    bits, scales = int(told["bits"]), read(f"{module}.scales").astype(np.float32)
    codes = _unpacked(read(f"{module}.qweight").T, bits).astype(np.float32)
    zeros = _unpacked(read(f"{module}.qzeros"), bits).astype(np.int64)
    if told.get("checkpoint_format", GPTQ) == GPTQ:
        zeros = (zeros + 1) % (1 << bits)
    groups = read(f"{module}.g_idx")
    found: Array = (codes - zeros.T.astype(np.float32)[:, groups]) * scales.T[:, groups]
    return found


def _awq(folder: PackedFolder, module: str) -> Array:
    """Return a matrix of AWQ: words along the outputs, the even ones of eight in front of the odd ones."""
    told, read = folder.told, folder.raw.read
    if told.get("version") != "gemm" or told.get("bits") != 4:
        raise ValueError(f"version {told.get('version')!r} with {told.get('bits')!r} bits, not 'gemm' with 4")
    codes, zeros = (_evens_first(read(f"{module}.{part}")).T.astype(np.float32) for part in ("qweight", "qzeros"))
    return _by_groups(codes, read(f"{module}.scales").astype(np.float32).T, zeros, int(told["group_size"]))


def _evens_first(words: Array) -> Array:
    """Return the codes in words [rows, words]: output 2 n of eight is in nibble n, output 2 n + 1 in nibble n + 4."""
    nibbles = _unpacked(words, 4).reshape(len(words), -1, 2, 4)
    return np.ascontiguousarray(nibbles.swapaxes(2, 3)).reshape(len(words), -1)


def _mindie(folder: PackedFolder, module: str) -> Array:
    """Return a matrix of MindIE: a scale and an offset for each output."""
    weight, offset, scale = (
        folder.raw.read(f"{module}.{part}") for part in ("weight", "weight_offset", "weight_scale")
    )
    found: Array = (weight.astype(np.float32) - offset) * scale
    inputs = folder.inputs(module)
    if inputs is not None:
        _check_sums(folder, module, inputs, weight, scale)
    return found


def _check_sums(folder: PackedFolder, module: str, inputs: tuple[float, int], weight: Array, scale: Array) -> None:
    """Return if a product of codes, ``(x * weight + quant_bias) * deq_scale``, is that of the numbers they stand for.

    Raises:
        CheckpointError: it is another.
    """
    bias, packed = (folder.raw.read(f"{module}.{part}") for part in ("quant_bias", "deq_scale"))
    factors = packed.astype(np.uint64).astype(np.uint32).view(np.float32)
    if not np.array_equal(bias, -inputs[1] * weight.astype(np.int64).sum(axis=1)):
        raise CheckpointError(f"{module}: expected a quant_bias for the input_offset {inputs[1]}, found another")
    if not np.array_equal(factors, np.float32(inputs[0]) * scale[:, 0]):
        raise CheckpointError(f"{module}: expected input_scale * weight_scale in deq_scale, found other factors")


_MATRICES: Final[Mapping[str, Callable[[PackedFolder, str], Array]]] = {
    COMPRESSED: _compressed,
    GPTQ: _gptq,
    AWQ: _awq,
    MINDIE: _mindie,
}


def _unpacked(words: Array, bits: int) -> Array:
    """Return the codes in words [rows, words], the first of them in the lowest bits: [rows, codes]."""
    held = np.ascontiguousarray(words).view(np.uint8)
    if bits == 8:
        return held
    found = np.empty((*held.shape, 2), np.uint8)
    found[..., 0], found[..., 1] = held & 15, held >> 4
    return found.reshape(len(words), -1)


def _by_groups(codes: Array, scales: Array, zeros: Array, group: int) -> Array:
    """Return ``(codes - zeros) * scales``, a column of scales and zero points for each ``group`` columns of codes."""
    grouped = codes.reshape(len(codes), -1, group)
    if grouped.shape[:2] != scales.shape:
        raise ValueError(f"{grouped.shape[1]} groups of {group} codes beside {scales.shape[1]} scales")
    found: Array = (grouped - zeros[:, :, None]) * scales[:, :, None]
    return found.reshape(codes.shape)


def _group(told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the one group of the configuration.

    Raises:
        CheckpointError: there are none, or several.
    """
    groups = told.get("config_groups")
    if not isinstance(groups, dict) or len(groups) != 1 or not isinstance(found := next(iter(groups.values())), dict):
        raise CheckpointError("expected one of config_groups in quantization_config, found others")
    return found


def _weights(told: Mapping[str, Any]) -> Mapping[str, Any]:
    found = _group(told).get("weights")
    if not isinstance(found, dict) or found.get("num_bits") not in (4, 8):
        raise CheckpointError("expected weights of 4 or 8 bits in quantization_config, found others")
    return found
