"""A GGUF file as a family's own tree: the same bytes, found by its names and seen in its layouts."""

import dataclasses
import math
from pathlib import Path
from typing import Final

from lwmport.checkpoints.cursor import opened
from lwmport.checkpoints.entry import TensorEntry, check_shape
from lwmport.checkpoints.gguf import Gguf, GgufTensor, read_header
from lwmport.checkpoints.huggingface.folder import FolderIndex
from lwmport.checkpoints.huggingface.layouts import layout_from_hf
from lwmport.checkpoints.huggingface.rows import divided
from lwmport.checkpoints.index import Findings
from lwmport.checkpoints.tree import add
from lwmport.errors import CheckpointError
from lwmport.ggml_kinds import FLOATS, KINDS
from lwmport.models.gguf import GgufModel
from lwmport.models.specs import FAMILIES
from lwmport.types import dtype_of
from lwmport.wording import few, shown

ARCHITECTURE: Final = "general.architecture"
SEED: Final = "lwmport.seed"
SHARDS: Final = "split.count"


def index(path: Path) -> FolderIndex:
    """Return the tensors of a file by its family's names, the file, and its configuration with its field names.

    Tensors in blocks are float32: their values are made of the blocks when they are read.

    Raises:
        CheckpointError: damaged, one of several files, of an architecture or with a tensor that no family has, or with
            a kind of blocks that is not read.
    """
    header = read_header(path)
    if header.keys.get(SHARDS, 1) != 1:
        raise CheckpointError(f"expected a whole GGUF file, found one of {header.keys[SHARDS]}; join them first")
    model = model_of(header)
    told = model.read(header.keys, {info.name: info.shape for info in header.infos})
    with opened(path) as cursor:
        entries = _entries(header, model, cursor.end)
        files = {"": cursor.status()}
    return FolderIndex(
        entries=divided(entries, model.rows(told.fields)),
        files=files,
        config=told.fields,
        findings=Findings(assumed=told.assumed, remarks=_remarks(header), seed=_seed(header)),
    )


def model_of(header: Gguf) -> GgufModel:
    """Return how the family that has the architecture of a file tells its tensors.

    Raises:
        CheckpointError: no family has it.
    """
    models = [spec.gguf for spec in FAMILIES.values() if spec.gguf is not None]
    architecture = header.keys.get(ARCHITECTURE)
    found = next((model for model in models if model.architecture == architecture), None)
    if found is None:
        known = " or ".join(model.architecture for model in models)
        raise CheckpointError(f"expected {ARCHITECTURE} {known}, found {shown(str(architecture))}")
    return found


def _entries(header: Gguf, model: GgufModel, end: int) -> dict[str, TensorEntry]:
    found: dict[str, TensorEntry] = {}
    strangers = []
    for info in header.infos:
        there = model.named(info.name)
        if there is None:
            strangers.append(shown(info.name))
            continue
        entry = _stored(info, header.data, end)
        layout = layout_from_hf(entry.shape, there, 1)
        view = {} if layout is None else {"shape": layout.shape, "view": layout.view, "axes": layout.axes}
        add(found, there.name, dataclasses.replace(entry, **view))  # type: ignore[arg-type]
    if strangers:
        raise CheckpointError(
            f"expected the tensors of a plain {model.architecture}, found {len(strangers)} others: {few(strangers)}"
        )
    return found


def _stored(info: GgufTensor, data: int, end: int) -> TensorEntry:
    """Return where a tensor lies, in the layout of the file."""
    name, count = shown(info.name), math.prod(check_shape(info.shape))
    blocks = "" if info.kind in FLOATS else info.kind
    dtype = FLOATS.get(info.kind, "float32")
    if blocks and blocks not in KINDS:
        known = ", ".join((*FLOATS, *KINDS))
        raise CheckpointError(f"{name}: expected one of {known}, found {info.kind}")
    if blocks and (not info.shape or info.shape[-1] % KINDS[blocks].values):
        raise CheckpointError(f"{name}: damaged: expected rows of {KINDS[blocks].values} values, found {info.shape}")
    length = KINDS[blocks].stored_bytes(count) if blocks else count * dtype_of(dtype).itemsize
    begin = data + info.offset
    if begin + length > end:
        raise CheckpointError(f"{name}: truncated: expected {length} bytes at offset {begin}, found {end - begin}")
    return TensorEntry(dtype=dtype, shape=info.shape, pieces=((begin, length),), blocks=blocks)


def _seed(header: Gguf) -> int | None:
    """Return the seed that lwmport wrote into a file of random weights, if it did."""
    seed = header.keys.get(SEED)
    return seed if isinstance(seed, int) and seed >= 0 else None


def _remarks(header: Gguf) -> tuple[str, ...]:
    """Return which tensors are rounded already, in words."""
    counts = ", ".join(f"{count} {kind}" for kind, count in header.tensors.items() if kind in KINDS)
    return (f"quantized already: {counts}",) if counts else ()
