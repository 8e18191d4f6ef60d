"""How each converter of a quantised LLaMA is called: a Hugging Face folder of float weights in, one model file out.

As a script it does the one conversion that a run of the benchmark ordered, if need be in an interpreter of its own.
"""

import contextlib
import runpy
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

from own import convert_own, prepare_own
from processes import Converter, convert_here

GROUP = 64
"""Values that share one of our scales of float32: as many bits as llama.cpp's scale of float16 for 32 values."""

NNCF_GROUP = 32
"""The same of nncf, whose scales are float16."""

_group = ("--group-size", str(GROUP))

TABLES = ("transformer/wte/embedding", "lm_head/kernel")
"""What a calibration does not help, or what every token is told by."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to convert, from where to where."""

    folder: str
    out: str


def _own(job: Job, *options: str) -> None:
    given = ["--component", "llama", "--checkpoint", job.folder, "--out", str(Path(job.out) / "made")]
    convert_own([*given, *options])


def _onnx(dialect: str, *options: str) -> Callable[[Job], None]:
    def convert(job: Job) -> None:
        _own(job, "--to", "onnx", "--dialect", dialect, "--batch", "1", *options)

    return convert


def _with_tables(method: str) -> Callable[[Job], None]:
    """Return what writes 4 bits, but 8 bits of the table and the head.

    A calibration reads the texts that ship, not the one that models are judged on.
    """

    def convert(job: Job) -> None:
        recipe, names = Path(job.out) / "recipe.toml", _names(job)
        rules = [f'["{name}"]\nkind = "w8a8"\nmethod = "rtn"\n' for name in TABLES if name in names]
        recipe.write_text("".join(rules), encoding="utf-8")
        options = ("--quantize", "w4a8", "--method", method, "--recipe", str(recipe))
        _onnx("ort", *options, *_group)(job)

    return convert


def _names(job: Job) -> Collection[str]:
    """Return the names of a checkpoint's weights."""
    from lwmport.checkpoints.model_weights import open_model
    from lwmport.models.options import Options

    return open_model("llama", job.folder, "lwm", Options(), 0)[1].specs.keys()


def _nothing(job: Job) -> None:
    """Leave the folder as it is: PyTorch reads it."""


def _llama_cpp(number: int) -> Callable[[Job], None]:
    """Return what runs llama.cpp's own quantiser on a GGUF of float32; ``number`` is its ``llama_ftype``."""

    def convert(job: Job) -> None:
        import llama_cpp

        floats = Path(job.out) / "made" / "llama.gguf"
        _own(job, "--to", "gguf", "--tokenizer", "none")
        chosen = llama_cpp.llama_model_quantize_default_params()
        chosen.ftype = number
        target = Path(job.out) / "model.gguf"
        if llama_cpp.llama_model_quantize(str(floats).encode(), str(target).encode(), chosen):
            raise RuntimeError("llama.cpp's quantiser failed")
        floats.unlink()

    return convert


def _prepare_llama_cpp() -> None:
    import llama_cpp  # noqa: F401

    prepare_own()


def _genai(precision: str) -> Callable[[Job], None]:
    """Return what runs onnxruntime-genai's builder as it comes: groups of 32, symmetric."""

    def convert(job: Job) -> None:
        scratch = str(Path(job.out) / "cache")
        given = ["builder", "-m", job.folder, "-i", job.folder, "-o", job.out, "-p", precision, "-e", "cpu"]
        with mock.patch.object(sys, "argv", [*given, "-c", scratch]), contextlib.suppress(SystemExit):
            runpy.run_module("onnxruntime_genai.models.builder", run_name="__main__")

    return convert


def _prepare_genai() -> None:
    import onnxruntime_genai  # noqa: F401
    import torch  # noqa: F401
    import transformers  # noqa: F401


def _nncf(mode: str) -> Callable[[Job], None]:
    """Return what compresses the weights of our float32 file by nncf: 4 bits in groups of 32, 8 bits a channel."""

    def convert(job: Job) -> None:
        import nncf
        import openvino

        _own(job, "--to", "onnx", "--dialect", "openvino", "--batch", "1")
        read = openvino.Core().read_model(Path(job.out) / "made" / "llama.onnx")
        model = read.clone()  # without what reading leaves behind unused, at which nncf fails
        more = {"group_size": NNCF_GROUP, "ratio": 1.0} if mode == "INT4_SYM" else {}
        small = nncf.compress_weights(model, mode=nncf.CompressWeightsMode[mode], **more)
        openvino.save_model(small, Path(job.out) / "model.xml", compress_to_fp16=False)
        del read, model, small
        for path in (Path(job.out) / "made").iterdir():
            path.unlink()

    return convert


def _prepare_nncf() -> None:
    import nncf  # noqa: F401
    import openvino  # noqa: F401

    prepare_own()


_ours = partial(Converter, prepare=prepare_own)

CONVERTERS: dict[str, Converter] = {
    "float32": _ours(convert=_onnx("ort")),
    "lwmport-w4a8": _ours(convert=_onnx("ort", "--quantize", "w4a8", *_group)),
    "lwmport-tables-w4a8": _ours(convert=_with_tables("rtn")),
    "lwmport-gptq-w4a8": _ours(convert=_with_tables("gptq")),
    "lwmport-w4a16": _ours(convert=_onnx("ort", "--quantize", "w4a16", *_group)),
    "lwmport-openvino-w4a16": _ours(convert=_onnx("openvino", "--quantize", "w4a16", *_group)),
    "llama-cpp-q4_0": Converter(prepare=_prepare_llama_cpp, convert=_llama_cpp(2)),
    "llama-cpp-q4_k_m": Converter(prepare=_prepare_llama_cpp, convert=_llama_cpp(15)),
    "genai-int4": Converter(prepare=_prepare_genai, convert=_genai("int4")),
    "nncf-int4": Converter(prepare=_prepare_nncf, convert=_nncf("INT4_SYM")),
    "lwmport-w8a8": _ours(convert=_onnx("ort", "--quantize", "w8a8", *_group)),
    "lwmport-openvino-w8a16": _ours(convert=_onnx("openvino", "--quantize", "w8a16", *_group)),
    "llama-cpp-q8_0": Converter(prepare=_prepare_llama_cpp, convert=_llama_cpp(7)),
    "genai-int8": Converter(prepare=_prepare_genai, convert=_genai("int8")),
    "nncf-int8": Converter(prepare=_prepare_nncf, convert=_nncf("INT8_ASYM")),
    "lwmport-openvino-bf16": _ours(convert=_onnx("openvino")),
    "torch-bf16": Converter(prepare=lambda: None, convert=_nothing),
}
"""Contender -> its converter."""


if __name__ == "__main__":
    *_, order = sys.argv
    convert_here(order, CONVERTERS, Job)
