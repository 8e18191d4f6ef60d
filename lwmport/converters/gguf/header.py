"""The front of a GGUF file: metadata, the vocabulary, and where each tensor lies. The package gguf packs it."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from lwmport.converters.gguf.tensors import GgufItem
from lwmport.converters.gguf.vocabulary import Vocabulary
from lwmport.extras import require

ALIGNMENT: Final = 32
"""What each tensor's offset is a multiple of (``GGUF_DEFAULT_ALIGNMENT``)."""


def header(architecture: str, keys: Mapping[str, Any], vocabulary: Vocabulary, items: Sequence[GgufItem]) -> bytes:
    """Return all that stands before the data of a file, without the zeros up to it.

    Raises:
        MissingExtraError: the package gguf is not installed.
    """
    gguf = require("gguf")
    writer = gguf.GGUFWriter(None, architecture)
    for name, value in keys.items():
        _add(writer, name, value)
    _add_vocabulary(writer, vocabulary)
    for item in items:
        kind = gguf.GGMLQuantizationType[item.kind]
        writer.add_tensor_info(item.name, item.shape, np.dtype(np.float32), item.spec.nbytes, raw_dtype=kind)
    into = io.BytesIO()
    writer.fout, writer.state = [into], gguf.gguf_writer.WriterState.EMPTY
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    return into.getvalue()


def _add(writer: Any, name: str, value: Any) -> None:
    """Add one value; whole numbers have 32 bits, as llama.cpp wants those that it reads."""
    if isinstance(value, bool):
        writer.add_bool(name, value)
    elif isinstance(value, int):
        (writer.add_int32 if value < 0 else writer.add_uint32)(name, value)
    elif isinstance(value, float):
        writer.add_float32(name, value)
    else:
        writer.add_string(name, str(value))


def _add_vocabulary(writer: Any, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_token_list(list(vocabulary.tokens))
    if vocabulary.scores:
        writer.add_token_scores(list(vocabulary.scores))
    writer.add_token_types(list(vocabulary.types))
    for name, value in vocabulary.keys.items():
        _add(writer, name, value)
    for name, values in vocabulary.lists.items():
        writer.add_array(name, list(values))
