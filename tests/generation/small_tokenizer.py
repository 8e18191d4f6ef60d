"""A tokenizer of single bytes: token 3 + n is the n-th byte of GPT-2's alphabet, as Hugging Face saves one."""

import json
from pathlib import Path
from typing import Any

SPECIAL = ("<unk>", "<s>", "</s>")


def write_tokenizer(folder: Path, settings: dict[str, Any] | None = None) -> Path:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    folder.mkdir(parents=True, exist_ok=True)
    words = (*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()))
    vocabulary = {word: place for place, word in enumerate(words)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))  # noqa: S106 - no password
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(word, special=True) for word in SPECIAL])
    made.save(str(folder / "tokenizer.json"))
    usual = {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "unk_token": "<unk>", "add_bos_token": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(usual if settings is None else settings))
    return folder
