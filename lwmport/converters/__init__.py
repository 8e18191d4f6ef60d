"""One converter a format; each lowers the same traced program."""

from collections.abc import Mapping
from typing import Any, Final

from lwmport.extras import check_installed
from lwmport.registry import Registry
from lwmport.types import Dialect

CONVERTERS: Final = Registry(
    "format",
    {
        "frozen_graph": "lwmport.converters.saved_model.frozen:convert",
        "gguf": "lwmport.converters.gguf.convert:convert",
        "hf": "lwmport.converters.hf.convert:convert",
        "onnx": "lwmport.converters.onnx.convert:convert",
        "saved_model": "lwmport.converters.saved_model.convert:convert",
        "tflite": "lwmport.converters.tflite.convert:convert",
    },
    aliases={
        "graphdef": ("frozen_graph",),
        "pb": ("frozen_graph",),
        "ggml": ("gguf",),
        "huggingface": ("hf",),
        "hugging_face": ("hf",),
        "transformers": ("hf",),
        "tensorflow": ("saved_model", "frozen_graph"),
        "tf": ("saved_model", "frozen_graph"),
        "savedmodel": ("saved_model",),
        "litert": ("tflite",),
        "tf_lite": ("tflite",),
    },
)
"""Format -> ``convert(program, weights, dialect, out, progress) -> Artifact``, which writes into the folder ``out``.

Where the dialect is not ``lowered``, the first argument is the component itself.
"""

ROUTES: Final = Registry("route", {"tf2onnx": "lwmport.converters.tf2onnx_route.convert:convert"})
"""Dialect -> the converter that takes another way to its format than the direct one."""


NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "frozen_graph": ("tensorflow",),
    "gguf": ("gguf",),
    "saved_model": ("tensorflow",),
    "tf2onnx": ("tensorflow", "tf2onnx", "onnxsim"),
    "tflite": ("flatbuffers", "ai_edge_litert"),
}
"""Format, or route -> optional modules without which nothing is written."""

LIMIT: Final = 2**31 - 1
"""Bytes of one protocol buffer, or of one flatbuffer with everything in its tables."""

SHARING: Final = frozenset({"onnx"})
"""Formats whose converter takes one argument more, a `SharedData`: its models can have their weights in one file."""

WITH_TOKENIZER: Final = frozenset({"gguf"})
"""Formats whose files hold a tokenizer; their converter takes one argument more, the tokens."""


def shares(dialect: Dialect) -> bool:
    """Return whether models in a dialect can have their weights in one file."""
    return dialect.format in SHARING and dialect.name not in ROUTES


def is_limited(dialect: Dialect) -> bool:
    """Return whether the weights of a model in a dialect lie in one buffer, which holds `LIMIT` bytes."""
    return dialect.embedded or dialect.name in ROUTES or dialect.format == "frozen_graph"


def converter_for(dialect: Dialect) -> Any:
    """Return the converter that writes a dialect.

    Raises:
        MissingExtraError: it needs an optional module that is not installed.
    """
    check_installed(*NEEDS.get(dialect.name if dialect.name in ROUTES else dialect.format, ()))
    return ROUTES[dialect.name] if dialect.name in ROUTES else CONVERTERS[dialect.format]
