"""The configuration: LWM's fields, strictly read, and nothing that no model can have."""

import json
import re
from dataclasses import fields, replace
from typing import Any

import pytest

from lwmport.errors import ConfigError
from lwmport.models.vqgan.config import CONFIGS, VQGANConfig

LWM = {
    "model_type": "vqgan",
    "transformers_version": "4.40.0",
    "num_resolutions": 5,
    "_name_or_path": "lwm",
    "resolution": 256,
    "num_channels": 3,
    "hidden_channels": 128,
    "channel_mult": [1, 2, 2, 4, 6],
    "num_res_blocks": 2,
    "attn_resolutions": [],
    "no_attn_mid_block": True,
    "z_channels": 64,
    "num_embeddings": 8192,
    "quantized_embed_dim": 64,
    "dropout": 0.0,
    "resample_with_conv": True,
    "commitment_cost": 0.25,
}
"""A configuration file as LWM's own class writes it, bookkeeping included."""


def test_a_file_of_lwms_is_the_released_model() -> None:
    assert VQGANConfig.from_json(LWM) == VQGANConfig() == CONFIGS["lwm"]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_json_and_back(config: VQGANConfig) -> None:
    assert VQGANConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert set(config.to_json()) == {field.name for field in fields(VQGANConfig)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("resolution", 512),
        ("num_channels", 1),
        ("hidden_channels", 64),
        ("channel_mult", (1, 2, 4)),
        ("num_res_blocks", 3),
        ("attn_resolutions", (16, 32)),
        ("no_attn_mid_block", False),
        ("z_channels", 8),
        ("num_embeddings", 16),
        ("quantized_embed_dim", 4),
        ("dropout", 0.1),
        ("resample_with_conv", False),
        ("commitment_cost", 1.0),
    ],
)
def test_every_field_is_read_and_the_others_keep_their_defaults(name: str, value: Any) -> None:
    given = list(value) if isinstance(value, tuple) else value
    assert VQGANConfig.from_json({name: given}) == replace(VQGANConfig(), **{name: value})


def test_sizes_that_follow() -> None:
    assert (CONFIGS["lwm"].scale, CONFIGS["lwm"].codes_per_side) == (16, 16)
    assert (CONFIGS["debug"].scale, CONFIGS["debug"].codes_per_side) == (2, 16)
    single = VQGANConfig(channel_mult=(1,), resolution=7)
    assert (single.scale, single.codes_per_side) == (1, 7)


SIZES = (
    "resolution",
    "num_channels",
    "hidden_channels",
    "num_res_blocks",
    "z_channels",
    "num_embeddings",
    "quantized_embed_dim",
)
WRONG: list[tuple[str, Any, str]] = [
    *((name, value, "a whole number of at least 1") for name in SIZES for value in (0, -1, 2.0, "8", True, None, [1])),
    *((name, value, "true or false") for name in ("no_attn_mid_block", "resample_with_conv") for value in (0, "yes")),
    *(("channel_mult", value, "whole numbers of at least 1") for value in ([1, 0], [1.5], ["2"], [True], [None])),
    *(("attn_resolutions", value, "whole numbers of at least 1") for value in ([0], [16.0])),
    *((name, value, "a list") for name in ("channel_mult", "attn_resolutions") for value in (3, "1,2", None, {})),
    ("channel_mult", [], "at least one level"),
    ("hidden_channels", 100, "a multiple of 32 (GroupNorm's groups)"),
    ("resolution", 250, "a size that halves 4 times"),
]


@pytest.mark.parametrize(("name", "value", "what"), WRONG)
def test_values_that_no_model_can_have_are_refused_by_name(name: str, value: Any, what: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(what)) as caught:
        VQGANConfig.from_json({name: value})
    assert (name in str(caught.value), "\n" in str(caught.value)) == (True, False)


def test_unknown_fields_are_refused_together() -> None:
    with pytest.raises(ConfigError, match=r"expected VQGAN fields out of .*, found hiden_channels, zchannels$"):
        VQGANConfig.from_json({"zchannels": 64, "hiden_channels": 128})
