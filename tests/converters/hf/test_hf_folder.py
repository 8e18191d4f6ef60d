"""What is in the folder: every tensor once, the vocabulary as it is told, the same bytes, and nothing for a part."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import lwmport
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.writers import safetensors_folder as sharded
from lwmport.converters.dialects import DIALECTS
from lwmport.converters.hf.convert import convert
from lwmport.errors import LoweringError, UsageError
from lwmport.models.llama.components import llama
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.models.options import Options
from lwmport.types import Array, Artifact, Status

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "max_sequence_length": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 40,
}
TIES = [{"tie_word_embeddings": text, "tie_vision_embeddings": vision} for text in (0, 1) for vision in (0, 1)]


def vision(**changes: Any) -> VisionLlamaConfig:
    return VisionLlamaConfig.from_json({**SMALL, "vision_vocab_size": 24, **changes})


def written(config: LlamaConfig, out: Path) -> tuple[Artifact, SeededWeights]:
    component = llama(config)
    weights = SeededWeights(component.weights, 3)
    return convert(component, weights, DIALECTS["hf"], out, lambda *_: None), weights


def tensors(folder: Path) -> dict[str, Array]:
    return {name: array for path in folder.glob("*.safetensors") for name, array in load_file(path).items()}


@pytest.mark.parametrize("ties", TIES, ids=lambda ties: "-".join(name for name, set_ in ties.items() if set_) or "none")
def test_codes_stand_behind_words_and_a_tied_head_is_its_table(ties: dict[str, int], tmp_path: Path) -> None:
    config = vision(**{name: bool(value) for name, value in ties.items()})
    artifact, weights = written(config, tmp_path)
    found, read = tensors(artifact.path), weights.read
    words, codes = read("transformer/wte/embedding"), read("transformer/vte/embedding")
    np.testing.assert_array_equal(found["model.embed_tokens.weight"], np.concatenate([words, codes]))
    tied = json.loads((artifact.path / "config.json").read_text())["tie_word_embeddings"]
    assert tied is (config.tie_word_embeddings and config.tie_vision_embeddings)
    assert ("lm_head.weight" in found) is not tied
    if not tied:
        text = words if config.tie_word_embeddings else read("lm_head/kernel").T
        image = codes if config.tie_vision_embeddings else read("vision_head/kernel").T
        np.testing.assert_array_equal(found["lm_head.weight"], np.concatenate([text, image]))


def test_the_vocabulary_is_told_everywhere_alike(tmp_path: Path) -> None:
    artifact, _ = written(vision(vision_vocab_size=8448), tmp_path)
    config, generation = (
        json.loads((artifact.path / name).read_text()) for name in ("config.json", "generation_config.json")
    )
    assert config["vocab_size"] == 40 + 8448
    assert artifact.details["tokens"] == config["lwm"]
    assert config["lwm"]["first_code"] == 40
    assert generation["suppress_tokens"] == list(range(40, 40 + 8448))
    assert (generation["bos_token_id"], generation["eos_token_id"]) == (1, 2)
    readme = (artifact.path / "README.md").read_text()
    assert "code c is token 40 + c" in readme
    assert f"| {40 + 8192} | end of a frame (code 8192) |" in readme
    assert f"| {40 + 8193} | end of the last frame, and of each frame in a question (code 8193) |" in readme


def test_a_text_model_suppresses_nothing(tmp_path: Path) -> None:
    artifact, _ = written(LlamaConfig.from_json({**SMALL, "bos_token_id": 7, "eos_token_id": None}), tmp_path)
    assert json.loads((artifact.path / "generation_config.json").read_text()) == {
        "bos_token_id": 7,
        "eos_token_id": None,
    }
    assert "first_code" not in artifact.details["tokens"]


def test_shards_hold_the_same_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, _ = written(vision(), tmp_path / "a")
    monkeypatch.setattr("lwmport.converters.hf.convert.SHARD_BYTES", 20_000)
    many, _ = written(vision(), tmp_path / "b")
    assert len(list(many.path.glob("*.safetensors"))) > 2
    assert many.details["index"] == sharded.INDEX
    expected, found = tensors(one.path), tensors(many.path)
    assert sorted(found) == sorted(expected)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_part_of_a_model_is_refused_in_one_line(tmp_path: Path) -> None:
    part = replace(llama(LlamaConfig.from_json(SMALL)), name="llama-block")
    with pytest.raises(LoweringError, match="expected one of llama, vision-llama for the format hf, found llama-block"):
        convert(part, SeededWeights(part.weights, 0), DIALECTS["hf"], tmp_path, lambda *_: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_pipeline_judges_it_like_any_format(precision: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    config = {**SMALL, "vision_vocab_size": 40}
    request = lwmport.Request(
        component="vision-llama", format="hf", out=tmp_path / "out", config=config, options=Options(precision=precision)
    )
    outcome = lwmport.convert(request)
    assert outcome.status is Status.PASSED, outcome.report
    (part,) = outcome.manifest.components
    assert part.path == "vision-llama.hf"
    assert {file.name for file in part.files} == {
        path.relative_to(outcome.out).as_posix() for path in (outcome.out / part.path).iterdir()
    }
    again = lwmport.convert(replace(request, out=tmp_path / "again", validate=False)).manifest
    assert again.components[0].files == part.files


def test_bfloat16_is_for_hugging_face_alone(tmp_path: Path) -> None:
    request = lwmport.Request(
        component="llama", format="onnx", out=tmp_path / "out", config=SMALL, options=Options(precision="bfloat16")
    )
    with pytest.raises(UsageError, match="expected a precision of ort out of float16, float32, found 'bfloat16'"):
        lwmport.convert(request)
