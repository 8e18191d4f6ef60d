"""Sessions on language models that take embeddings: tokens are looked up, and features of pictures stand among them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lwmport import manifest
from lwmport.pipeline.assemble.package import Package, embedding_of
from lwmport.pipeline.model import load
from lwmport.pipeline.session import Session
from lwmport.runtime.session.layout import IDS
from lwmport.types import DECODE, Array


def open_session(package: Package, **opened: Any) -> Session:
    """Return the opened language model of an assembled one: `Session` or `SplicedSession`, as its parts say.

    Args:
        package: the model.
        opened: ``runner``, ``threads`` and ``checkpoint`` of `Session`.
    """
    if package.embed is None:
        return Session(package.language, **opened)
    return SplicedSession(package.language, Embedding(package.embed), **opened)


class Embedding:
    """What turns tokens into the embeddings that a language model takes in their place.

    Raises:
        ArtifactError: the folder holds no such component.
        RunnerError: the runtime refuses it.
    """

    def __init__(self, folder: Path) -> None:
        part = embedding_of(manifest.read(folder), folder)
        (self._given,), (self._found,) = part.signature.inputs, part.signature.outputs
        self._model = load(folder / part.path)

    def __call__(self, ids: Array) -> Array:
        """Return embeddings float32 [batch, n, width] of ids [batch, n], in runs of the shape that the model has."""
        batch, tokens = self._given.shape
        rows = batch if isinstance(batch, int) else 1
        columns = tokens if isinstance(tokens, int) else -(-ids.size // rows)
        filled = np.pad(ids.reshape(-1), (0, -ids.size % (rows * columns))).astype(self._given.dtype)
        runs = [self._model.run(**{IDS: run})[self._found.name] for run in filled.reshape(-1, rows, columns)]
        found = np.concatenate(runs).astype(np.float32)
        return found.reshape(-1, found.shape[-1])[: ids.size].reshape(*ids.shape, -1)

    def close(self) -> None:
        """Close the model."""
        self._model.close()


class SplicedSession(Session):
    """A session that is given tokens as one of tokens and codes is, and embeds them.

    Where ``vision_masks`` is true, an id is the number of a row of the features that were shown.

    Args:
        folder: of the language model.
        embedding: of its tokens.
        opened: what `Session` takes besides.
    """

    def __init__(self, folder: Path, embedding: Embedding, **opened: Any) -> None:
        super().__init__(folder, **opened)
        self._embedding = embedding
        self._features: Array = np.zeros((0, 0), np.float32)

    @property
    def has_codes(self) -> bool:
        """Whether it is told which ids are rows of features: it is."""
        return True

    def show(self, frames: Sequence[Array]) -> None:
        """Take the features [tokens, width] of each picture that the next prompt is about."""
        self._features = np.concatenate(frames)

    def prefill(
        self,
        input_ids: Any = None,
        attention_mask: Any = None,
        vision_masks: Any = None,
        chunk: int | None = None,
        *,
        inputs_embeds: Any = None,
        keep: int | None = 1,
    ) -> dict[str, Array]:
        """Return the outputs for the last token of each prompt, as `Session` does."""
        embeds = self._embeds(input_ids, vision_masks) if inputs_embeds is None else inputs_embeds
        return super().prefill(None, attention_mask, None, chunk, inputs_embeds=embeds, keep=keep)

    def step(
        self,
        input_ids: Any = None,
        vision_masks: Any = None,
        chunk: int | None = None,
        *,
        inputs_embeds: Any = None,
        keep: int | None = None,
    ) -> dict[str, Array]:
        """Return the outputs for new tokens, as `Session` does; a decode that takes ids gets words alone."""
        if inputs_embeds is None and self._phases.layouts[DECODE].takes == IDS:
            return super().step(input_ids, None, chunk, keep=keep)
        embeds = self._embeds(input_ids, vision_masks) if inputs_embeds is None else inputs_embeds
        return super().step(None, None, chunk, inputs_embeds=embeds, keep=keep)

    def close(self) -> None:
        """Close both models."""
        super().close()
        self._embedding.close()

    def _embeds(self, input_ids: Any, vision_masks: Any) -> Array:
        ids, seen = np.asarray(input_ids), np.asarray(vision_masks, bool)
        found = self._embedding(np.where(seen, 0, ids))
        if seen.any():
            found[seen] = self._features[ids[seen]]
        return found
