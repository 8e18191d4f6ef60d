"""Which tensor is in which kind of blocks: what llama.cpp's quantiser chose for the same models."""

import pytest

from lwmport.models.block_mixes import MIXES, is_finer, kind_of

LAYERS = 9
"""Of the model with rows of 576 and 1536 values that cyllama 0.2.18 quantised for the expectations below."""


def kinds(mix: str, rows: dict[str, int], *, tied: bool = False) -> dict[str, str]:
    return {name: kind_of(MIXES[mix], f"{name}.weight", row, LAYERS, tied=tied) for name, row in rows.items()}


def test_rows_that_do_not_divide_take_smaller_blocks() -> None:
    rows = {"token_embd": 576, "output": 576, "blk.0.attn_q": 576, "blk.0.attn_v": 576, "blk.1.ffn_down": 1536}
    assert kinds("q4_k_m", rows) == {
        "token_embd": "Q5_0",
        "output": "Q8_0",
        "blk.0.attn_q": "Q5_0",
        "blk.0.attn_v": "Q8_0",
        "blk.1.ffn_down": "Q4_K",
    }
    assert kinds("q4_0", rows)["output"] == "Q8_0"
    assert kinds("q6_k", rows)["blk.0.attn_q"] == "Q8_0"
    assert kinds("q4_0", {"blk.0.attn_q": 48}) == {"blk.0.attn_q": "F16"}


@pytest.mark.parametrize("mix", [name for name in MIXES if name != "q8_0"])
def test_the_head_is_finer_and_so_is_a_table_that_is_the_head(mix: str) -> None:
    assert kinds(mix, {"output": 512})["output"] == "Q6_K"
    assert list(kinds(mix, {"token_embd": 512}, tied=True).values()) == ["Q6_K"]
    assert list(kinds(mix, {"token_embd": 512}).values()) == [MIXES[mix].usual]


def test_half_of_the_layers_are_finer_in_the_mix() -> None:
    assert [layer for layer in range(32) if is_finer(layer, 32)] == [
        0,
        1,
        2,
        3,
        6,
        9,
        12,
        15,
        18,
        21,
        24,
        27,
        *range(28, 32),
    ]
    found = kinds("q4_k_m", {f"blk.{layer}.ffn_down": 1024 for layer in range(LAYERS)})
    assert [name for name, kind in found.items() if kind == "Q6_K"] == [f"blk.{i}.ffn_down" for i in (0, 3, 6, 7, 8)]
    assert kinds("q4_k_m", {"blk.0.ffn_up": 1024}) == {"blk.0.ffn_up": "Q4_K"}


def test_few_heads_of_values_in_eighty_layers_have_a_bit_more() -> None:
    for layers, grouped, expected in ((80, True, "Q5_K"), (80, False, "Q4_K"), (64, True, "Q4_K")):
        found = kind_of(MIXES["q4_k_m"], "blk.11.attn_v.weight", 1024, layers, tied=False, grouped=grouped)
        assert found == expected
