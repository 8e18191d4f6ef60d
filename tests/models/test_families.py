"""Names and configurations become components; whatever is wrong with them is said in one line."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lwmport.converters.dialects import DIALECTS
from lwmport.errors import ConfigError, PortError, UsageError
from lwmport.models.families import COMPONENTS, GROUPS, NAMES, STATIC_GROUPS, SUMMARIES, resolve
from lwmport.models.llama.presets import CONFIGS as LLAMAS
from lwmport.models.llama.weights import checkpoint_weights
from lwmport.models.options import Options
from lwmport.models.specs import FAMILIES
from lwmport.models.vqgan.config import CONFIGS
from lwmport.types import Kind

DEBUG = CONFIGS["debug"].to_json()
VQGAN = ("vqgan", *GROUPS["vqgan"])


@pytest.mark.parametrize("name", VQGAN)
def test_every_name_resolves_to_its_components(name: str) -> None:
    family = resolve(name, "debug")
    assert family.name == "vqgan"
    assert tuple(component.name for component in family.components) == GROUPS.get(name, (name,))
    for component in family.components:
        assert component.family == family.name
        assert component.config == family.config == DEBUG
        assert component.weights.items() <= family.weights.items()


def test_groups_are_made_of_components_under_names_of_their_own() -> None:
    assert {part for parts in GROUPS.values() for part in parts} <= set(COMPONENTS)
    assert sorted(NAMES) == sorted({*GROUPS, *COMPONENTS})
    assert set(COMPONENTS.values()) == set(FAMILIES)
    assert set(SUMMARIES) == set(COMPONENTS)


@pytest.mark.parametrize("static", [False, True], ids=["any length", "fixed lengths"])
@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("name", [name for name, family in COMPONENTS.items() if family == "llama"])
def test_every_language_component_comes_in_every_precision(name: str, precision: str, static: bool) -> None:  # noqa: FBT001
    family = resolve(name, "debug", Options(precision=precision, static=static, sequence=8, max_length=16))
    names = STATIC_GROUPS.get(name, (name,)) if static else (name,)
    assert tuple(component.name for component in family.components) == names
    for component, reference in zip(family.components, family.references, strict=True):
        assert {spec.dtype for spec in component.weights.values()} <= {precision}
        assert {spec.dtype for spec in reference.weights.values()} <= {"float32"}
        for weight in component.weights:
            assert weight in family.weights or family.sources[weight][0] in family.weights
        dtypes = {spec.name: spec.dtype for spec in component.signature.outputs}
        assert all(dtype == precision for output, dtype in dtypes.items() if output.startswith("present."))
        assert all(dtype == "float32" for output, dtype in dtypes.items() if "logits" in output)


def test_a_checkpoint_settles_the_sizes_and_the_width_settles_the_heads() -> None:
    specs = checkpoint_weights(LLAMAS["1b"].updated({"num_hidden_layers": 3, "vocab_size": 100}))
    config = resolve("llama", specs=specs).config
    assert (config["num_hidden_layers"], config["vocab_size"], config["num_attention_heads"]) == (3, 100, 16)


def test_what_was_asked_for_must_not_contradict_the_checkpoint() -> None:
    specs = checkpoint_weights(LLAMAS["debug"])
    with pytest.raises(ConfigError, match="expected num_hidden_layers 3 as asked for, found num_hidden_layers 2"):
        resolve("llama", "debug", Options(settings=("num_hidden_layers=3",)), specs)


@pytest.mark.parametrize("name", ["llama", "llama-block", "vision-llama"])
def test_settings_come_on_top_of_a_configuration(name: str) -> None:
    config = resolve(name, "debug", Options(settings=("theta=50000000", "num_attention_heads=4"))).config
    assert (config["theta"], config["num_attention_heads"]) == (50000000, 4)


def test_parts_take_the_vision_language_model_where_its_name_or_its_table_says_so() -> None:
    assert resolve("llama-embed", "lwm-chat-1m").name == "vision-llama"
    assert resolve("llama-embed", "lwm-text-1m").name == "llama"
    specs = resolve("vision-llama", "debug").weights
    assert resolve("llama-head", specs=specs).name == "vision-llama"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"precision": "float8"}, "expected a precision out of float32, float16, bfloat16, found 'float8'"),
        ({"attention": "flash"}, "expected a form of attention out of fused, loop, unrolled, found 'flash'"),
        ({"ring": 2}, "expected --attention unrolled for a ring of 2, found none asked for"),
        ({"sequence": 0}, "expected a whole number of at least 1 as sequence, found 0"),
        (
            {"sample_mode": "texts"},
            "expected a sample mode out of text, vision, all, found 'texts'; did you mean 'text'",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Options(**given)


@pytest.mark.parametrize(
    ("name", "setting", "message"),
    [
        ("llama", "hiden_size=64", "found 'hiden_size'; did you mean 'hidden_size'?"),
        ("llama", "torch_dtype=float16", "expected a field of the configuration for --set out of attn_pdrop, "),
        (
            "llama",
            "hidden_size=wide",
            "as hidden_size in the LLaMA configuration, found 'wide'; --set hidden_size=wide",
        ),
        ("llama", "num_attention_heads=3", "an even multiple of 3 heads as hidden_size "),
        ("vision-llama", "sample_mode=texts", "as sample_mode in the LLaMA configuration, found 'texts'; --set"),
        ("vqgan", "num_res_block=1", "found 'num_res_block'; did you mean 'num_res_blocks'?"),
        ("vqgan", "channel_mult=2", "expected a list as channel_mult, found 2; --set channel_mult=2 makes it so"),
    ],
)
def test_a_setting_that_no_configuration_takes_is_wrong_usage(name: str, setting: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(name, "debug", Options(settings=(setting,)))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_are_told_and_read_again_without_what_is_usual() -> None:
    assert Options().to_json() == {}
    given = Options(settings=("theta=1e6",), precision="float16", max_length=64, static=True)
    assert Options.from_json(given.to_json()) == given
    assert given.words() == ["--precision", "float16", "--max-length", "64", "--set", "theta=1e6"]


def test_the_halves_share_only_the_codebook_and_leave_nothing_out() -> None:
    family = resolve("vqgan", "debug")
    encoder, decoder = (set(component.weights) for component in family.components)
    assert encoder & decoder == {"quantize/embeddings"}
    assert encoder | decoder == set(family.weights)


def test_the_released_model_has_146_million_parameters() -> None:
    family = resolve("vqgan")
    assert round(sum(spec.nbytes for spec in family.weights.values()) / 4e6, 2) == 146.24
    encoder, decoder = family.components
    assert [(spec.name, spec.shape, spec.dtype, spec.kind) for spec in encoder.signature.inputs] == [
        ("pixel_values", ("batch", 256, 256, 3), "float32", Kind.PICTURE)
    ]
    assert [(spec.name, spec.shape, spec.dtype, spec.kind) for spec in encoder.signature.outputs] == [
        ("codebook_indices", ("batch", 16, 16), "int32", Kind.INDICES),
        ("quantized_states", ("batch", 16, 16, 64), "float32", Kind.VALUES),
    ]
    assert decoder.signature.inputs == encoder.signature.outputs[:1]
    assert decoder.signature.outputs == encoder.signature.inputs


def test_the_decoder_is_fed_by_the_encoder_of_its_configuration() -> None:
    encoder, decoder = resolve("vqgan", "debug").components
    assert encoder.feeder is None
    assert decoder.feeder is not None
    assert (decoder.feeder.name, decoder.feeder.config) == (encoder.name, encoder.config)


def test_a_file_the_fields_and_the_name_mean_the_same(tmp_path: Path) -> None:
    path = tmp_path / "debug.json"
    path.write_text(json.dumps(DEBUG))
    assert resolve("vqgan", str(path)).config == resolve("vqgan", DEBUG).config == resolve("vqgan", "debug").config


def test_a_path_without_suffix_is_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "config").write_text('{"resolution": 64}')
    assert resolve("vqgan", str(tmp_path / "config")).config["resolution"] == 64


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("vqgan-encodr", "debug", "expected a component out of .*found 'vqgan-encodr'; did you mean 'vqgan-encoder'"),
        ("", "debug", "expected a component out of"),
        ("vqgan", "debugg", "expected a configuration or .json file out of .*; did you mean 'debug'"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name: str, config: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(name, config)


FILES: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "No such file"),
    "empty": (b"", "expected a JSON file"),
    "no JSON": (b"{resolution: 3}", "expected a JSON file"),
    "no text": (b"\xff\xfe\x00", "expected a JSON file"),
    "nested too deep": (b"[" * 200_000, "expected a JSON file"),
    "a list": (b"[1]", "expected a JSON object in .* found list"),
    "a number": (b"3", "expected a JSON object in .* found int"),
    "an unknown field": (b'{"size": 3}', "found size"),
    "an impossible value": (b'{"resolution": 0}', "as resolution in the VQGAN configuration, found 0"),
    "NaN": (b'{"resolution": NaN}', "NaN is no JSON"),
}


@pytest.mark.parametrize(("content", "message"), FILES.values(), ids=FILES)
def test_files_that_are_no_configuration_are_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        resolve("vqgan", str(path))
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a JSON file with a configuration at"):
        resolve("vqgan", str(tmp_path))


@pytest.mark.parametrize("fields", [{"resolution": "32"}, {"colour": True}])
def test_fields_are_checked_like_a_file(fields: dict[str, Any]) -> None:
    with pytest.raises(PortError):
        resolve("vqgan", fields)


@pytest.mark.parametrize(
    ("asked", "preferred", "form"),
    [("", "fused", ""), ("", "loop", "loop"), ("fused", "loop", "fused"), ("unrolled", "loop", "unrolled")],
)
def test_a_dialect_settles_what_is_left_open(asked: str, preferred: str, form: str) -> None:
    dialect = replace(DIALECTS["litert"], attention=preferred)
    assert dialect.static
    found = Options(attention=asked, layer=1).completed(dialect)
    assert found == Options(attention=form, layer=1, static=True)
    assert Options(static=True).completed(replace(dialect, static=False)).static


@pytest.mark.parametrize(
    ("component", "dialect", "asked", "layout"),
    [
        ("minigpt4-vision", "ort", "", "NCHW"),
        ("minigpt4-vision", "ort", "nhwc", "NHWC"),
        ("llava-image", "litert", "", "NHWC"),
        ("llava-image", "litert", "nchw", "NCHW"),
        ("vqgan-encoder", "ort", "", "NHWC"),
    ],
)
def test_pictures_have_the_axes_of_the_format_where_a_component_takes_both(
    component: str, dialect: str, asked: str, layout: str
) -> None:
    made = resolve(component, "debug", Options(layout=asked).completed(DIALECTS[dialect]))
    (pictures,) = made.components[0].signature.inputs
    assert pictures.layout == layout
    assert pictures.shape[layout.index("C")] == 3


@pytest.mark.parametrize("name", [name for name, family in COMPONENTS.items() if family == "llama"])
def test_a_model_takes_no_more_tokens_at_once_than_it_has_positions(name: str) -> None:
    fields = {**LLAMAS["debug"].to_json(), "max_sequence_length": 64}
    for component in resolve(name, fields, Options(static=True)).components:
        tokens = [spec.shape[1] for spec in component.signature.inputs if spec.name == "position_ids"]
        assert all(isinstance(count, int) and count <= 64 for count in tokens)
    with pytest.raises(UsageError, match="expected at most max_sequence_length 64 tokens at once, found 65"):
        resolve(name, fields, Options(sequence=65))


def test_the_tokens_of_a_ring_are_no_more_than_the_positions() -> None:
    fields = {**LLAMAS["debug"].to_json(), "max_sequence_length": 64}
    (ring,) = resolve("ring-step", fields, Options(static=True)).components
    assert {spec.shape[2] for spec in ring.signature.inputs if spec.name in {"query", "key", "value"}} == {64}


@pytest.mark.parametrize("name", ["llama", "llama-prefill", "llama-decode"])
def test_the_text_model_takes_no_configuration_with_codes(name: str) -> None:
    fields = {**LLAMAS["debug"].to_json(), "vision_vocab_size": 40}
    with pytest.raises(ConfigError, match=f"found vision_vocab_size; ask for vision-{name}$"):
        resolve(name, fields, Options(static=name != "llama"))
    assert resolve("llama-block", fields).name == resolve(f"vision-{name}", fields).name == "vision-llama"
