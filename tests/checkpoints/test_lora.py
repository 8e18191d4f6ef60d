"""LoRA adapters as PEFT writes them, merged into models, held against the sum computed in Hugging Face's own layout."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import CheckpointError, PortError, UsageError
from lwmport.pipeline.checkpoint.convert import Conversion, convert
from lwmport.pipeline.checkpoint.make import Recipe, make
from lwmport.types import Array

RNG = np.random.default_rng(3)
RANK = 4
SETTINGS = ("hidden_size=16", "intermediate_size=24", "num_attention_heads=2", "num_hidden_layers=2", "vocab_size=32")
CONFIG = {"peft_type": "LORA", "r": RANK, "lora_alpha": 6, "bias": "none", "base_model_name_or_path": "somewhere/else"}
MODULES = {
    "model.layers.0.self_attn.q_proj": (16, 16),
    "model.layers.1.self_attn.k_proj": (16, 16),
    "model.layers.1.self_attn.v_proj": (16, 16),
    "model.layers.0.mlp.down_proj": (16, 24),
    "lm_head": (32, 16),
}
"""Module -> the shape of its matrix, [out, in]."""


def random(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def plain() -> dict[str, Array]:
    found = {}
    for module, (out, inputs) in MODULES.items():
        found[f"base_model.model.{module}.lora_A.weight"] = random(RANK, inputs)
        found[f"base_model.model.{module}.lora_B.weight"] = random(out, RANK)
    return found


def written(folder: Path, tensors: Mapping[str, Array], **settings: Any) -> Path:
    folder.mkdir(parents=True)
    save_file(dict(tensors), folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, **settings}))
    return folder


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("bases")
    make(Recipe(component="llama", config="debug", settings=SETTINGS, stacked=False), folder / "one")
    make(Recipe(component="llama", config="debug", settings=SETTINGS, stacked=True), folder / "stacked")
    convert(str(folder / "one"), folder / "hf", Conversion(form="hf", config="debug", settings=SETTINGS))
    return {name: str(folder / name) for name in ("one", "stacked", "hf")}


def merged_hf(source: str, adapter: Path | None, out: Path, **more: Any) -> dict[str, Array]:
    """Return the tensors of a Hugging Face folder that was made of a model and an adapter."""
    named = {} if Path(source).is_dir() else {"config": "debug", "settings": SETTINGS}
    convert(source, out, Conversion(form="hf", adapter=adapter, **{**named, **more}))
    return load_file(out / "model.safetensors")


@pytest.mark.parametrize("base", ["one", "stacked", "hf"])
def test_a_merged_matrix_is_the_sum(base: str, bases: dict[str, str], tmp_path: Path) -> None:
    tensors = plain()
    adapter = written(tmp_path / "adapter", tensors)
    before = load_file(Path(bases["hf"]) / "model.safetensors")
    after = merged_hf(bases[base], adapter, tmp_path / "out")
    assert set(after) == set(before)
    for name, array in before.items():
        module = name.removesuffix(".weight")
        if module in MODULES:
            b, a = (tensors[f"base_model.model.{module}.lora_{part}.weight"] for part in "BA")
            array = array + np.float32(6 / RANK) * (b @ a)  # noqa: PLW2901 - what is expected of it
            np.testing.assert_allclose(after[name], array, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(after[name], array)


def test_other_scales_ranks_and_names(bases: dict[str, str], tmp_path: Path) -> None:
    q, v = "model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj"
    tensors = {
        f"base_model.model.{q}.lora_A.default.weight": random(2, 16),
        f"base_model.model.{q}.lora_B.default.weight": random(16, 2),
        f"{v}.lora_A.weight": random(RANK, 16),
        f"{v}.lora_B.weight": random(16, RANK),
    }
    adapter = written(
        tmp_path / "adapter", tensors, use_rslora=True, alpha_pattern={"q_proj": 3}, rank_pattern={"q_proj": 2}
    )
    before, after = (
        load_file(Path(bases["hf"]) / "model.safetensors"),
        merged_hf(bases["hf"], adapter, tmp_path / "out"),
    )
    names = list(tensors)
    for module, alpha, rank, (a, b) in ((q, 3, 2, names[:2]), (v, 6, RANK, names[2:])):
        wanted = before[f"{module}.weight"] + np.float32(alpha / np.sqrt(rank)) * (tensors[b] @ tensors[a])
        np.testing.assert_allclose(after[f"{module}.weight"], wanted, rtol=1e-5, atol=1e-5)


def test_an_embedding_and_saved_modules(bases: dict[str, str], tmp_path: Path) -> None:
    tensors = {
        "base_model.model.model.embed_tokens.lora_embedding_A": random(RANK, 32),
        "base_model.model.model.embed_tokens.lora_embedding_B": random(16, RANK),
        "base_model.model.lm_head.weight": random(32, 16),
        "base_model.model.model.norm.modules_to_save.default.weight": random(16),
        "base_model.model.model.layers.0.self_attn.q_proj.weight": random(16, 16),
    }
    adapter = written(tmp_path / "adapter", tensors, modules_to_save=["lm_head", "norm", "q_proj"])
    before, after = (
        load_file(Path(bases["hf"]) / "model.safetensors"),
        merged_hf(bases["one"], adapter, tmp_path / "out"),
    )
    a, b = (tensors[f"base_model.model.model.embed_tokens.lora_embedding_{part}"] for part in "AB")
    wanted = before["model.embed_tokens.weight"] + np.float32(6 / RANK) * (a.T @ b.T)
    np.testing.assert_allclose(after["model.embed_tokens.weight"], wanted, rtol=1e-5, atol=1e-5)
    for name in ("lm_head.weight", "model.norm.weight", "model.layers.0.self_attn.q_proj.weight"):
        (given,) = [
            array for key, array in tensors.items() if key.replace(".modules_to_save.default", "").endswith(name)
        ]
        np.testing.assert_array_equal(after[name], given)


def test_a_stream_is_merged_as_it_is(bases: dict[str, str], tmp_path: Path) -> None:
    """Streams have LWM's layout: what comes out of one is what comes out of a folder."""
    adapter = written(tmp_path / "adapter", plain())
    for base in ("one", "stacked"):
        made = convert(
            bases[base],
            tmp_path / f"{base}.stream",
            Conversion(form="msgpack_stream", adapter=adapter, config="debug", settings=SETTINGS, dtype="bfloat16"),
        )
        assert "with the LoRA adapter adapter (10 tensors)" in made.source["description"]
        found = open_checkpoint(tmp_path / f"{base}.stream")
        assert {spec.dtype for spec in found.specs.values()} == {"bfloat16"}
        assert any("scan_decoder" in name for name in found.specs) is (base == "stacked")
    merged_hf(bases["one"], adapter, tmp_path / "folder", dtype="bfloat16")
    back = convert(str(tmp_path / "folder"), tmp_path / "back", Conversion(form="msgpack_stream"))
    one = open_checkpoint(tmp_path / "one.stream")
    for name in one.specs:
        np.testing.assert_array_equal(one.read(name).view(np.uint16), back.read(name).view(np.uint16))


def test_an_adapter_whose_model_is_here_is_a_source(bases: dict[str, str], tmp_path: Path) -> None:
    tensors = plain()
    adapter = written(tmp_path / "adapter", tensors, base_model_name_or_path=bases["hf"])
    named = merged_hf(bases["hf"], adapter, tmp_path / "named")
    convert(str(adapter), tmp_path / "recorded", Conversion(form="hf"))
    recorded = load_file(tmp_path / "recorded" / "model.safetensors")
    assert all(np.array_equal(named[name], recorded[name]) for name in named)


def test_an_adapter_in_the_place_of_a_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    adapter = written(tmp_path / "adapter", plain())
    with pytest.raises(
        CheckpointError, match=r"a LoRA adapter of somewhere/else.*lwmport checkpoint convert BASE --adapter"
    ):
        open_checkpoint(adapter)


WRONG: dict[str, tuple[dict[str, Array], dict[str, Any], str]] = {
    "DoRA": (plain(), {"use_dora": True}, "expected a plain LoRA, found use_dora"),
    "DoRA's tensors": ({**plain(), "lm_head.lora_magnitude_vector": random(32)}, {}, "found 1 others: lm_head.lora"),
    "another kind": (plain(), {"peft_type": "LOHA"}, "expected the peft_type LORA, found LOHA"),
    "PiSSA": (plain(), {"init_lora_weights": "pissa_niter_4"}, "init_lora_weights 'pissa_niter_4'"),
    "more layers": (plain(), {"layer_replication": [[0, 2]]}, "layer_replication"),
    "half": ({"lm_head.lora_A.weight": random(RANK, 16)}, {}, "expected lora_A and lora_B of each module"),
    "a bias": ({**plain(), "lm_head.bias": random(32)}, {}, "found 1 others: lm_head.bias"),
    "another size": ({"lm_head.lora_A.weight": random(RANK, 20), "lm_head.lora_B.weight": random(32, RANK)}, {},
                     r"expected changes of a matrix \(16, 32\), found factors \(20, 4\) and \(4, 32\)"),
    "longer": ({"lm_head.weight": random(33, 16)}, {}, r"expected the shape \(16, 32\), found \(16, 33\)"),
    "another model": ({"model.layers.9.mlp.up_proj.lora_A.weight": random(RANK, 16),
                       "model.layers.9.mlp.up_proj.lora_B.weight": random(24, RANK)}, {}, "model.layers.9.mlp.up_proj"),
    "alpha": (plain(), {"lora_alpha": "many"}, "expected a number as lora_alpha"),
    "patterns": (plain(), {"alpha_pattern": {"(a+)+$": 3}}, "expected names of modules in alpha_pattern"),
    "nothing": ({}, {}, "expected lora_A and lora_B of each module, found no tensors"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_plain_adapter_of_the_model_is_one_line(case: str, bases: dict[str, str], tmp_path: Path) -> None:
    tensors, settings, message = WRONG[case]
    adapter = written(tmp_path / "adapter", tensors, **settings)
    with pytest.raises(PortError, match=message) as caught:
        merged_hf(bases["hf"], adapter, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_heads_are_asked_for(bases: dict[str, str], tmp_path: Path) -> None:
    adapter = written(tmp_path / "adapter", plain())
    base = shutil.copy(bases["one"], tmp_path)  # without what lwmport wrote beside it
    with pytest.raises(UsageError, match=r"expected --config for .*, because no tensor tells heads"):
        convert(base, tmp_path / "out", Conversion(form="msgpack_stream", adapter=adapter))
