"""The files of a judge: a folder of CLIP as transformers or open_clip write it. Nothing in it runs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lwmport.checkpoints.huggingface.folder import CONFIG, INDEX, KINDS, in_files
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.plain_json import read_object
from lwmport.checkpoints.safetensors import index as safetensors_index
from lwmport.checkpoints.torch import index as torch_index
from lwmport.errors import CheckpointError
from lwmport.pipeline.evaluate.clip import open_clip
from lwmport.pipeline.evaluate.clip.pixels import Pixels, pixels_of
from lwmport.types import Array
from lwmport.wording import few, shown

OPEN_CLIP: Final = "open_clip_config.json"
OPEN_CLIP_FILES: Final = {
    "open_clip_model.safetensors": safetensors_index.index,
    "open_clip_pytorch_model.safetensors": safetensors_index.index,
    "open_clip_pytorch_model.bin": torch_index.index,
}
PROCESSORS: Final = ("preprocessor_config.json", "processor_config.json")
FIELDS: Final = ("text_config", "vision_config", "projection_dim")
BUFFERS: Final = ("position_ids", "attn_mask")
"""Ends of names that older versions wrote beside the weights, and that the sizes tell."""


@dataclass(frozen=True, kw_only=True)
class JudgeFiles:
    """What a folder holds.

    Attributes:
        form: who wrote it: ``transformers`` or ``open_clip``.
        config: the fields of transformers' ``CLIPConfig``.
        pixels: how a picture becomes its input.
        checkpoint: the tensors by the names in the files.
        read: returns a tensor by the name that ``CLIPModel`` has for it, in the file's own dtype.
    """

    form: str
    config: Mapping[str, Any]
    pixels: Pixels
    checkpoint: Checkpoint
    read: Callable[[str], Array]

    def check_names(self, wanted: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
        """Return the tensors that the files have and a model of these names and shapes has no use for.

        Raises:
            CheckpointError: a tensor is missing, or has another shape.
        """
        sources = {name: open_clip.source(name).name if self.form == "open_clip" else name for name in wanted}
        missing = [name for name in sources.values() if name not in self.checkpoint.specs]
        if missing:
            raise CheckpointError(f"{self.checkpoint.path}: expected a CLIP model, found no {few(map(shown, missing))}")
        for name, shape in wanted.items():
            found = self.checkpoint.specs[sources[name]].shape
            expected = open_clip.source(name).shape(shape) if self.form == "open_clip" else shape
            if found != expected:
                raise CheckpointError(
                    f"{self.checkpoint.path}: expected {sources[name]} of shape {expected}, as the configuration says, "
                    f"found {found}"
                )
        used = set(sources.values())
        return tuple(name for name in self.checkpoint.specs if name not in used and not name.endswith(BUFFERS))


def open_judge(folder: Path) -> JudgeFiles:
    """Return what a folder holds; no tensor is read. Where both libraries' files are there, it is transformers' model.

    Raises:
        CheckpointError: it holds no CLIP model, or one that is not computed here.
    """
    if not folder.is_dir():
        raise CheckpointError(f"expected the folder of a CLIP model at {folder}, found none")
    try:
        return _open_clip(folder) if _is_open_clip(folder) else _transformers(folder)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from error


def _is_open_clip(folder: Path) -> bool:
    """Return whether only open_clip can have written a folder: published folders have the small files of both."""
    own = any((folder / f"{name}{end}").exists() for name in KINDS for end in ("", INDEX))
    theirs = any((folder / name).exists() for name in OPEN_CLIP_FILES)
    return (theirs and not own) or not (folder / CONFIG).exists()


def _transformers(folder: Path) -> JudgeFiles:
    fields = read_object(folder / CONFIG)
    if fields.get("model_type") != "clip" or not isinstance(fields.get("vision_config"), dict):
        raise CheckpointError(
            f"{CONFIG}: expected model_type 'clip' with a text_config and a vision_config, found "
            f"{shown(str(fields.get('model_type')))!r}; the judge is a whole CLIP model"
        )
    checkpoint = Checkpoint(folder, "hf", *in_files(folder))
    return JudgeFiles(
        form="transformers",
        config={name: fields[name] for name in FIELDS if name in fields},
        pixels=pixels_of(_processor(folder)),
        checkpoint=checkpoint,
        read=checkpoint.read,
    )


def _processor(folder: Path) -> Mapping[str, Any]:
    for name in PROCESSORS:
        if (folder / name).exists():
            found = read_object(folder / name)
            inner = found.get("image_processor", found)
            if isinstance(inner, dict):
                return inner
    raise CheckpointError(f"expected {' or '.join(PROCESSORS)}, which says how a picture is scaled, found neither")


def _open_clip(folder: Path) -> JudgeFiles:
    if not (folder / OPEN_CLIP).exists():
        raise CheckpointError(
            f"expected {CONFIG} beside {' or '.join(KINDS)}, or {OPEN_CLIP} beside open_clip's weights, found neither; "
            "the configuration is published where the weights are"
        )
    fields = read_object(folder / OPEN_CLIP)
    config, pixels = open_clip.config(fields)
    checkpoint = Checkpoint(folder, "open_clip", *in_files(folder, OPEN_CLIP_FILES, OPEN_CLIP))

    def read(name: str) -> Array:
        source = open_clip.source(name)
        return source.of(np.asarray(checkpoint.read(source.name)))

    return JudgeFiles(form="open_clip", config=config, pixels=pixels, checkpoint=checkpoint, read=read)


def tokenizer_files(folder: Path) -> tuple[Path, ...]:
    """Return the files of the tokenizer: ``tokenizer.json``, or ``vocab.json`` and ``merges.txt``.

    Raises:
        CheckpointError: there are none.
    """
    for names in (("tokenizer.json",), ("vocab.json", "merges.txt")):
        files = tuple(folder / name for name in names)
        if all(file.is_file() for file in files):
            return files
    raise CheckpointError(f"{folder}: expected tokenizer.json, or vocab.json and merges.txt, found none of them")


def nbytes(files: JudgeFiles) -> int:
    """Return the bytes of all tensors in float32."""
    return sum(4 * math.prod(spec.shape) for spec in files.checkpoint.specs.values())
