"""``assemble --for genai``: the folder says what onnxruntime-genai wants to know, and runs there as it does here."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_tokenizer import write_tokenizer

import lwmport
from lwmport import digest, manifest
from lwmport.errors import ArtifactError, PortError, UsageError
from lwmport.models.options import Options
from lwmport.pipeline.assemble.package import open_package
from lwmport.pipeline.assemble.run import assemble

pytest.importorskip("tokenizers", reason="tokenizers is not installed")
CONFIG = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "max_sequence_length": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "num_hidden_layers": 2,
    "vocab_size": 300,
}
PROMPT = [1, 5, 9, 77, 31]
NEW = 12
KINDS: dict[str, dict[str, Any]] = {"float32": {}, "w4a16": {"quantize": "w4a16"}}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an assembled model of text, in float32 and quantised."""
    root = tmp_path_factory.mktemp(request.param)
    options = Options(**KINDS[request.param])
    lwmport.convert(
        component="llama", format="onnx", config=CONFIG, options=options, seed=1, out=root / "llama", validate=False
    )
    return assemble(language=root / "llama", tokenizer=tokenizer, out=root / "model", engine="genai").folder


def test_the_folder_says_what_the_engine_asks_for(model: Path) -> None:
    told = json.loads((model / "genai_config.json").read_text())
    decoder = told["model"].pop("decoder")
    assert told == {
        "model": {
            "type": "decoder",
            "vocab_size": 300,
            "context_length": 48,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
        },
        "search": {"do_sample": False, "max_length": 48, "past_present_share_buffer": False},
    }
    assert decoder["inputs"]["past_key_names"] == "past_key_values.%d.key"
    sizes = ("head_size", "hidden_size", "num_attention_heads", "num_hidden_layers", "num_key_value_heads")
    assert [decoder[name] for name in sizes] == [16, 64, 4, 2, 2]
    assert (model / decoder["filename"]).is_file()


def test_the_record_vouches_for_every_file(model: Path) -> None:
    files = open_package(model).record.files
    found = {path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file()}
    assert found - {"model.json"} == set(files)
    assert files["genai_config.json"] == digest.of_file(model / "genai_config.json")
    assert files["tokenizer.json"] == files["tokenizer/tokenizer.json"]


def test_onnxruntime_genai_gives_the_same_greedy_tokens(model: Path, tmp_path: Path) -> None:
    genai: Any = pytest.importorskip("onnxruntime_genai")
    opened = genai.Model(str(model))
    asked = genai.GeneratorParams(opened)
    asked.set_search_options(max_length=len(PROMPT) + NEW)
    generator = genai.Generator(opened, asked)
    generator.append_tokens(np.array([PROMPT], np.int32))
    found = []
    while not generator.is_done():
        generator.generate_next_token()
        found.append(int(generator.get_next_tokens()[0]))
    np.savez(tmp_path / "prompt.npz", input_ids=[PROMPT], attention_mask=np.ones((1, len(PROMPT)), np.int64))
    ours = lwmport.generate(
        model=model / "language", prompt=tmp_path / "prompt.npz", out=tmp_path / "out.npz", new_tokens=NEW
    )
    assert found == ours.tokens[0, : len(found)].tolist()
    assert len(set(found)) > 2
    texts = genai.Tokenizer(opened)
    assert texts.decode(texts.encode("a red house")) == "a red house"


def test_what_the_engine_cannot_run_is_refused(parts: dict[str, Path], model: Path, tmp_path: Path) -> None:
    language, tokenizer = model.parent / "llama", parts["tokenizer"]
    bare = shutil.copytree(tokenizer, tmp_path / "bare")
    (bare / "tokenizer_config.json").unlink()
    out = {"out": tmp_path / "out", "engine": "genai"}
    with pytest.raises(ArtifactError, match="a language model alone for genai, found pictures beside it"):
        assemble(**parts, **out)
    with pytest.raises(ArtifactError, match="and a cache for genai, found the input vision_masks"):
        assemble(language=parts["language"], tokenizer=tokenizer, **out)
    with pytest.raises(UsageError, match="which genai reads, found no tokenizer_config"):
        assemble(language=language, tokenizer=bare, **out)
    with pytest.raises(UsageError, match="a engine out of genai, found 'vllm'"):
        assemble(language=language, tokenizer=tokenizer, out=tmp_path / "out", engine="vllm")
    silent = write_tokenizer(tmp_path / "silent", {"bos_token": "<s>"})
    with pytest.raises(PortError, match="where genai stops, found none"):
        assemble(language=language, tokenizer=silent, **out)
    assert not (tmp_path / "out").exists()
    assert manifest.read(language).components
