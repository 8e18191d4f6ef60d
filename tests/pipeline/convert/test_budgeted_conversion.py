"""``--budget-kl`` and ``--budget-gb``: kept, told and made again by the recipe; a budget that is missed fails."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from judged_again import GROUPED

import lwmport
from lwmport.checkpoints.model_weights import component_weights, open_model
from lwmport.errors import UnusedOptionError, UsageError
from lwmport.models.options import Options
from lwmport.pipeline.budget_record import GB, TABLE, missed_by
from lwmport.pipeline.calibration.sensitivity import Probe
from lwmport.pipeline.calibration.text import CalibrationText
from lwmport.pipeline.convert.budget import _schemes
from lwmport.pipeline.convert.budget_words import words
from lwmport.pipeline.convert.budgeted import Budgeted
from lwmport.pipeline.convert.output_folder import check_free
from lwmport.pipeline.convert.request import RECIPE
from lwmport.pipeline.observer import Silent
from lwmport.types import Status

ROUNDED = Options(quantize="w4a16")


def convert(out: Path, text: Path | None, **changes: Any) -> Any:
    given = {"format": "onnx", "dialect": "ort", "config": GROUPED, "options": ROUNDED, **changes}
    return lwmport.convert(lwmport.Request(component="llama", out=out, calibrate_on=text, **given))


def told(out: Path) -> Any:
    return json.loads((out / "budget.json").read_text())


@pytest.fixture(scope="module")
def whole(text: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Return a model whose bound lies between what 4 and 8 bits lose."""
    out = tmp_path_factory.mktemp("budget") / "out"
    return out, convert(out, text, budget_kl=0.01)


def test_a_bound_is_kept_told_and_made_again_by_the_recipe(whole: tuple[Path, Any], tmp_path: Path) -> None:
    out, outcome = whole
    assert outcome.status is Status.PASSED, outcome.report.sentence
    table = told(out)
    assert 0 < table["kl_nats"]["measured"] <= 0.01
    assert {row["bits"] for row in table["tensors"]} >= {4, 8}
    assert len(table["tensors"]) == 9
    losses = [row["kl_nats"][str(row["bits"])] for row in table["tensors"]]
    assert sum(losses) == pytest.approx(table["kl_nats"]["forecast"])
    (part,) = outcome.manifest.components
    assert {"budget.json", "recipe.toml"} < {file.name for file in part.files}
    models = sum(file.bytes for file in part.files if file.name.startswith("llama"))
    assert table["bytes"]["written"] == models
    assert table["bytes"]["forecast"] == pytest.approx(models, rel=0.01)
    assert "--recipe recipe.toml" in outcome.manifest.reproduce[0]
    assert any(f"on {24} tokens of t.npz)" in note for note in outcome.report.components[0].notes)
    again = Options(quantize="w4a16", recipe=(str(out / "recipe.toml"),))
    convert(tmp_path / "again", None, options=again, validate=False)
    assert (tmp_path / "again/llama.onnx.data").read_bytes() == (out / "llama.onnx.data").read_bytes()


def test_a_table_and_a_recipe_are_written_again(whole: tuple[Path, Any]) -> None:
    out, _ = whole
    check_free(out, ["llama"], "onnx", beside=(TABLE, RECIPE))
    with pytest.raises(UsageError, match=r"without another conversion, .* found budget\.json, recipe\.toml"):
        check_free(out, ["llama"], "onnx")


def test_a_bound_that_is_missed_fails(whole: tuple[Path, Any], tmp_path: Path) -> None:
    """The note of a report and its verdict come from one place, and so does that of who validates again."""
    out, outcome = whole
    (part,) = outcome.manifest.components
    assert not missed_by(part, out)
    table = told(out)
    table["budget"] = {"gb": 1e-6, "kl": None}
    (tmp_path / TABLE).write_text(json.dumps(table))
    assert "found 0.0" in missed_by(part, tmp_path)[0].reason
    probe = SimpleNamespace(table_on="a text", measured_on="another")
    found = Budgeted(rows=(), bits={}, planned=0, trial=0.5, measured=0.5, probe=probe)  # type: ignore[arg-type]
    request, parts = SimpleNamespace(budget_gb=None, budget_kl=0.01), outcome.manifest.components
    notes, (fault,) = words(SimpleNamespace(budget=found, request=request, parts=parts))  # type: ignore[arg-type]
    assert (fault.status, len(notes)) == (Status.FAILED, 2)
    assert fault.reason == "expected a KL divergence of at most 0.01 nats (--budget-kl), measured 0.5"
    (section,) = outcome.report.components
    assert replace(section, faults=(fault,)).status is Status.FAILED


@pytest.mark.parametrize("held", [1 << 31, 1])
def test_the_loss_of_each_tensor_is_that_of_a_model_with_it_alone(
    held: int, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many tensors have memory at once."""
    monkeypatch.setattr("lwmport.runtime.runners.jax_variants.HELD", held)
    family, weights = open_model("llama", None, GROUPED, ROUNDED, 0)
    (component,) = family.components
    exact = component_weights(family, component, weights).exact  # type: ignore[attr-defined]
    ids = tuple(np.load(text)["input_ids"].astype(np.int32)[:1])
    probe = Probe(
        component=component, exact=exact, output="logits", text=CalibrationText(source="t", ids=ids), observer=Silent()
    )
    schemes = _schemes(component, family)
    rows = probe.table(schemes)
    assert len(rows) == len(schemes) == 9
    for row in rows if held > 1 else rows[::4]:
        assert row.loss[4] == pytest.approx(probe.loss(probe.rounded({row.name: schemes[row.name][4]})), rel=1e-3)
        assert row.loss[4] > 50 * row.loss[8] > 0


def test_bytes_are_kept_and_too_few_are_refused(text: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"expected --budget-gb of more than 0\.000164.* in 4 bits, found 1e-05"):
        convert(tmp_path / "out", text, budget_gb=1e-5)
    found = convert(tmp_path / "out", text, budget_gb=178_000 / GB, validate=False)
    table = told(tmp_path / "out")
    assert 166_000 < table["bytes"]["written"] <= 178_000
    assert table["bytes"]["forecast"] == pytest.approx(table["bytes"]["written"], rel=0.01)
    assert ("bits", "--budget-gb") in [(choice.name, choice.source) for choice in found.manifest.choices]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"budget_kl": 1.0, "options": Options(quantize="w8a16")},
            "beside --quantize w4a16 or w4a8, found --budget-kl",
        ),
        ({"budget_kl": 1.0, "budget_gb": 1.0}, "one budget, found --budget-gb 1.0 beside --budget-kl 1.0"),
        ({"budget_kl": 1.0, "validate": False}, "of artifacts that are judged"),
        ({"budget_gb": 1.0, "format": "hf", "dialect": "hf"}, "in a dialect that takes --recipe"),
    ],
)
def test_a_budget_that_decides_nothing_is_refused(changes: dict[str, Any], expected: str, tmp_path: Path) -> None:
    with pytest.raises(UnusedOptionError, match=expected):
        convert(tmp_path / "out", None, **changes)


@pytest.mark.parametrize(("key", "value"), [("budget_gb", float("nan")), ("budget_kl", -1.0)])
def test_a_budget_is_a_number_above_0(key: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"expected a number above 0 as {key}, found {value!r}"):
        convert(tmp_path / "out", None, **{key: value})
