"""The record of LWM's language models in Hugging Face's folders."""

from collections.abc import Mapping
from typing import Any, Final

from lwmport.models.huggingface import HfName, HfTensor, HuggingFace
from lwmport.models.llama.config import config_of
from lwmport.models.llama.huggingface import documents
from lwmport.models.llama.huggingface import tensors as written
from lwmport.models.llama.huggingface.config import ARCHITECTURE, KIND, told_config
from lwmport.models.llama.huggingface.names import from_hf


def _named(name: str, _: Mapping[str, Any]) -> HfName | None:
    return from_hf(name)


def _tensors(config: Mapping[str, Any]) -> tuple[HfTensor, ...]:
    return written.tensors(config_of(config))


def _documents(config: Mapping[str, Any], dtype: str) -> dict[str, str]:
    return documents.texts(config_of(config), dtype)


def _tokens(config: Mapping[str, Any]) -> dict[str, Any]:
    return documents.tokens(config_of(config))


HUGGINGFACE: Final = HuggingFace(
    architecture=ARCHITECTURE,
    kind=KIND,
    first="model.embed_tokens.weight",
    components=("llama", "vision-llama"),
    untold="the number of heads, the base of the rotary angles and the epsilon",
    example="lwm-text-1m",
    read=told_config,
    named=_named,
    ignored=written.is_ignored,
    tied=written.tied,
    wrong=written.wrong_angles,
    rows=written.rows,
    heads="num_attention_heads",
    shared_heads="num_key_value_heads",
    tensors=_tensors,
    documents=_documents,
    tokens=_tokens,
)
