"""A memory plan: terms that are counted by hand, published figures, devices, and what to change."""

import json
from pathlib import Path
from typing import Any

import pytest

import lwmport
from lwmport.cli.main import cli
from lwmport.errors import ConfigError, UnusedOptionError, UsageError
from lwmport.models.families import MODELS
from lwmport.pipeline.footprint.record import Case, MemoryPlan
from lwmport.pipeline.footprint.request import PlanRequest
from lwmport.pipeline.footprint.storage import PACKINGS
from lwmport.pipeline.footprint.subject import subject_of
from lwmport.pipeline.footprint.terms import Sizing
from lwmport.targets.residence import PLAIN
from lwmport.types import WeightSpec

PUBLISHED = {"float16": 28.8e9, "int8": 13.997e9, "nf4-double": 8.294e9}
"""LLaVA-1.5-13B on a DCU, in bytes, as its port tells them; the context is not told."""


def term(found: MemoryPlan, name: str) -> int:
    return sum(one.bytes for one in found.terms if one.name == name)


@pytest.fixture(scope="module")
def llava() -> Sizing:
    subject = subject_of("llava-1.5-13b", "lwm", ())
    return Sizing(subject=subject, residence=PLAIN, composites=None, attention="")


@pytest.mark.parametrize("precision", PUBLISHED)
def test_published_figures_of_a_13b_are_met_within_5_percent(llava: Sizing, precision: str) -> None:
    """One picture and some words: the one range of contexts in which all three figures are met is 680 to 720."""
    for context in (680, 720):
        total = llava.total(Case(precision=precision, context=context, batch=1, chunk=context))
        assert abs(total / PUBLISHED[precision] - 1) < 0.05


def test_the_float16_figure_is_that_of_the_whole_context(llava: Sizing) -> None:
    total = llava.total(Case(precision="float16", context=2048, batch=1, chunk=2048))
    assert abs(total / PUBLISHED["float16"] - 1) < 0.01


def test_weights_and_cache_of_a_7b_are_the_known_ones() -> None:
    found = lwmport.plan(model="llama", config="debug", context=128)
    assert found.parameters == 2 * 256 * 32000 + 2 * (4 * 256**2 + 3 * 256**2 + 2 * 256) + 256
    assert term(found, "weights") == 2 * found.parameters
    assert term(found, "cache") == 2 * 2 * 256 * 128 * 2
    assert found.total == sum(one.bytes for one in found.terms)


def test_a_prompt_in_pieces_takes_less() -> None:
    whole = lwmport.plan(model="llama", config="debug", context=1024)
    pieces = lwmport.plan(model="llama", config="debug", context=1024, chunk=64)
    assert term(pieces, "values") < term(whole, "values")
    assert term(pieces, "cache") == term(whole, "cache")


def test_attention_without_an_operator_has_all_scores() -> None:
    found = lwmport.plan(model="llama", config="debug", context=2048)
    assert found.attention["full"] >= found.attention["fused"]
    full = lwmport.plan(model="llama", config="debug", context=2048, attention="full")
    assert term(full, "values") == full.attention["full"]


def test_packed_matrices_are_counted_with_their_scales() -> None:
    spec = WeightSpec(shape=(512, 256), dtype="float16")
    count = 512 * 256
    assert PACKINGS["int8"].nbytes(spec) == count + 4 * 256
    assert PACKINGS["nf4"].nbytes(spec) == count // 2 + 4 * count // 64
    assert PACKINGS["nf4-double"].nbytes(spec) == count // 2 + count // 64 + 4 * (count // 64 // 256)


def test_tables_and_heads_are_not_packed() -> None:
    wide, packed = (
        lwmport.plan(model="llama", config="debug", context=64, precision=name) for name in ("fp16", "8bit")
    )
    linear = 2 * 7 * 256**2
    assert term(wide, "weights") - term(packed, "weights") == linear - 2 * 4 * 7 * 256


def test_what_fits_and_what_to_change() -> None:
    found = lwmport.plan(model="llama", config="debug", context=2048, memory="150MB")
    (device,) = found.devices
    assert (found.status, device.fits) == ("does not fit", "with")
    assert device.change is not None
    assert device.change.bytes <= 150e6
    assert device.change.words in found.advice[0]
    words = device.change.words.removeprefix("--").replace("-", "_").split()
    again: Any = {words[0]: int(words[1])}
    assert lwmport.plan(
        **{"model": "llama", "config": "debug", "context": 2048, "memory": "150MB", **again}
    ).status == ("fits")


def test_what_fits_in_no_way_says_so() -> None:
    found = lwmport.plan(model="llama", config="debug", memory="1MB")
    assert found.devices[0].fits == "no"
    assert "such devices" in found.advice[0]


def test_a_target_holds_the_model_its_own_way() -> None:
    plain, cpu = (
        lwmport.plan(model="llama", config="debug", context=128, precision="float32", target=target)
        for target in (None, "cpu")
    )
    assert term(cpu, "cache") == 2 * term(plain, "cache")
    assert term(plain, "weights") - term(cpu, "weights") == 4 * 256 * 32000, "the table stays in its file"
    assert term(cpu, "process") > 0
    assert all(device.target == "cpu" for device in cpu.devices)


def test_a_model_that_runs_small_takes_most_while_it_is_opened() -> None:
    """The largest weight, which makes the logits, is mapped while it is packed; a long prompt takes more."""
    short, long = (
        lwmport.plan(model="llama", config="debug", context=context, precision="float32", target="cpu")
        for context in (1, 512)
    )
    running = sum(term(short, name) for name in ("cache", "values", "workspace"))
    assert term(short, "opening") + running == 4 * 256 * 32000
    assert term(long, "opening") == 0


def test_one_device_of_a_target() -> None:
    found = lwmport.plan(model="llama", config="debug", target="ascend", soc="Ascend310P3")
    assert all("Ascend310P3" in device.names for device in found.devices)
    with pytest.raises(UsageError, match="expected --target beside --soc"):
        PlanRequest(model="llama", soc="Ascend310P3")


def test_a_folder_of_hugging_face_needs_no_weights(tmp_path: Path) -> None:
    text = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1,
            "num_attention_heads": 2, "vocab_size": 100, "max_position_embeddings": 64}  # fmt: skip
    vision = {"model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
              "num_attention_heads": 2, "image_size": 28, "patch_size": 14}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(text))
    assert lwmport.plan(model=str(tmp_path)).case.context == 64
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "llava", "text_config": text, "vision_config": vision})
    )
    found = lwmport.plan(model=str(tmp_path / "config.json"))
    assert {one.of for one in found.terms if one.name == "weights"} == {"llava-vision", "llava-projector", "llama"}
    (tmp_path / "config.json").write_text('{"model_type": "other"}')
    with pytest.raises(ConfigError, match="model_type is one of llama, llava, found 'other'"):
        lwmport.plan(model=str(tmp_path))


def test_a_checkpoint_tells_its_shapes(tmp_path: Path) -> None:
    file = tmp_path / "debug.pkl"
    words = ["checkpoint", "make", "--component", "vqgan", "--config", "debug", "--out", str(file)]
    assert not cli.main(words, standalone_mode=False)
    assert lwmport.plan(model=str(file), config="debug").parameters > 0


def test_names_of_models_are_free() -> None:
    from lwmport.models.families import NAMES

    assert len(set(MODELS)) == len(MODELS) > 0
    assert not set(MODELS) & set(NAMES)
    assert all(part.component in NAMES for model in MODELS.values() for part in model.parts)


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ({"model": "lama"}, UsageError, "expected a model, component, configuration or path out of .*did you mean"),
        ({"model": "7b"}, UsageError, "expected a component beside --config 7b"),
        ({"model": "llava-1.5-7b", "config": "debug"}, UsageError, "expected no --config and no --set"),
        ({"model": "vqgan", "config": "debug", "context": 5}, UnusedOptionError, "expected no --context for vqgan"),
        ({"model": "llama", "config": "debug", "context": 9999}, UsageError, "expected at most 2,048 tokens"),
        ({"model": "llama", "memory": "lots"}, UsageError, "expected memory as a number with GiB"),
        ({"model": "llama", "precision": "int3"}, UsageError, "expected a precision out of"),
        ({"model": "llama", "batch": 0}, UsageError, "expected a whole number of at least 1 as batch"),
    ],
)
def test_what_cannot_be_planned_is_one_line(fields: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        lwmport.plan(**fields)
    assert "\n" not in str(caught.value)


def test_the_command_prints_a_table_and_a_document(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "llama", "--config", "debug", "--context", "128"]
    assert cli.main(words, standalone_mode=False) == 0
    assert "in all" in capsys.readouterr().out
    assert cli.main([*words, "--memory", "1MB", "--json"], standalone_mode=False) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["format"] == "lwmport-plan/1"
    assert document["status"] == "does not fit"
    assert document["total"] == sum(one["bytes"] for one in document["terms"])
