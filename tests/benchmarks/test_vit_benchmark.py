"""The benchmark of the vision tower: transformers' model gets our weights, so that both give the same."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest


def test_both_give_the_same(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[bench]'")
    vit = importlib.import_module("vit")
    options = SimpleNamespace(config="debug", layers=2, threads=1, rounds=1)
    seconds, found, apart = vit.run(options, tmp_path)
    assert set(seconds) == set(found) == {vit.BASELINE, vit.PEER}
    assert apart < 1e-5
    assert "ratio" in vit.table(seconds, found, apart)
