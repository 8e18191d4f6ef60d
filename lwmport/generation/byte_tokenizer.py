"""A tokenizer for trials: one token a byte, in the form of Hugging Face's ``tokenizer.json``."""

import json
from pathlib import Path
from typing import Final

from lwmport.extras import require
from lwmport.generation.tokenizer import SETTINGS, TEXTS

SPECIAL: Final = ("<unk>", "<s>", "</s>")
"""The first tokens; the token of a byte is its place in the sorted alphabet of GPT-2 behind them."""


def write(folder: Path) -> Path:
    """Return the folder, with 259 tokens in it; a text begins with ``<s>`` and an answer ends at ``</s>``.

    Raises:
        MissingExtraError: ``tokenizers`` is not installed.
    """
    tokenizers = require("tokenizers")
    parts = tokenizers.pre_tokenizers
    words = (*SPECIAL, *sorted(parts.ByteLevel.alphabet()))
    vocabulary = {word: place for place, word in enumerate(words)}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[], unk_token=SPECIAL[0]))
    made.pre_tokenizer = parts.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens([tokenizers.AddedToken(word, special=True) for word in SPECIAL])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TEXTS).write_text(made.to_str(pretty=True), encoding="utf-8")
    unknown, begin, end = SPECIAL
    settings = {"unk_token": unknown, "bos_token": begin, "eos_token": end, "add_bos_token": True}
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    return folder
