"""A LoRA adapter as PEFT writes it, and tensors of a model with it merged, row by row.

A matrix W [out, in] of Hugging Face becomes W + scale * B A, with A [r, in], B [out, r] and scale = alpha / r, or
alpha / sqrt(r) where the adapter is rank-stabilised. Sources: peft/tuners/lora/layer.py and config.py; Hu et al., 2021.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport.checkpoints.casting import cast
from lwmport.checkpoints.cursor import opened
from lwmport.checkpoints.detection import check_whole
from lwmport.checkpoints.folders import ADAPTER
from lwmport.checkpoints.huggingface.layouts import layout_from_hf
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.layers import LazyWeights, as_dtype, digest_of, lazy_tensor
from lwmport.checkpoints.lazy.layouts import Relaid
from lwmport.checkpoints.lazy.tensors import Lazy
from lwmport.checkpoints.plain_json import read_object
from lwmport.checkpoints.safetensors import index as safetensors_index
from lwmport.checkpoints.torch import index as torch_index
from lwmport.digest import of_json
from lwmport.errors import CheckpointError
from lwmport.instead import HEAD
from lwmport.models.huggingface import HfName, HuggingFace
from lwmport.types import Array, Weights, WeightSpec, dtype_of
from lwmport.wording import few, shown

FILES: Final = {"adapter_model.safetensors": safetensors_index.index, "adapter_model.bin": torch_index.index}
"""File of an adapter's tensors -> what indexes it."""

KIND: Final = "LORA"

REFUSED: Final[Mapping[str, str]] = {
    "use_dora": "DoRA also scales every row of a matrix",
    "use_qalora": "QALoRA changes quantised weights",
    "fan_in_fan_out": "the matrices of such a model are transposed",
    "layer_replication": "it gives the model more layers",
    "target_parameters": "it changes parameters that are no matrices",
    "trainable_token_indices": "it changes single rows of the embedding",
    "alora_invocation_tokens": "it works from certain tokens on alone",
    "megatron_config": "its matrices are divided among devices",
    "corda_config": "it needs the model that was made for it",
    "loftq_config": "it needs the model that was made for it",
}
"""Setting of an adapter -> why it is not a plain sum of two matrices."""

CHANGED_BASE: Final = ("pissa", "olora", "corda", "loftq")
"""Ways to begin that change the model's own weights: what they are added to is another model than the one named."""

_MATRIX: Final = re.compile(r"(?P<module>.+)\.lora_(?P<part>[AB])(\.\w+)?\.weight")
_TABLE: Final = re.compile(r"(?P<module>.+)\.lora_embedding_(?P<part>[AB])(\.\w+)?")
_SAVED: Final = re.compile(r"(?P<module>.+?)(\.modules_to_save(\.\w+)?)?\.weight")
_PREFIX: Final = "base_model.model."


@dataclass(kw_only=True)
class _Change:
    """What an adapter does to one module of Hugging Face's model: a product of two matrices, or another tensor."""

    a: str = ""
    b: str = ""
    table: bool = False
    saved: str = ""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """An adapter: its tensors, and what it says of itself.

    Attributes:
        folder: where it lies.
        tensors: its tensors, by the names that PEFT gives them.
        config: the object in ``adapter_config.json``.
    """

    folder: Path
    tensors: Checkpoint
    config: Mapping[str, Any] = field(repr=False)

    def digest(self) -> str:
        """Return the SHA-256 of what decides every number: its tensors and its configuration."""
        return of_json({"tensors": self.tensors.digest(), "config": dict(self.config)})

    def scale(self, module: str, rank: int) -> float:
        """Return what the product of a module's two matrices is multiplied by."""
        alphas = self.config.get("alpha_pattern") or {}
        if not isinstance(alphas, dict) or not all(re.fullmatch(r"[\w.]+", key) for key in alphas):
            raise CheckpointError(
                f"{ADAPTER}: expected names of modules in alpha_pattern, found patterns; merge it with PEFT"
            )
        fitting = (value for key, value in alphas.items() if module == key or module.endswith(f".{key}"))
        alpha = next(fitting, self.config.get("lora_alpha", 8))
        if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not math.isfinite(alpha):
            raise CheckpointError(f"{ADAPTER}: expected a number as lora_alpha, found {shown(repr(alpha))}")
        return float(alpha) / (math.sqrt(rank) if self.config.get("use_rslora") else rank)


def open_adapter(folder: Path) -> Adapter:
    """Return the adapter in a folder; none of its tensors is read.

    Raises:
        CheckpointError: there is none, it is damaged, or of a kind that is more than a sum of two matrices.
    """
    try:
        config = read_object(folder / ADAPTER)
        _check_kind(config)
        return Adapter(folder=folder, tensors=_tensors(folder), config=config)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error


def recorded_base(folder: Path) -> Path | None:
    """Return the model that an adapter's folder says it changes, where that is a path of this machine.

    A model's own folder may hold an adapter too: it stands for itself.
    """
    try:
        alone = (folder / ADAPTER).is_file() and not (folder / "config.json").exists()
    except OSError:  # no name of a folder: whoever opens it says so
        return None
    if not alone:
        return None
    base = read_object(folder / ADAPTER).get("base_model_name_or_path")
    found = [path for path in (Path(base), folder / base) if path.exists()] if isinstance(base, str) and base else []
    return found[0] if found else None


def merged(
    layers: Weights, adapter: Adapter, huggingface: HuggingFace, config: Mapping[str, Any], dtype: str | None
) -> LazyWeights:
    """Return a model's tensors, one a layer, with the adapter in them; each is added in float32 and rounded once.

    Args:
        layers: the tensors before, by the family's own names.
        adapter: what is added.
        huggingface: how the family's tensors are called and laid out in Hugging Face's folders.
        config: the family's configuration as plain values.
        dtype: numpy's name of what comes out; None for what each tensor has.

    Raises:
        CheckpointError: the adapter changes a tensor that the model has not, or has in another shape.
    """
    tensors = {name: _typed(lazy_tensor(layers, name), dtype, name) for name in layers.specs}
    for module, change in _changes(adapter).items():
        there = huggingface.named(f"{module}.weight", config)
        if there is None or there.name not in tensors:
            raise CheckpointError(
                f"{adapter.folder}: expected changes of the {len(tensors)} tensors of the model, found one of "
                f"{shown(module)}, which it has not"
            )
        heads = huggingface.heads_of(there, config)
        base = lazy_tensor(layers, there.name)
        wanted = dtype or base.spec.dtype
        tensors[there.name] = _typed(
            _changed(base, adapter, module, change, (there, heads, wanted)), wanted, there.name
        )
    count = len(adapter.tensors.specs)
    description = f"{layers.source['description']}, with the LoRA adapter {adapter.folder.name} ({count} tensors)"
    source = {**layers.source, "description": description, "adapter": adapter.digest()}
    return LazyWeights(tensors, source, lambda: of_json({"base": digest_of(layers), "adapter": adapter.digest()}))


def _typed(tensor: Lazy, dtype: str | None, name: str) -> Lazy:
    return tensor if dtype is None else as_dtype(tensor, dtype, name)


def _check_kind(config: Mapping[str, Any]) -> None:
    kind = config.get("peft_type")
    if kind != KIND:
        raise CheckpointError(
            f"{ADAPTER}: expected the peft_type {KIND}, found {shown(str(kind))}, which is not merged"
        )
    for name, why in REFUSED.items():
        if config.get(name):
            raise CheckpointError(f"{ADAPTER}: expected a plain LoRA, found {name}: {why}; merge it with PEFT")
    start = str(config.get("init_lora_weights", "")).casefold()
    if any(start.startswith(name) for name in CHANGED_BASE):
        raise CheckpointError(
            f"{ADAPTER}: expected changes of the model as it is, found init_lora_weights {shown(start)!r}, which "
            "changes the model itself; save it with PEFT's path_initial_model_for_weight_conversion"
        )


def _tensors(folder: Path) -> Checkpoint:
    for name, index in FILES.items():
        if (folder / name).is_file():
            with opened(folder / name) as cursor:
                check_whole(cursor.window(0, min(HEAD, cursor.left)).take(min(HEAD, cursor.left)))
                return Checkpoint(folder / name, "adapter", index(cursor), {"": cursor.status()})
    raise CheckpointError(f"expected {' or '.join(FILES)} beside {ADAPTER}, found none of them")


def _changes(adapter: Adapter) -> dict[str, _Change]:
    """Return module -> what is done to it; every tensor of the adapter is used.

    Raises:
        CheckpointError: one tensor is not known, or half of a product is missing.
    """
    found: dict[str, _Change] = {}
    strangers = []
    for name in adapter.tensors.specs:
        bare = name.removeprefix(_PREFIX)
        match = _MATRIX.fullmatch(bare) or _TABLE.fullmatch(bare)
        saved = None if match or ".lora_" in bare else _SAVED.fullmatch(bare)
        if match:
            change = found.setdefault(match["module"], _Change())
            setattr(change, match["part"].lower(), name)
            change.table = "lora_embedding" in bare
        elif saved:
            found.setdefault(saved["module"], _Change()).saved = name
        else:
            strangers.append(shown(name))
    if strangers:
        raise CheckpointError(
            f"{adapter.folder}: expected the tensors of a LoRA, found {len(strangers)} others: {few(strangers)}"
        )
    halves = [module for module, change in found.items() if bool(change.a) != bool(change.b)]
    if halves or not found:
        told = few(map(shown, halves)) or "no tensors"
        raise CheckpointError(f"{adapter.folder}: expected lora_A and lora_B of each module, found {told} alone")
    return dict(sorted(found.items()))


def _changed(base: Lazy, adapter: Adapter, module: str, change: _Change, how: tuple[HfName, int, str]) -> Lazy:
    """Return one tensor of the model, in its own layout, as the adapter changes it.

    ``how`` is its name and layout over there, the number of heads, and the dtype of what is added up.
    """
    there, heads, dtype = how
    wanted = base.spec.shape
    if change.saved:
        lazy = adapter.tensors.lazy(change.saved)
        layout = layout_from_hf(lazy.spec.shape, there, heads)
        base = lazy if layout is None else Relaid(lazy, layout)
        if base.spec.shape != wanted:
            raise CheckpointError(
                f"{adapter.folder}: {shown(module)}: expected the shape {wanted}, found {base.spec.shape}; was the "
                "vocabulary made longer?"
            )
    if not change.a:
        return base
    left, right = _Factor(adapter, change.a, "rows", there, heads), _Factor(adapter, change.b, "columns", there, heads)
    if not there.transposed and not change.table:
        left, right = _Factor(adapter, change.b, "", there, heads), _Factor(adapter, change.a, "", there, heads)
    rank = left.shape[1]
    if (left.shape[0], right.shape[1]) != wanted or right.shape[0] != rank or not rank:
        raise CheckpointError(
            f"{adapter.folder}: {shown(module)}: expected changes of a matrix {wanted}, found factors {left.shape} and "
            f"{right.shape}; is it an adapter of another size of the model?"
        )
    return Merged(base, (left, right), adapter.scale(module, rank), dtype, module)


class _Factor:
    """One of the two matrices, as it is multiplied: turned where the model's matrix is the transpose of the other's."""

    def __init__(self, adapter: Adapter, name: str, turned: str, there: HfName, heads: int) -> None:
        self._tensor, self._turned = adapter.tensors.lazy(name), turned
        shape = self._tensor.spec.shape
        if len(shape) != 2:
            raise CheckpointError(f"{adapter.folder}: {shown(name)}: expected a matrix, found the shape {shape}")
        self._layout = layout_from_hf(shape, there, heads) if turned == "columns" and there.transposed else None
        self.shape = shape[::-1] if turned else shape

    def read(self) -> Array:
        """Return the matrix in float32."""
        tensor = self._tensor if self._layout is None else Relaid(self._tensor, self._layout)
        array = tensor.read().astype(np.float32)
        return array.T if self._turned and self._layout is None else array


class Merged(Lazy):
    """A matrix with the product of two small ones added in float32, rows at a time."""

    def __init__(self, base: Lazy, factors: tuple[_Factor, _Factor], scale: float, dtype: str, name: str) -> None:
        super().__init__(WeightSpec(shape=base.spec.shape, dtype=dtype))
        self._base, (self._left, self._right) = base, factors
        self._scale, self._name = np.float32(scale), name

    def rows(self, begin: int, end: int) -> Array:
        """Return rows with the change in them."""
        return self._rows(self._left.read(), self._right.read(), begin, end)

    def pieces(self) -> Iterator[Array]:
        """Yield all values in C order; the two small matrices are read once."""
        left, right, begin, width = self._left.read(), self._right.read(), 0, self.row_size
        held = np.empty(0, dtype_of(self._base.spec.dtype))
        for piece in self._base.pieces():
            held = np.concatenate([held, piece]) if held.size else piece
            count = held.size // width
            whole, held = held[: count * width].reshape(count, width), held[count * width :]
            if count:
                yield self._added(whole, left, right, begin).reshape(-1)
            begin += count

    def _rows(self, left: Array, right: Array, begin: int, end: int) -> Array:
        return self._added(self._base.rows(begin, end), left, right, begin)

    def _added(self, rows: Array, left: Array, right: Array, begin: int) -> Array:
        change = (left[begin : begin + len(rows)] * self._scale) @ right
        return cast(rows.astype(np.float32) + change, dtype_of(self.spec.dtype), self._name)
