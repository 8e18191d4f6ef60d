"""The text of a calibration: in windows that begin as texts do, and the same again out of a manifest."""

from pathlib import Path

import numpy as np
import pytest

from lwmport.checkpoints.seeded import SeededWeights
from lwmport.errors import UsageError
from lwmport.models.families import resolve
from lwmport.pipeline.calibration.text import CalibrationText, calibration_text

FAMILY = resolve("llama", "debug")


def text_of(folder: Path, *rows: list[int]) -> CalibrationText:
    """Return the text of a .npz with rows of tokens."""
    longest = max(map(len, rows))
    padded = np.array([row + [0] * (longest - len(row)) for row in rows])
    mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    np.savez(folder / "t.npz", input_ids=padded, attention_mask=mask)
    (component,) = FAMILY.references
    return calibration_text(FAMILY, SeededWeights(component.weights, 0), None, folder / "t.npz", component)


def test_rows_are_cut_into_windows_and_short_ones_stay(tmp_path: Path) -> None:
    found = text_of(tmp_path, list(range(1, 9)), [3, 4])
    assert [row.tolist() for row in found.ids] == [list(range(1, 9)), [3, 4]]
    assert found.words == "10 tokens of t.npz, at most 8 at once"


def test_a_manifest_tells_the_same(tmp_path: Path) -> None:
    found = text_of(tmp_path, [5, 6, 7], [8])
    again = CalibrationText.from_json(found.to_json())
    assert again.digest() == found.digest()
    assert [row.tolist() for row in again.ids] == [[5, 6, 7], [8]]
    codes = CalibrationText(source="a", ids=found.ids, codes=(np.array([True, False, True]), np.array([False])))
    assert list(CalibrationText.from_json(codes.to_json()).lines("input_ids")) == [
        {"input_ids": [[5, 6, 7]], "vision_masks": [[True, False, True]]},
        {"input_ids": [[8]], "vision_masks": [[False]]},
    ]


def test_seeded_weights_run_on_their_own_inputs() -> None:
    (component,) = FAMILY.references
    found = calibration_text(FAMILY, SeededWeights(component.weights, 0), None, None, component)
    assert found == CalibrationText(source="the inputs that it is judged on")


def test_pictures_take_no_text(tmp_path: Path) -> None:
    vqgan = resolve("vqgan-decoder", "debug")
    (component,) = vqgan.references
    with pytest.raises(UsageError, match="expected --calibrate-on of a model that reads tokens, found"):
        calibration_text(vqgan, SeededWeights(component.weights, 0), None, tmp_path / "t.npz", component)
