"""What a family tells of GGUF files of its models: names, layouts, metadata, and how its vocabulary is divided."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lwmport.models.huggingface import HfConfig, HfName, HfTensor

SENTENCEPIECE: Final = "llama"
"""What a file calls the kind of tokenizer that sentencepiece makes (``tokenizer.ggml.model``)."""


@dataclass(frozen=True, kw_only=True)
class GgufModel:
    """How a family's models lie in GGUF files. A configuration is the family's own, as JSON values.

    Attributes:
        architecture: ``general.architecture``.
        components: the components that can be written as such a file.
        tensors: ``tensors(config)`` returns what is written, in the order in which a model computes. Matrices are
            [out, in] there.
        keys: ``keys(config)`` returns the metadata, by name, of whole numbers (uint32), numbers (float32) and texts.
        codes: ``codes(config)`` returns how many rows of the vocabulary are no text; they stand behind the text's.
        read: ``read(keys, shapes)`` returns the configuration that metadata and the shapes of tensors tell. It raises
            `CheckpointError` for a model that the family does not compute.
        named: ``named(name)`` returns our name of a tensor of a file, None for one that the family does not have.
        rows: ``rows(config)`` returns, for each tensor that is read and holds several of ours, their names and rows.
    """

    architecture: str
    components: tuple[str, ...]
    tensors: Callable[[Mapping[str, Any]], tuple[HfTensor, ...]]
    keys: Callable[[Mapping[str, Any]], dict[str, Any]]
    codes: Callable[[Mapping[str, Any]], int]
    read: Callable[[Mapping[str, Any], Mapping[str, tuple[int, ...]]], HfConfig]
    named: Callable[[str], HfName | None]
    rows: Callable[[Mapping[str, Any]], Mapping[str, tuple[tuple[str, int], ...]]]
