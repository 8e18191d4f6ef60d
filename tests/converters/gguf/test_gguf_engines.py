"""The file in other people's engines: llama.cpp's own quantiser makes the same bytes, and an engine the same logits.

They are installed nowhere by default: ``pip install cyllama ik-llama-cpp-python`` in an environment of their own.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lwmport
from lwmport.models.block_mixes import MIXES
from lwmport.models.options import Options
from lwmport.runtime.runners.gguf import GgufRunner
from lwmport.types import Array

pytest.importorskip("gguf.quants")  # where it is not installed, a folder of tests has the name
gguf = pytest.importorskip("gguf")

MODELS: dict[str, dict[str, Any]] = {
    "rows of 288": {"hidden_size": 288, "intermediate_size": 512, "num_attention_heads": 9, "num_hidden_layers": 9},
    "tied, grouped": {
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_attention_heads": 4,
        "num_hidden_layers": 9,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    },
    "80 layers, grouped": {
        "hidden_size": 256,
        "intermediate_size": 256,
        "num_attention_heads": 2,
        "num_hidden_layers": 80,
        "num_key_value_heads": 1,
    },
}
TOKENS = [1, 5, 9, 270, 300, 304, 290, 77]


def written(model: str, out: Path, quantize: str = "", **changes: Any) -> Path:
    config = {"vocab_size": 300, "max_sequence_length": 64, **MODELS[model], **changes}
    component = "vision-llama" if "vision_vocab_size" in config else "llama"
    given: dict[str, Any] = {"config": config, "options": Options(quantize=quantize), "tokenizer": "none"}
    lwmport.convert(component=component, format="gguf", out=out, validate=False, **given)
    return out / f"{component}.gguf"


def tensors(path: Path) -> dict[str, tuple[str, bytes]]:
    return {item.name: (item.tensor_type.name, item.data.tobytes()) for item in gguf.GGUFReader(path).tensors}


@pytest.mark.parametrize("model", MODELS)
def test_the_quantiser_of_llama_cpp_makes_the_same_tensors(model: str, tmp_path: Path) -> None:
    engine = pytest.importorskip("cyllama.llama.llama_cpp")
    exact, theirs = written(model, tmp_path / "exact"), tmp_path / "theirs.gguf"
    for name, mix in MIXES.items() if MODELS[model]["num_hidden_layers"] < 80 else [("q4_k_m", MIXES["q4_k_m"])]:
        settings = engine.LlamaModelQuantizeParams()
        settings.ftype, settings.nthread = mix.file_type, 1
        engine.model_quantize(str(exact), str(theirs), settings)
        assert tensors(written(model, tmp_path / name, name)) == tensors(theirs), name


@pytest.mark.parametrize("codes", [{}, {"vision_vocab_size": 24}], ids=["text", "codes"])
def test_an_engine_gives_the_logits_of_the_reference(codes: dict[str, int], tmp_path: Path) -> None:
    path = written("tied, grouped", tmp_path / "out", tie_word_embeddings=False, **codes)
    ids = [token % 300 if not codes else token for token in TOKENS]
    expected, found = reference(path, ids), engine_logits(path, ids)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 5e-3 * expected.std(), "the engine keeps keys and values in float16"


def reference(path: Path, ids: list[int]) -> Array:
    runner = GgufRunner(path)
    tokens, count = np.array([ids]), len(ids)
    inputs = {
        spec.name: np.zeros([{"batch": 1}.get(str(size), 0) if isinstance(size, str) else size for size in spec.shape])
        for spec in runner.inputs
    }
    inputs |= {
        "input_ids": np.where(tokens < 300, tokens, tokens - 300),
        "vision_masks": tokens >= 300,
        "attention_mask": np.ones((1, count)),
        "position_ids": np.arange(count)[None],
    }
    found = runner.run({spec.name: inputs[spec.name].astype(spec.dtype) for spec in runner.inputs})
    return np.concatenate([found[spec.name] for spec in runner.outputs if "logits" in spec.name], axis=-1)[0]


def engine_logits(path: Path, ids: list[int]) -> Array:
    engine = pytest.importorskip("ik_llama_cpp")
    from ik_llama_cpp._internals import make_batch

    model = engine.IkLlama(str(path), n_ctx=64, n_threads=1, verbose=False, flash_attn=False)
    batch = make_batch(ids)
    for number in range(len(ids)):
        batch.logits[number] = 1
    assert model._context.decode(batch) == 0
    return np.array([model._context.get_logits(number)[: model._model.n_vocab] for number in range(len(ids))])
