"""Greedy tokens of other people's engines: a script for a Python that has one, and needs nothing of lwmport.

``python judge_peers.py ENGINE MODEL`` reads ``{"ids": [...], "count": N}`` on standard input, and prints
``{"engine": ..., "tokens": [...]}``. ``python judge_peers.py which`` prints which engines this Python has.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, NoReturn


def transformers(model: str, ids: list[int], count: int) -> list[int]:
    """Return the tokens of ``generate`` of transformers, from a folder."""
    torch, engine = import_module("torch"), import_module("transformers")
    opened = engine.AutoModelForCausalLM.from_pretrained(model, dtype="auto").eval()
    given = torch.tensor([ids])
    with torch.no_grad():
        found = opened.generate(
            given,
            attention_mask=torch.ones_like(given),
            max_new_tokens=count,
            min_new_tokens=count,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
    new: list[int] = found[0, len(ids) :].tolist()
    return new


def llama_cpp(model: str, ids: list[int], count: int) -> list[int]:
    """Return the tokens with the largest logits in llama-cpp-python, from a GGUF."""
    import numpy as np

    engine = import_module("llama_cpp")
    opened = engine.Llama(model, n_ctx=len(ids) + count + 8, logits_all=True, verbose=False, n_threads=1)
    found: list[int] = []
    opened.eval(ids)
    while True:
        found.append(int(np.argmax(opened.scores[opened.n_tokens - 1])))
        if len(found) == count:
            return found
        opened.eval(found[-1:])


def xllamacpp(model: str, ids: list[int], count: int) -> list[int]:
    """Return the tokens of llama.cpp's server in xllamacpp, from a GGUF; the token that ends a text is none of them."""
    engine = import_module("xllamacpp")
    asked = engine.CommonParams()
    asked.model.path, asked.n_ctx, asked.warmup = model, len(ids) + count + 8, False
    asked.cpuparams.n_threads = 1
    _open.append(engine.Server(asked))  # to close it has waited for its own threads without end
    found = _open[-1].handle_completions(
        {"prompt": ids, "n_predict": count, "temperature": 0, "logprobs": 1, "ignore_eos": True}
    )
    return [token["id"] for token in found["choices"][0]["logprobs"]["content"]]


_open: list[Any] = []

ENGINES: dict[str, tuple[Callable[[str, list[int], int], list[int]], str, str]] = {
    "transformers": (transformers, "transformers", "hf"),
    "llama-cpp-python": (llama_cpp, "llama_cpp", "gguf"),
    "xllamacpp": (xllamacpp, "xllamacpp", "gguf"),
}
"""Name -> what runs it, the module that it is, what it reads."""


def main(arguments: list[str]) -> None:
    """Print what is asked for."""
    if arguments == ["which"]:
        found = {name: reads for name, (_, module, reads) in ENGINES.items() if find_spec(module)}
        sys.stdout.write(f"{json.dumps(found)}\n")
        return
    name, model = arguments
    asked = json.load(sys.stdin)
    tokens = ENGINES[name][0](model, asked["ids"], asked["count"])
    sys.stdout.write(f"{json.dumps({'engine': f'{name} {version(name)}', 'tokens': tokens})}\n")


def _left(arguments: list[str]) -> NoReturn:
    """End the process as soon as its work has: threads of a server that is open would keep it."""
    try:
        main(arguments)
    except Exception:  # noqa: BLE001 - engines raise all kinds
        traceback.print_exc()
    else:
        sys.stdout.flush()
        os._exit(0)
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    _left(sys.argv[1:])
