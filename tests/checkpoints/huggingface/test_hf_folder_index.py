"""Hugging Face folders: LWM's tree out of them by arithmetic written down here, and one line for whatever is wrong."""

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from lwmport.checkpoints.huggingface.layouts import layout_from_hf, layout_to_hf
from lwmport.checkpoints.index import Checkpoint
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.errors import CheckpointError
from lwmport.models import specs
from lwmport.models.llama.huggingface.config import hf_config, hf_fields
from lwmport.models.llama.huggingface.names import from_hf, to_hf
from lwmport.types import Array

HEADS, HIDDEN, INNER, VOCABULARY = 2, 8, 6, 10
FIELDS: Mapping[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "intermediate_size": INNER,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 77,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1e7,
}
LAYER = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (HIDDEN, HIDDEN),
    "self_attn.v_proj": (HIDDEN, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
    "mlp.up_proj": (INNER, HIDDEN),
    "input_layernorm": (HIDDEN,),
    "post_attention_layernorm": (HIDDEN,),
}


def model(vocabulary: int = VOCABULARY) -> dict[str, Array]:
    rng = np.random.default_rng(1)
    shapes = {
        "model.embed_tokens.weight": (vocabulary, HIDDEN),
        "model.norm.weight": (HIDDEN,),
        "lm_head.weight": (vocabulary, HIDDEN),
        **{f"model.layers.{i}.{name}.weight": shape for i in range(2) for name, shape in LAYER.items()},
    }
    return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


def folder(path: Path, arrays: Mapping[str, Array] | None = None, **fields: Any) -> Path:
    save_file(dict(model() if arrays is None else arrays), path / "model.safetensors")
    (path / "config.json").write_text(json.dumps({**FIELDS, **fields}))
    return path


def sharded(path: Path, weight_map: Mapping[str, Any] | None = None) -> Path:
    folder(path)
    arrays = model()
    (path / "model.safetensors").unlink()
    names = sorted(arrays)
    parts = {"model-1.safetensors": names[:9], "model-2.safetensors": names[9:]}
    for file, part in parts.items():
        save_file({name: arrays[name] for name in part}, path / file)
    listed = {name: file for file, part in parts.items() for name in part}
    index = {"metadata": {}, "weight_map": listed if weight_map is None else {**listed, **weight_map}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    return path


def test_the_rotary_order_is_that_of_pairs(tmp_path: Path) -> None:
    """Channel i and i + d/2 of Hugging Face's head are the channels 2i and 2i + 1 of LWM's."""
    arrays = model()
    checkpoint = open_checkpoint(folder(tmp_path, arrays))
    head = HIDDEN // HEADS
    for part, theirs in (("wq", "q_proj"), ("wk", "k_proj")):
        weight = arrays[f"model.layers.1.self_attn.{theirs}.weight"]
        kernel = checkpoint.read(f"transformer/h/1/attention/{part}/kernel")
        for h in range(HEADS):
            for i in range(head // 2):
                assert np.array_equal(kernel[:, h * head + 2 * i], weight[h * head + i])
                assert np.array_equal(kernel[:, h * head + 2 * i + 1], weight[h * head + i + head // 2])


def test_the_other_tensors(tmp_path: Path) -> None:
    arrays = model()
    checkpoint = open_checkpoint(folder(tmp_path, arrays))
    plain = {
        "transformer/wte/embedding": arrays["model.embed_tokens.weight"],
        "transformer/ln_f/kernel": arrays["model.norm.weight"],
        "lm_head/kernel": arrays["lm_head.weight"].T,
        "transformer/h/0/attention/wv/kernel": arrays["model.layers.0.self_attn.v_proj.weight"].T,
        "transformer/h/0/attention/wo/kernel": arrays["model.layers.0.self_attn.o_proj.weight"].T,
        "transformer/h/1/feed_forward/w1/kernel": arrays["model.layers.1.mlp.gate_proj.weight"].T,
        "transformer/h/1/feed_forward/w2/kernel": arrays["model.layers.1.mlp.down_proj.weight"].T,
        "transformer/h/1/feed_forward/w3/kernel": arrays["model.layers.1.mlp.up_proj.weight"].T,
        "transformer/h/0/attention_norm/kernel": arrays["model.layers.0.input_layernorm.weight"],
        "transformer/h/0/ffn_norm/kernel": arrays["model.layers.0.post_attention_layernorm.weight"],
    }
    for name, expected in plain.items():
        found = checkpoint.read(name)
        assert np.array_equal(found, expected)
        assert found.flags.c_contiguous
        assert b"".join(piece.tobytes() for piece in checkpoint.pieces(name)) == expected.tobytes()
    assert checkpoint.format == "hf"
    assert len(checkpoint.specs) == 21


def test_names_and_layouts_go_there_and_back() -> None:
    for name in ("transformer/wte/embedding", "lm_head/kernel", *(f"transformer/h/31/{x}" for x in lwm_layer())):
        there = to_hf(name)
        back = from_hf(there.name)
        assert back is not None
        assert (back.name, back.transposed, back.rotary) == (name, there.transposed, there.rotary)
        shape = (12, 8) if there.transposed else (12,)
        layout = layout_to_hf(shape, there, HEADS)
        if layout is not None:
            array = np.arange(96).reshape(shape)
            other = array.reshape(layout.view).transpose(layout.axes).reshape(layout.shape)
            again = layout_from_hf(other.shape, back, HEADS)
            assert again is not None
            assert np.array_equal(other.reshape(again.view).transpose(again.axes).reshape(again.shape), array)


def lwm_layer() -> list[str]:
    parts = [f"attention/w{x}/kernel" for x in "qkvo"] + [f"feed_forward/w{x}/kernel" for x in "123"]
    return [*parts, "attention_norm/kernel", "ffn_norm/kernel"]


@pytest.mark.parametrize("name", ["transformer/vte/embedding", "transformer/h/x/attention/wq/kernel", "wq"])
def test_no_name_over_there(name: str) -> None:
    with pytest.raises(CheckpointError, match="expected a tensor of LWM's text model"):
        to_hf(name)
    assert from_hf(f"model.layers.01.{name}") is None


def test_several_files_and_their_record(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(sharded(tmp_path))
    single = tmp_path / "single"
    single.mkdir()
    whole = open_checkpoint(folder(single))
    assert all(np.array_equal(checkpoint.read(name), whole.read(name)) for name in whole.specs)
    assert checkpoint.source["bytes"] == sum(
        (tmp_path / name).stat().st_size for name in ("config.json", "model-1.safetensors", "model-2.safetensors")
    )
    before = checkpoint.digest()
    save_file({}, tmp_path / "model-1.safetensors")
    with pytest.raises(CheckpointError, match="changed since it was opened"):
        checkpoint.read("transformer/wte/embedding")
    assert checkpoint.digest() != before


def test_the_configuration_by_lwms_names(tmp_path: Path) -> None:
    assert open_checkpoint(folder(tmp_path)).config == {
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": 2,
        "num_attention_heads": HEADS,
        "max_sequence_length": 77,
        "rms_norm_eps": 1e-5,
        "theta": 1e7,
        "tie_word_embeddings": False,
    }


def test_configurations_go_there_and_back() -> None:
    config = {**hf_config(FIELDS), "bos_token_id": 1, "eos_token_id": 2}
    assert hf_config(hf_fields(config, "bfloat16")) == config
    newer = {**FIELDS, "rope_parameters": {"rope_theta": 5e7, "rope_type": "default"}, "eos_token_id": [1, 2]}
    assert hf_config(newer) == {**hf_config(FIELDS), "theta": 5e7}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"architectures": ["MistralForCausalLM"]}, "expected a LlamaForCausalLM, found .*Mistral"),
        ({"model_type": "gemma"}, "gemma"),
        ({"num_key_value_heads": 3}, "expected a divisor of 2 heads as num_key_value_heads, found 3"),
        ({"num_key_value_heads": 0}, "expected a whole number of at least 1 as num_key_value_heads, found 0"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2}}, "rope_scaling 'linear'"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2}}, "rope_scaling 'dynamic'"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "rope_parameters 'llama3'"),
        ({"rope_scaling": 2}, "rope_scaling 'an int'"),
        ({"rope_parameters": "x"}, "rope_parameters 'a str'"),
        ({"attention_bias": True}, "no bias is computed"),
        ({"mlp_bias": True}, "no bias is computed"),
        ({"head_dim": 8}, "expected head_dim 4, found 8"),
        ({"hidden_act": "gelu"}, "expected hidden_act silu"),
        ({"quantization_config": {"bits": 4}}, "quantized"),
        ({"vocab_size": None}, "whole number of at least 1 as vocab_size, found None"),
        ({"num_attention_heads": 0}, "num_attention_heads, found 0"),
        ({"num_attention_heads": True}, "num_attention_heads, found True"),
        ({"num_attention_heads": 3, "head_dim": 2}, "outputs in pairs for 3 heads"),
        ({"rope_theta": "big"}, "a number above 0 as rope_theta"),
        ({"rms_norm_eps": -1}, "a number above 0 as rms_norm_eps"),
        ({"tie_word_embeddings": 1}, "true or false as tie_word_embeddings"),
        ({"lwm": {"text_vocab_size": 9, "vision_vocab_size": 4, "first_code": 9}}, "9 rows of text and 4 of codes"),
    ],
)
def test_other_models_are_refused(changed: Mapping[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message) as error:
        open_checkpoint(folder(tmp_path, **changed))
    assert "\n" not in str(error.value)


def test_older_files_hold_angles_too(tmp_path: Path) -> None:
    angles = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(2, np.float32)}
    checkpoint = open_checkpoint(folder(tmp_path, {**model(), **angles}))
    assert len(checkpoint.specs) == 21
    (remark,) = checkpoint.findings.remarks
    assert "left out" in remark
    assert "rotary_emb.inv_freq, some of which are not the angles of theta 1e+07 and head size 4" in remark


def test_angles_that_the_configuration_tells_are_named(tmp_path: Path) -> None:
    angles = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.array([1, 1e7**-0.5], np.float32)}
    checkpoint = open_checkpoint(folder(tmp_path, {**model(), **angles}))
    assert checkpoint.findings.remarks == (
        "left out, for the configuration tells them: model.layers.0.self_attn.rotary_emb.inv_freq",
    )
    assert "inv_freq" in checkpoint.source["description"]


@pytest.mark.parametrize("stored", ["stored", ""])
def test_a_tied_head_is_the_table(stored: str, tmp_path: Path) -> None:
    arrays = model()
    if stored:
        arrays["lm_head.weight"] = arrays["model.embed_tokens.weight"].copy()
    else:
        del arrays["lm_head.weight"]
    checkpoint = open_checkpoint(folder(tmp_path, arrays, tie_word_embeddings=True))
    assert "lm_head/kernel" not in checkpoint.specs
    assert checkpoint.config["tie_word_embeddings"] is True
    said = ("lm_head.weight is model.embed_tokens.weight again, as tie_word_embeddings says",)
    assert checkpoint.findings.remarks == (said if stored else ())


@pytest.mark.parametrize("change", ["values", "one value", "dtype"])
def test_a_head_of_its_own_is_used_whatever_the_configuration_says(change: str, tmp_path: Path) -> None:
    """transformers 5 uses it too (its issue 42612)."""
    arrays = model()
    table = arrays["model.embed_tokens.weight"]
    if change == "one value":
        arrays["lm_head.weight"] = table.copy()
        arrays["lm_head.weight"][-1, -1] += 1
    elif change == "dtype":
        arrays["lm_head.weight"] = table.astype(np.float16)
    checkpoint = open_checkpoint(folder(tmp_path, arrays, tie_word_embeddings=True))
    np.testing.assert_array_equal(checkpoint.read("lm_head/kernel"), arrays["lm_head.weight"].T)
    assert checkpoint.config["tie_word_embeddings"] is False
    (remark,) = checkpoint.findings.remarks
    assert remark.startswith("lm_head.weight is used")
    assert remark in checkpoint.source["description"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1]}}, "with mrope_section"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}, "with full_attention"),
        ({"rope_scaling": {"rope_type": "default", "type": "linear"}}, "rope_scaling 'linear'"),
        ({"rope_parameters": {"rope_theta": 1e7, "partial_rotary_factor": 0.5}}, "with partial_rotary_factor 0.5"),
        ({"partial_rotary_factor": 0.5}, "whole heads are turned here"),
        ({"sliding_window": 4096}, "every token sees all before it here"),
        ({"attention_chunk_size": 8192}, "every token sees all before it here"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "found 'sliding_attention'"),
        ({"num_local_experts": 8}, "no experts are computed"),
        ({"final_logit_softcapping": 30.0}, "logits are not capped here"),
        ({"embedding_multiplier": 12.0}, "nothing is scaled here"),
    ],
)
def test_a_key_that_changes_the_model_is_refused(changed: Mapping[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(folder(tmp_path, **changed))


def test_keys_that_leave_the_model_as_it_is_are_taken(tmp_path: Path) -> None:
    neutral = {"sliding_window": None, "partial_rotary_factor": 1.0, "layer_types": ["full_attention"] * 2}
    rope = {"rope_type": "default", "rope_theta": 2e6}
    checkpoint = open_checkpoint(folder(tmp_path, **neutral, rope_parameters=rope))
    assert checkpoint.config["theta"] == 2e6
    assert checkpoint.findings.remarks == (
        "not used of config.json: rope_theta 10000000.0, for rope_parameters says 2e+06",
    )


def test_keys_without_a_meaning_and_other_files_with_weights_are_named(tmp_path: Path) -> None:
    save_file({"lora": np.ones(2, np.float32)}, tmp_path / "adapter_model.safetensors")
    checkpoint = open_checkpoint(folder(tmp_path, secret_sauce=3))
    keys, files = checkpoint.findings.remarks
    assert keys == "not used of config.json: secret_sauce"
    assert files == "other files with weights, not read: adapter_model.safetensors"


def test_what_config_json_leaves_out_is_told(tmp_path: Path) -> None:
    assert open_checkpoint(folder(tmp_path)).findings.assumed == ("tie_word_embeddings",)
    assert open_checkpoint(folder(tmp_path, rope_theta=None)).findings.assumed == ("theta", "tie_word_embeddings")


def test_codes_behind_the_text_are_tables_of_their_own(tmp_path: Path) -> None:
    arrays = model()
    own = {"text_vocab_size": 7, "vision_vocab_size": 3, "first_code": 7}
    checkpoint = open_checkpoint(folder(tmp_path, arrays, lwm=own))
    table, head = arrays["model.embed_tokens.weight"], arrays["lm_head.weight"]
    for name, expected in {
        "transformer/wte/embedding": table[:7],
        "transformer/vte/embedding": table[7:],
        "lm_head/kernel": head[:7].T,
        "vision_head/kernel": head[7:].T,
    }.items():
        assert np.array_equal(checkpoint.read(name), expected)
    assert (checkpoint.config["vocab_size"], checkpoint.config["vision_vocab_size"]) == (7, 3)


def test_codes_that_the_table_has_not(tmp_path: Path) -> None:
    own = {"text_vocab_size": 7, "vision_vocab_size": 4, "first_code": 7}
    with pytest.raises(CheckpointError, match="expected 11 rows, found the shape"):
        open_checkpoint(folder(tmp_path, lwm=own, vocab_size=11))


ESCAPES = ["../secret.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", "a\\b", "C:x", "a\0b", 5, None, ["x"]]


@pytest.mark.parametrize("file", ESCAPES, ids=repr)
def test_no_way_leads_out_of_the_folder(file: Any, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    save_file({"lm_head.weight": np.ones(3, np.float32)}, tmp_path / "secret.safetensors")
    with pytest.raises(CheckpointError, match="expected a file in this folder"):
        open_checkpoint(sharded(inside, {"lm_head.weight": file}))


def swap(path: Path) -> Path:
    """The index promises in one file what is in the other."""
    return sharded(path, {"lm_head.weight": "model-2.safetensors"})


def without(path: Path, name: str) -> Path:
    (sharded(path) / name).unlink()
    return path


def spoiled(path: Path, name: str, content: str) -> Path:
    (sharded(path) / name).write_text(content)
    return path


def twice(path: Path) -> Path:
    """Both files hold the same tensor, and the index is content with one of them."""
    sharded(path)
    save_file({"lm_head.weight": np.ones(3, np.float32)}, path / "model-3.safetensors")
    index = json.loads((path / "model.safetensors.index.json").read_text())
    index["weight_map"]["other.weight"] = "model-3.safetensors"
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    return path


def overlapping(path: Path) -> Path:
    """Two tensors of the header claim the same bytes."""
    folder(path)
    content = (path / "model.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    first, second = sorted(header, key=lambda name: header[name]["data_offsets"])[:2]
    if header[first]["shape"] == header[second]["shape"]:
        header[second]["data_offsets"] = header[first]["data_offsets"]
    text = json.dumps(header).encode()
    (path / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])
    return path


def lying(path: Path) -> Path:
    arrays = model()
    arrays["model.layers.0.mlp.down_proj.weight"] = np.ones(5, np.float32)
    return folder(path, arrays)


WRONG: dict[str, tuple[Callable[[Path], Path], str]] = {
    "swapped": (swap, r"model-1.safetensors: expected the 8 tensors of the index, found lm_head.weight, which"),
    "twice": (twice, "expected the 1 tensors of the index, found other.weight missing"),
    "no shard": (lambda path: without(path, "model-2.safetensors"), "model-2.safetensors: expected a file, found none"),
    "no index": (lambda path: without(path, "model.safetensors.index.json"), "found none of them"),
    "no config": (lambda path: without(path, "config.json"), "a folder without config.json"),
    "empty shard": (lambda path: spoiled(path, "model-1.safetensors", ""), "model-1.safetensors: .*an empty file"),
    "text shard": (lambda path: spoiled(path, "model-1.safetensors", "hello, world"), "model-1.safetensors: "),
    "empty map": (
        lambda path: spoiled(path, "model.safetensors.index.json", '{"weight_map": {}}'),
        "model.safetensors.index.json: expected a weight_map",
    ),
    "no JSON": (lambda path: spoiled(path, "config.json", "{"), "config.json: damaged: it is no JSON"),
    "deep JSON": (lambda path: spoiled(path, "config.json", "[" * 100_000), "config.json: damaged"),
    "no object": (lambda path: spoiled(path, "config.json", "[]"), "config.json: expected a JSON object, found a list"),
    "two keys": (lambda path: spoiled(path, "config.json", '{"a": 1, "a": 2}'), "one twice"),
    "strangers": (lambda path: folder(path, {**model(), "x.bias": np.ones(1)}), "found 1 others: x.bias"),
    "bias": (lambda path: folder(path, {**model(), "lm_head.bias": np.ones(1)}), "found 1 others: lm_head.bias"),
    "overlap": (overlapping, "overlaps the tensor before"),
    "shape": (lying, "model.layers.0.mlp.down_proj.weight|expected a matrix, found the shape"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line(case: str, tmp_path: Path) -> None:
    make, message = WRONG[case]
    with pytest.raises(CheckpointError, match=message) as error:
        open_checkpoint(make(tmp_path))
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("percent", range(0, 100, 9))
def test_truncated_anywhere(percent: int, tmp_path: Path) -> None:
    path = folder(tmp_path) / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * percent // 100])
    with pytest.raises(CheckpointError, match=r"model.safetensors: (.*truncated|.*empty)"):
        open_checkpoint(tmp_path)


def test_a_prefix_is_for_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="because of the prefix, found a folder"):
        open_checkpoint(f"params::{folder(tmp_path)}")


def test_links_to_a_store_are_followed(tmp_path: Path) -> None:
    """As Hugging Face's own cache keeps its files."""
    store, snapshot = tmp_path / "blobs", tmp_path / "snapshot"
    store.mkdir()
    snapshot.mkdir()
    folder(store)
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).symlink_to(store / name)
    assert isinstance(open_checkpoint(snapshot), Checkpoint)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json", "model-1.safetensors"])
def test_damage_is_one_line_or_none(name: str, tmp_path: Path) -> None:
    """Bytes changed at random: the folder opens, or one line says why not; nothing else is ever raised."""
    path = sharded(tmp_path) / name
    content = path.read_bytes()
    rng = np.random.default_rng(2)
    opened = 0
    for _ in range(150):
        damaged = bytearray(content)
        damaged[rng.integers(min(len(content), 1500))] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        with contextlib.suppress(CheckpointError):
            open_checkpoint(tmp_path)
            opened += 1
    assert opened < 150


@pytest.mark.parametrize(
    "value", ["1e999", "NaN", "-1", "[]", "{}", '"x"', "null", "true", "1" + "0" * 400, '{"rope_type": []}']
)
def test_no_value_of_the_configuration_breaks_the_line(value: str, tmp_path: Path) -> None:
    folder(tmp_path)
    text = (tmp_path / "config.json").read_text()
    fields = json.loads(text)
    for name in [*fields, "rope_scaling", "rope_parameters", "tie_word_embeddings", "head_dim", "lwm", "hidden_act"]:
        others = {key: item for key, item in fields.items() if key != name}
        (tmp_path / "config.json").write_text(json.dumps(others)[:-1] + f', "{name}": {value}}}')
        with contextlib.suppress(CheckpointError):
            open_checkpoint(tmp_path)


FAMILIES = """
from lwmport.models.huggingface import HfName, HuggingFace
from lwmport.models.spec import FamilySpec, PartSpec

def record(name, strict):
    part = PartSpec(name=f"{name}-tower", summary="", factory="nowhere:made")
    names = {"w": HfName(name=f"{name}/w")}
    return FamilySpec(name=name, components=(part,), configs="nowhere:CONFIGS", strict=strict, huggingface=HuggingFace(
        architecture="CLIPModel", kind="clip", components=(), untold="", example="", heads="heads",
        read=lambda fields: {"heads": fields["heads"]}, named=lambda name, config: names.get(name),
        ignored=lambda name, config: name == "skipped", rows=lambda config: {}, tensors=lambda config: (),
        documents=lambda config, dtype: {}, tokens=lambda config: {},
    ))

STRICT, OTHER = record("strict", True), record("other", False)
"""


def towers(path: Path) -> Path:
    """Return a folder of an architecture that two families of others have."""
    arrays = {name: np.full(3, value, np.float32) for value, name in enumerate(("w", "position_ids", "skipped"))}
    return folder(path, arrays, architectures=["CLIPModel"], model_type="clip", heads=2)


def test_the_family_that_is_asked_for_decides_and_what_it_lacks_is_left_over(
    tmp_path: Path, install_package: Callable[..., None]
) -> None:
    install_package("towers", "towers", FAMILIES, specs.GROUP, {"strict": "STRICT", "other": "OTHER"})
    path = towers(tmp_path)
    found = open_checkpoint(path, "other")
    assert (set(found.specs), dict(found.config)) == ({"other/w", "position_ids"}, {"heads": 2})
    with pytest.raises(CheckpointError, match="tensors of a plain CLIPModel, found 1 others: position_ids"):
        open_checkpoint(path, "strict")
    with pytest.raises(CheckpointError, match="a component of other or strict, which all have such folders, found"):
        open_checkpoint(path)
    (tmp_path / "config.json").write_text(json.dumps({**FIELDS, "architectures": ["GPT"]}))
    with pytest.raises(CheckpointError, match="expected a LlamaForCausalLM or CLIPModel, found"):
        open_checkpoint(path)
