"""Values that a narrow dtype cannot hold: the model fails, the operator is named, and the model passes with it kept."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from command_line import lwmport
from safetensors.numpy import save_file

from lwmport.errors import UsageError
from lwmport.models.families import resolve
from lwmport.models.options import Options
from lwmport.models.precision import in_precision
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.pipeline.validate import ranges
from lwmport.pipeline.validate.ranges import ranges_of
from lwmport.types import Array, Status

PART = "llama-head"
SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 64, "theta": 10000.0, "rms_norm_eps": 1e-6,
}  # fmt: skip


@pytest.fixture(scope="module")
def sabotaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint whose last norm gives 60,000 times as much, which the head takes back."""
    rng, path = np.random.default_rng(3), tmp_path_factory.mktemp("sabotaged") / "sabotaged.safetensors"
    specs = resolve(PART, SMALL).weights
    tensors = {name: rng.normal(scale=0.1, size=spec.shape).astype(np.float32) for name, spec in specs.items()}
    for name, factor in (("ln_f/kernel", 6e5), ("lm_head/kernel", 1 / 6e4)):
        (found,) = (tensor for tensor in tensors if tensor.endswith(name))
        tensors[found] = np.clip(tensors[found] * np.float32(factor), -6e4, 6e4)
    save_file(tensors, path)
    return path


def asked(checkpoint: Path, out: Path, *keep: str, precision: str = "float16") -> ConvertRequest:
    options = Options(precision=precision, keep_float32=keep)
    return ConvertRequest(
        component=PART, format="onnx", out=out, config=SMALL, checkpoint=str(checkpoint), options=options
    )


def test_what_overflows_is_named_and_passes_where_it_is_kept(sabotaged: Path, tmp_path: Path) -> None:
    failed = convert(asked(sabotaged, tmp_path / "failed")).report
    assert failed is not None
    assert failed.status is Status.FAILED
    found = failed.components[0].ranges
    assert found is not None
    assert found.status is Status.FAILED
    assert f"values beyond float16 (65,504 at most) first appear in {found.first}" in failed.sentence
    kept = convert(asked(sabotaged, tmp_path / "kept", *found.keep))
    assert kept.status is Status.PASSED
    assert {choice.value for choice in kept.manifest.choices if choice.name == "kept in float32"} == set(found.keep)


def test_ranges_are_asked_of_a_model_in_float32(sabotaged: Path, tmp_path: Path) -> None:
    convert(replace(asked(sabotaged, tmp_path / "wide", precision="float32"), validate=False))
    words = ("validate", tmp_path / "wide", "--checkpoint", sabotaged, "--ranges", "float16")
    run = lwmport(*words, "--out", tmp_path / "report", "--json")
    assert run.returncode == 1, run.stderr
    assert "--keep-float32" in json.loads(run.stdout)["failures"][0]
    said = json.loads((tmp_path / "report" / "report.json").read_text())["components"][0]["ranges"]
    assert said["nearest"][0]["headroom_bits"] < 0 < said["values"]
    assert "Room of values" in (tmp_path / "report" / "report.html").read_text()


def small(x: Array, **weights: Array) -> Array:
    with jax.named_scope("h/0"):
        with jax.named_scope("up"):
            wide = x @ weights["h/0/up/kernel"]
        with jax.named_scope("down"):
            return x + wide @ weights["h/0/down/kernel"]


WEIGHTS = {"h/0/up/kernel": np.full((4, 8), 3e4, np.float32), "h/0/down/kernel": np.full((8, 4), 1e-5, np.float32)}
X = np.full((1, 4), 2.0, np.float32)


def test_a_value_counts_where_it_is_held_in_the_narrow_dtype(component_of: Any, weights_of: Any) -> None:
    component, weights = component_of(small, [X], WEIGHTS), weights_of(WEIGHTS)
    found = ranges_of(component, weights, [{"x0": X}], "float16")
    assert (found.first, found.nearest[0].largest) == ("h/0/up/dot_general", 240_000.0)
    assert set(found.keep) == {"h/0/up/dot_general", "h/0/down/dot_general"}
    narrow = ranges_of(component, weights, [{"x0": X}], "float16", ["h/0/up", "dot_general"])
    assert "h/0/down/kernel are subnormal" in narrow.words
    half = ranges_of(component, weights, [{"x0": X}], "float16", ["h/0/up"])
    assert half.status is Status.FAILED  # what reads it still rounds it
    assert ranges_of(component, weights, [{"x0": X}], "float16", found.keep).status is Status.PASSED
    assert ranges_of(component, weights, [{"x0": X}], "bfloat16").status is Status.PASSED


def test_small_values_and_weights_that_overflow_are_told(component_of: Any, weights_of: Any) -> None:
    large = {**WEIGHTS, "h/0/up/kernel": WEIGHTS["h/0/up/kernel"] * 4}
    component = component_of(small, [X], large)
    found = ranges_of(component, weights_of(large), [{"x0": X}], "float16")
    assert found.first == "h/0/up/kernel"
    assert "h/0/up" in found.keep
    down = next(one for one in found.nearest if one.name == "h/0/down/kernel")
    assert (down.subnormal, down.lost) == (1.0, 0.0)


def test_what_cannot_be_widened_is_not_judged(
    component_of: Any, weights_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("no such program")

    monkeypatch.setattr("lwmport.models.ranges.observed", refuse)
    found = ranges_of(component_of(small, [X], WEIGHTS), weights_of(WEIGHTS), [{"x0": X}], "float16")
    assert (found.status, ranges.judged("float16", [], [], []).status) == (Status.NOT_JUDGED, Status.PASSED)
    assert "no such program" in found.words


def test_parts_that_are_kept_are_in_float32_with_their_weights(component_of: Any) -> None:
    component = component_of(small, [X], WEIGHTS)
    made = in_precision(component, "float16", ("h/0/up", "dot_general"))
    dtypes = {name: spec.dtype for name, spec in made.weights.items()}
    assert dtypes == {"h/0/up/kernel": "float32", "h/0/down/kernel": "float16"}
    given = {name: value.astype(dtypes[name]) for name, value in WEIGHTS.items()}
    expected = component.apply(WEIGHTS, {"x0": X})["y0"]
    assert np.allclose(made.apply(given, {"x0": X})["y0"], expected, rtol=2e-3)
    with np.errstate(over="ignore"):
        narrow = {name: value.astype(np.float16) for name, value in WEIGHTS.items()}
        assert not np.isfinite(in_precision(component, "float16").apply(narrow, {"x0": X})["y0"]).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"precision": "float32"}, "expected --keep-float32 beside --precision float16"), ({}, "which is of none")],
)
def test_a_pattern_that_keeps_nothing_is_refused(options: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        convert(
            ConvertRequest(
                component=PART, format="onnx", out=tmp_path / "out", config=SMALL,
                options=Options(**{"precision": "float16", "keep_float32": ("nowhere",), **options}),  # type: ignore[arg-type]
            )
        )  # fmt: skip
    assert not (tmp_path / "out").exists()
