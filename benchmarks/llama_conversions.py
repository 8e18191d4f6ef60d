"""How each converter of a LLaMA is called: the same weights in, one model file out.

As a script it does the one conversion that a run of the benchmark ordered, if need be in an interpreter of its own:
nothing of ``lwmport`` is imported before it is asked for.
"""

import contextlib
import json
import runpy
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import llama_gguf
import llama_torch
from own import convert_own, prepare_own
from processes import Converter, convert_here

FOLDER = "hf"
"""The conversion that gives the peers the Hugging Face folder that they read."""

TOKENS = ("<unk>", "<s>", "</s>")
"""The first tokens of the tokenizer that onnxruntime-genai's builder asks for."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to convert, from where to where: LWM's configuration and checkpoint, or the folder made of them."""

    config: str
    checkpoint: str
    folder: str
    out: str


def model_file(out: str | Path, name: str) -> Path:
    """Return where a contender's model is written."""
    return Path(out) / {"lwmport": "llama.onnx", "llama-cpp": "model.gguf"}.get(name, "model.onnx")


def write_tokenizer(folder: Path, size: int) -> None:
    """Write a tokenizer of that many words into a Hugging Face folder: the weights are seeded and speak none."""
    words = [*TOKENS, *(f"w{number}" for number in range(len(TOKENS), size))]
    unknown, first, last = TOKENS
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "model": {
            "type": "WordLevel",
            "vocab": {word: number for number, word in enumerate(words)},
            "unk_token": unknown,
        },
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": unknown,
        "bos_token": first,
        "eos_token": last,
    }
    for name, content in (("tokenizer.json", tokenizer), ("tokenizer_config.json", settings)):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")


def _convert_own(job: Job) -> None:
    """Convert as a user of ONNX Runtime does: float32, any batch and length, with a cache."""
    _run_own(job, "--to", "onnx", "--dialect", "ort", "--batch", "dynamic")


def _convert_folder(job: Job) -> None:
    """Write the folder in the dtype of the checkpoint; everyone reads it as float32."""
    _run_own(job, "--to", "hf", "--precision", "bfloat16")


def _run_own(job: Job, *options: str) -> None:
    given = ["--component", "llama", "--config", job.config, "--checkpoint", job.checkpoint, "--out", job.out]
    convert_own([*given, *options])


def _prepare_genai() -> None:
    import onnxruntime_genai  # noqa: F401
    import torch  # noqa: F401
    import transformers  # noqa: F401


def _convert_genai(job: Job) -> None:
    """Run onnxruntime-genai's builder: float32 for the CPU."""
    scratch = str(Path(job.out) / "cache")
    arguments = ["builder", "-m", job.folder, "-i", job.folder, "-o", job.out, "-p", "fp32", "-e", "cpu", "-c", scratch]
    with mock.patch.object(sys, "argv", arguments), contextlib.suppress(SystemExit):
        runpy.run_module("onnxruntime_genai.models.builder", run_name="__main__")


def _prepare_optimum() -> None:
    import optimum.exporters.onnx  # noqa: F401
    import torch  # noqa: F401


def _convert_optimum(job: Job) -> None:
    """Run optimum's export with a cache, without its comparison with PyTorch."""
    from optimum.exporters.onnx import main_export

    options: dict[str, Any] = {"task": "text-generation-with-past", "do_validation": False, "no_post_process": True}
    main_export(job.folder, output=job.out, dtype="fp32", **options)


def _convert_torch(job: Job) -> None:
    llama_torch.export(job.folder, model_file(job.out, "torch-export"))


def _convert_gguf(job: Job) -> None:
    llama_gguf.write(job.folder, model_file(job.out, "llama-cpp"))


CONVERTERS: dict[str, Converter] = {
    FOLDER: Converter(prepare=prepare_own, convert=_convert_folder),
    "lwmport": Converter(prepare=prepare_own, convert=_convert_own),
    "genai-builder": Converter(prepare=_prepare_genai, convert=_convert_genai),
    "optimum": Converter(prepare=_prepare_optimum, convert=_convert_optimum),
    "torch-export": Converter(prepare=llama_torch.prepare, convert=_convert_torch),
    "llama-cpp": Converter(prepare=llama_gguf.prepare, convert=_convert_gguf),
}
"""Contender -> its converter, and that of the folder which the peers read."""


if __name__ == "__main__":
    *_, order = sys.argv
    convert_here(order, CONVERTERS, Job)
