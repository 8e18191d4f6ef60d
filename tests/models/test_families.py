"""Names and configurations become components; whatever is wrong with them is said in one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from lwmport.errors import ConfigError, PortError, UsageError
from lwmport.models.families import COMPONENTS, GROUPS, NAMES, resolve
from lwmport.models.vqgan_config import CONFIGS
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
    "NaN": (b'{"resolution": NaN}', "found nan"),
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
