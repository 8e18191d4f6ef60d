"""A GGUF file read back: every tensor, the configuration and the tokens; the same bytes; and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lwmport
from lwmport.checkpoints.gguf import read_header
from lwmport.checkpoints.layers import LayeredWeights
from lwmport.checkpoints.model_weights import component_weights, fitting
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.converters.dialects import DIALECTS
from lwmport.converters.gguf.convert import convert, vocabulary_of
from lwmport.converters.gguf.tokenizer_files import read_vocabulary
from lwmport.converters.gguf.vocabulary import TokenType
from lwmport.errors import LoweringError, UnusedOptionError, UsageError
from lwmport.models.families import resolve
from lwmport.models.llama.components import llama
from lwmport.models.llama.config import config_of
from lwmport.models.options import Options
from lwmport.runtime.runners.gguf import GgufRunner
from lwmport.types import WeightSpec

pytest.importorskip("gguf.quants")  # where it is not installed, a folder of tests has the name
gguf = pytest.importorskip("gguf")

SMALL: dict[str, Any] = {
    "hidden_size": 256,
    "intermediate_size": 288,
    "max_sequence_length": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "num_key_value_heads": 1,
    "scan_layers": False,
    "theta": 50_000_000.0,
    "vocab_size": 40,
}
VISION = {**SMALL, "vision_vocab_size": 24, "sample_mode": "all"}
HOW = [{}, {"store": "float16"}, {"store": "bfloat16"}, {"quantize": "q8_0"}, {"quantize": "q4_k_m"}]
CONFIGS = {
    "text": SMALL,
    "codes": VISION,
    "tied": {**SMALL, "tie_word_embeddings": True},
    "codes tied": {**VISION, "tie_word_embeddings": True, "tie_vision_embeddings": True},
}


def written(config: dict[str, Any], out: Path, **options: Any) -> tuple[Path, Any]:
    """Return the file of a model with seeded weights, and those as they are stored."""
    family = resolve("vision-llama" if "vision_vocab_size" in config else "llama", config, Options(**options))
    (component,) = family.components
    weights = component_weights(family, component, fitting(family, None, 3))
    tokens = vocabulary_of(component, "none")
    return convert(component, weights, DIALECTS["gguf"], out, lambda *_: None, tokens).path, weights


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("how", HOW, ids=str)
def test_every_tensor_comes_back_as_it_is_stored(config: dict[str, Any], how: dict[str, Any], tmp_path: Path) -> None:
    path, weights = written(config, tmp_path, **how)
    found = open_checkpoint(path)
    assert dict(found.config).items() >= config.items() - {("scan_layers", False)}
    assert set(found.specs) == set(weights.specs)
    for name in weights.specs:
        np.testing.assert_array_equal(found.read(name).astype(np.float32), weights.read(name), err_msg=name)


def test_a_head_that_is_tied_in_part_is_written_whole(tmp_path: Path) -> None:
    path, weights = written({**VISION, "tie_word_embeddings": True}, tmp_path, quantize="q4_k_m")
    found = open_checkpoint(path)
    assert not found.config["tie_word_embeddings"]
    kinds = {info.name: info.kind for info in read_header(path).infos}
    assert kinds["output.weight"] == kinds["token_embd.weight"] == "Q6_K"
    np.testing.assert_array_equal(found.read("lm_head/kernel"), weights.read("transformer/wte/embedding").T)
    for name in weights.specs:
        np.testing.assert_array_equal(found.read(name), weights.read(name), err_msg=name)


def test_kinds_are_those_of_the_mix_and_norms_stay(tmp_path: Path) -> None:
    path, _ = written(SMALL, tmp_path, quantize="q4_k_m")
    kinds = {info.name: info.kind for info in read_header(path).infos}
    assert kinds["blk.0.attn_norm.weight"] == kinds["output_norm.weight"] == "F32"
    assert kinds["blk.0.attn_q.weight"] == kinds["token_embd.weight"] == "Q4_K"
    assert kinds["output.weight"] == "Q6_K"
    assert kinds["blk.1.ffn_down.weight"] == "Q8_0", "288 values a row"
    assert read_header(path).keys["general.file_type"] == 15
    assert read_header(path).keys["general.quantization_version"] == 2


def test_the_bytes_are_the_same_again(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for out in (first, second):
        out.mkdir()
        written(VISION, out, quantize="q4_k_m")
    assert (first / "vision-llama.gguf").read_bytes() == (second / "vision-llama.gguf").read_bytes()


def test_the_package_gguf_reads_tokens_for_every_row(tmp_path: Path) -> None:
    path, _ = written(VISION, tmp_path)
    fields = gguf.GGUFReader(path).fields
    tokens, types = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type"))
    assert tokens[:4] == ["<unk>", "<s>", "</s>", "<0x00>"]
    assert tokens[40:] == [f"<v{code}>" for code in range(24)]
    assert set(types[40:]) == {TokenType.USER_DEFINED}
    assert fields["llama.vocab_size"].contents() == 64


PIECES = ["<unk>", "<s>", "</s>", "<0x0A>", "a", "b", "ab", "aba"]


def tokenizer_json(folder: Path, **model: Any) -> Path:
    vocab = {text: number for number, text in enumerate(PIECES)}
    merges = ["a b", "ab a"]
    told = {"type": "BPE", "byte_fallback": True, "unk_token": "<unk>", "vocab": vocab, "merges": merges, **model}
    added = [{"id": 1, "content": "<s>", "special": True}, {"id": 8, "content": "<image>", "special": False}]
    (folder / "tokenizer.json").write_text(json.dumps({"model": told, "added_tokens": added}))
    return folder


def tokenizer_model(folder: Path) -> Path:
    def piece(text: str, score: float, kind: int) -> bytes:
        inner = bytes([10, len(text)]) + text.encode() + b"\x15" + np.float32(score).tobytes() + bytes([24, kind])
        return bytes([10, len(inner)]) + inner

    kinds = [2, 3, 3, 6, 1, 1, 1, 1]
    whole = b"".join(piece(*args) for args in zip(PIECES, range(0, -8, -1), kinds, strict=True))
    (folder / "tokenizer.model").write_bytes(whole)
    return folder


def test_a_tokenizer_of_hugging_face(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    found = read_vocabulary(tokenizer_json(tmp_path))
    assert found.keys["tokenizer.chat_template"] == "{{ messages }}"
    assert [token.decode() for token in found.tokens] == [*PIECES, "<image>"]
    assert found.types == (2, 3, 1, 6, 1, 1, 1, 1, 4)
    assert found.scores[6:8] == (0.0, -1.0), "what is merged first has the highest score"
    assert found.keys["tokenizer.ggml.bos_token_id"] == 1


def test_a_tokenizer_of_sentencepiece_and_the_same_out_of_a_gguf_file(tmp_path: Path) -> None:
    found = read_vocabulary(tokenizer_model(tmp_path))
    assert [token.decode() for token in found.tokens] == PIECES
    assert found.scores == tuple(float(score) for score in range(0, -8, -1))
    assert found.types == (2, 3, 3, 6, 1, 1, 1, 1)
    (component,) = resolve("llama", {**SMALL, "vocab_size": 9}, Options()).components
    tokens = vocabulary_of(component, str(tmp_path))
    assert tokens.tokens[8:] == (b"<pad8>",)
    assert tokens.types[8:] == (TokenType.UNUSED,)
    path = convert(
        component, SeededWeights(component.weights, 0), DIALECTS["gguf"], tmp_path, lambda *_: None, tokens
    ).path
    again = read_vocabulary(path)
    for field in ("tokens", "types", "scores", "model", "keys"):
        assert getattr(again, field) == getattr(tokens, field), field


REFUSED = {
    "nothing": (
        None,
        UsageError,
        "expected --tokenizer DIR with tokenizer.model or tokenizer.json for the format",
    ),
    "an empty folder": ("empty", UsageError, "found none; name a folder with tokenizer.model or tokenizer.json"),
    "another kind": ("bytes", UsageError, "another kind than a BPE with byte fallback"),
    "too many tokens": ("large", UsageError, "expected a tokenizer of at most 5 tokens, found 9"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_tokenizer_that_does_not_do(case: str, tmp_path: Path) -> None:
    name, error, message = REFUSED[case]
    folder = tmp_path / (name or "")
    folder.mkdir(exist_ok=True)
    if name == "bytes":
        tokenizer_json(folder, byte_fallback=False)
    if name == "large":
        tokenizer_json(folder)
    (component,) = resolve("llama", {**SMALL, "vocab_size": 5}, Options()).components
    with pytest.raises(error, match=message):
        vocabulary_of(component, str(folder) if name else None)


def test_a_part_of_a_model_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(LoweringError, match="expected one of llama, vision-llama for the format gguf"):
        lwmport.convert(component="llama-block", format="gguf", config="debug", out=tmp_path, tokenizer="none")
    with pytest.raises(UnusedOptionError, match="expected --tokenizer for --to gguf"):
        lwmport.convert(component="llama", format="hf", config="debug", out=tmp_path, tokenizer="none")
    with pytest.raises(UsageError, match="expected --store float16 in the dialect 'gguf'"):
        lwmport.convert(
            component="llama", format="gguf", config="debug", out=tmp_path, options=Options(precision="float16")
        )
    with pytest.raises(UnusedOptionError, match="--quantize w4a16"):
        lwmport.convert(
            component="llama", format="gguf", config="debug", out=tmp_path, options=Options(quantize="w4a16")
        )


def test_weights_that_are_rounded_are_told(tmp_path: Path) -> None:
    _, weights = written(SMALL, tmp_path, quantize="q4_0")
    assert isinstance(weights, StoredWeights)
    assert {scheme.blocks for scheme in weights.stored.values()} == {"Q4_0", "Q6_K"}


def test_logits_of_the_file_are_lwms(tmp_path: Path) -> None:
    with np.load(Path(__file__).parents[2] / "data" / "lwm_llama" / "vision_all.npz") as arrays:
        case = dict(arrays)
    specs = {
        name: WeightSpec(shape=tuple(shape), dtype="float32") for name, shape in json.loads(str(case["specs"])).items()
    }
    component = llama(config_of(json.loads(str(case["config"]))))
    weights = LayeredWeights(SeededWeights(specs, int(case["seed"])), component.weights, {})
    tokens = vocabulary_of(component, "none")
    path = convert(component, weights, DIALECTS["gguf"], tmp_path, lambda *_: None, tokens).path
    runner = GgufRunner(path)
    batch = len(case["input_ids"])
    shapes = {spec.name: [batch if size == "batch" else size for size in spec.shape] for spec in runner.inputs}
    empty = {
        name: np.zeros([0 if isinstance(size, str) else size for size in shape], np.float32)
        for name, shape in shapes.items()
        if name not in case
    }
    given = {spec.name: case[spec.name].astype(spec.dtype) for spec in runner.inputs if spec.name in case}
    found = runner.run({**empty, **given})
    for name in ("text_logits", "vision_logits"):
        counted = case["attention_mask"][:, -case[name].shape[1] :] != 0
        error = np.abs(found[name] - case[name])[counted].max() / case[name].std()
        assert error < 2e-5, name
