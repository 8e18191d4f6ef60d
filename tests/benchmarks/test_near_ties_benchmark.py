"""What a narrower dtype does to codes: the coarser it is, the more it moves what is quantized."""

import importlib

import numpy as np
import pytest


def test_coarser_dtypes_move_the_latents_more(capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module("near_ties").main(["--config", "debug"])
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[2:5]]
    names, moved = [row[0].strip() for row in rows], [float(row[1].strip().rstrip("%")) for row in rows]
    assert names == ["weights alone, to float16", "float16", "bfloat16"]
    assert 0 < moved[0] < moved[1] < moved[2] / 4


def test_the_nearest_code_is_the_one_of_least_distance() -> None:
    random = np.random.default_rng(2)
    vectors, codes = random.standard_normal((2, 5, 3)), random.standard_normal((7, 3))
    expected = ((vectors[..., None, :] - codes) ** 2).sum(-1).argmin(-1)
    assert np.array_equal(importlib.import_module("near_ties")._nearest(vectors, codes), expected)
