"""What onnxruntime-genai needs beside an ONNX model: ``genai_config.json``, and the tokenizer next to it.

Keys are those of onnxruntime-genai 0.18 (src/config.h), which takes an unknown key for an error. Names of inputs and
outputs are written out, for a model may have others one day than its defaults.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from lwmport.errors import ArtifactError, UsageError
from lwmport.generation.tokenizer import SETTINGS, TEXTS, Tokenizer
from lwmport.manifest import ComponentEntry, Manifest
from lwmport.models.specs import spec_of
from lwmport.types import TensorSpec

CONFIG: Final = "genai_config.json"
FORMAT: Final = "onnx"
TOKENIZER_FILES: Final = (TEXTS, SETTINGS)
TOKENS: Final = ("input_ids", "attention_mask", "position_ids")
CACHES: Final = ("past_key_values.%d.key", "past_key_values.%d.value", "present.%d.key", "present.%d.value")
"""The past, then what it becomes."""

KIND: Final = "decoder"
"""The type of a language model that the engine knows no more of than its inputs and outputs."""


def check_asked(parts: Collection[str], tokenizer: Path, language: str) -> None:
    """Return if the engine takes what is to become a model: text alone, with a whole tokenizer.

    Args:
        parts: the names of the parts.
        tokenizer: the folder of the tokenizer.
        language: which part is the language model.

    Raises:
        ArtifactError: there are other parts.
        UsageError: a file of the tokenizer is missing, or names no last token.
    """
    others = [name for name in parts if name != language]
    if others:
        raise ArtifactError(f"expected a language model alone for genai, found {others[0]} beside it; leave it out")
    missing = [name for name in TOKENIZER_FILES if not (tokenizer / name).is_file()]
    if missing:
        raise UsageError(f"expected {TEXTS} and {SETTINGS} in {tokenizer}, which genai reads, found no {missing[0]}")
    if Tokenizer(tokenizer).end is None:
        raise UsageError(f"expected eos_token in {tokenizer / SETTINGS}, where genai stops, found none")


def check_taken(made: Manifest) -> None:
    """Return if the engine can run a language model: one ONNX file, at any length, with a cache in float32.

    Raises:
        ArtifactError: it cannot.
    """
    if made.artifact_format != FORMAT:
        raise ArtifactError(f"expected a model of --to onnx for genai, found {made.artifact_format}")
    if "cache" in made.options:
        found = made.options["cache"]
        raise ArtifactError(f"expected a cache in float32 for genai, found {found}; convert again without --cache")
    _layers(_part(made))


def settings(made: Manifest, where: str, tokenizer: Tokenizer) -> str:
    """Return the text of ``genai_config.json``.

    Args:
        made: the manifest of the language model, which `check_taken` has let pass.
        where: its folder, as seen from the file.
        tokenizer: of the model.

    Raises:
        ArtifactError: the model is of a family that tells no context length.
    """
    part, fields = _part(made), _fields(made)
    given, found = _named(part.signature.inputs), _named(part.signature.outputs)
    past, layers = given[CACHES[0] % 0], _layers(part)
    model: dict[str, Any] = {
        "type": KIND,
        "vocab_size": found["logits"].shape[-1],
        "context_length": fields["max_position_embeddings"],
        "eos_token_id": tokenizer.end,
        "pad_token_id": tokenizer.pad,
        "decoder": {
            "filename": f"{where}/{part.path}",
            "hidden_size": fields["hidden_size"],
            "num_attention_heads": fields["num_attention_heads"],
            "num_key_value_heads": past.shape[1],
            "head_size": past.shape[3],
            "num_hidden_layers": layers,
            "inputs": {
                **{name: name for name in TOKENS if name in given},
                "past_key_names": CACHES[0],
                "past_value_names": CACHES[1],
            },
            "outputs": {"logits": "logits", "present_key_names": CACHES[2], "present_value_names": CACHES[3]},
        },
    }
    begin = {} if tokenizer.begin is None else {"bos_token_id": tokenizer.begin}
    # The graph returns a longer cache than it takes: it cannot lie in one buffer with it.
    search = {"do_sample": False, "max_length": model["context_length"], "past_present_share_buffer": False}
    return json.dumps({"model": {**model, **begin}, "search": search}, indent=1) + "\n"


def _part(made: Manifest) -> ComponentEntry:
    if len(made.components) != 1:
        names = ", ".join(part.name for part in made.components)
        raise ArtifactError(
            f"expected one model that takes any length for genai, found {names}; name a dialect that is not static"
        )
    return made.components[0]


def _layers(part: ComponentEntry) -> int:
    """Return how many layers a model has.

    Raises:
        ArtifactError: it has inputs that the engine cannot give, or no cache of any length, or other logits.
    """
    given, found = _named(part.signature.inputs), _named(part.signature.outputs)
    layers = sum(name.endswith(".key") for name in given)
    caches = {text % layer for layer in range(layers) for text in CACHES[:2]}
    strange = sorted(set(given) - caches - set(TOKENS))
    if strange:
        raise ArtifactError(f"expected {', '.join(TOKENS)} and a cache for genai, found the input {strange[0]}")
    fixed = [name for name in caches if isinstance(given[name].shape[2], int)]
    if not layers or fixed or "logits" not in found:
        raise ArtifactError(f"expected a cache of any length and logits of {part.name} for genai, found others")
    return layers


def _named(specs: tuple[TensorSpec, ...]) -> dict[str, TensorSpec]:
    return {spec.name: spec for spec in specs}


def _fields(made: Manifest) -> dict[str, Any]:
    """Return what ``config.json`` of Hugging Face would say of a model."""
    spec = spec_of(made.family)
    if spec is None or spec.huggingface is None:
        raise ArtifactError(f"expected a family whose context length is known for genai, found {made.family}")
    found: dict[str, Any] = json.loads(spec.huggingface.documents(made.config, "float32")["config.json"])
    return found
