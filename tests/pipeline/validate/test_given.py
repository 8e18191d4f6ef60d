"""Models judged on a user's inputs: his samples, his pictures, his tokens; refused before anything is converted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import lwmport
from lwmport.cli.main import cli
from lwmport.errors import UnusedOptionError, UsageError
from lwmport.models.families import resolve
from lwmport.models.llama.given_tokens import completed
from lwmport.models.llama.sample_text import IDS, TEXT
from lwmport.models.llama.test_inputs import language_inputs, read
from lwmport.models.options import Options
from lwmport.reports.files import read_report
from lwmport.types import Status, TensorSpec

VQGAN = {
    "resolution": 16, "hidden_channels": 32, "channel_mult": [1], "num_res_blocks": 1, "z_channels": 8,
    "num_embeddings": 64, "quantized_embed_dim": 8,
}  # fmt: skip
TEXTS = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 64, "scan_layers": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model of pictures, four arrays for it, and three pictures."""
    folder = tmp_path_factory.mktemp("pixels")
    asked = lwmport.Request(component="vqgan", format="onnx", out=folder / "out", config=VQGAN, validate=False)
    lwmport.convert(asked)
    random = np.random.default_rng(0)
    np.savez(folder / "four.npz", pixel_values=random.uniform(-1, 1, (4, 16, 16, 3)).astype(np.float32))
    (folder / "shots").mkdir()
    for name in ("c.png", "a.png", "b.jpg"):
        Image.fromarray(random.integers(0, 256, (20, 30, 3)).astype(np.uint8)).save(folder / "shots" / name)
    return folder


def test_every_sample_of_a_file_is_judged_and_feeds_the_next_component(pixels: Path, tmp_path: Path) -> None:
    found = lwmport.validate(artifact=pixels / "out", inputs=pixels / "four.npz", out=tmp_path / "report")
    assert found.status is Status.PASSED
    encoder, decoder = (part.validation for part in found.report.components)
    assert encoder.diffs[0].metrics["elements"] == 4 * 256
    assert decoder.diffs[0].metrics["elements"] == 4 * 16 * 16 * 3
    assert encoder.inputs.startswith("four.npz, sample 0; four.npz, sample 1")
    assert decoder.inputs.startswith("outputs of vqgan-encoder for four.npz, sample 0")
    report = read_report(tmp_path / "report")
    assert report.inputs == found.report.inputs
    assert (report.inputs.words, report.inputs.source, report.inputs.samples) == (
        "4 samples of four.npz",
        "four.npz",
        4,
    )
    fewer = lwmport.validate(artifact=pixels / "out", inputs=pixels / "four.npz", samples=2)
    assert fewer.report.components[0].validation.diffs[0].metrics["elements"] == 2 * 256


def test_pictures_of_a_folder_are_judged_in_the_order_of_their_names(pixels: Path) -> None:
    found = lwmport.validate(artifact=pixels / "out/vqgan-encoder.onnx", inputs=pixels / "shots")
    (part,) = found.report.components
    assert (part.validation.status, part.validation.inputs) == (Status.PASSED, "shots: a.png, b.jpg, c.png")
    assert found.report.inputs.words == "3 pictures of shots"
    assert part.galleries[0].title == "a.png"


def test_by_default_there_are_three_photographs(pixels: Path) -> None:
    found = lwmport.validate(artifact=pixels / "out")
    assert found.report.components[0].validation.inputs == "photographs: astronaut, coffee, cat"
    inputs = found.report.inputs
    assert (inputs.words, inputs.source, inputs.samples) == ("3 photographs", "scikit-image", 3)
    one = lwmport.validate(artifact=pixels / "out", samples=1)
    assert one.report.components[1].validation.inputs == "outputs of vqgan-encoder for photographs: astronaut"
    assert one.report.inputs.words == "1 photograph"


def test_one_wrong_sample_among_many_fails(pixels: Path) -> None:
    from lwmport.pipeline.reopen import reopen
    from lwmport.pipeline.validate.judge import judge
    from lwmport.pipeline.validate.reference_runs import gather
    from lwmport.pipeline.validate.test_inputs import sampling_for

    found = reopen(pixels / "out")
    part = found.manifest.components[0]
    component, weights = found.component(part.name), found.component_weights(part.name)
    sampling = sampling_for(pixels / "four.npz", None, None, found.family.references).of(1)
    run = gather(component, weights, 1, sampling=sampling)
    path = pixels / "out" / part.path

    class Wrong:
        def __init__(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
            from lwmport.pipeline.validate.judge import open_runner

            self.inner, self.change, self.calls = open_runner(path, part.signature), change, 0
            self.name, self.notes, self.streamed = "wrong", (), False

        def run(self, inputs: Any) -> dict[str, Any]:
            self.calls += 1
            outputs = self.inner.run(inputs)
            return self.change(outputs) if self.calls == 3 else outputs

        def close(self) -> None:
            self.inner.close()

    def judged(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
        return judge(path, part.signature, run, opener=lambda *_: Wrong(change)).validation  # type: ignore[arg-type]

    assert judged(lambda outputs: outputs).status is Status.PASSED
    changed = judged(lambda outputs: {**outputs, "quantized_states": outputs["quantized_states"] + 1})
    assert changed.status is Status.FAILED
    cut = judged(lambda outputs: {**outputs, "quantized_states": outputs["quantized_states"][:, :8]})
    assert "shape: " in cut.reason
    missing = judged(lambda outputs: {"codebook_indices": outputs["codebook_indices"]})
    assert "missing: expected 'quantized_states'" in missing.reason


def test_tokens_of_different_lengths_are_judged_each(tmp_path: Path) -> None:
    lines = tmp_path / "in.jsonl"
    lines.write_text('{"input_ids": [1, 5, 9]}\n{"input_ids": [7, 8, 3, 2]}\n')
    asked = {"component": "llama", "format": "onnx", "config": TEXTS, "inputs": lines}
    found = lwmport.convert(lwmport.Request(out=tmp_path / "out", **asked))
    assert found.status is Status.PASSED
    (part,) = found.report.components
    names = [diff.name for diff in part.validation.diffs]
    assert names[0] == "sample 0/logits"
    assert "sample 1/logits" in names
    assert part.validation.diffs[0].metrics["language"]["positions"] == 3
    assert "--inputs in.jsonl" in found.manifest.reproduce[0]
    assert "--inputs in.jsonl" in found.manifest.reproduce[1]
    static = lwmport.convert(
        lwmport.Request(out=tmp_path / "static", dialect="ascend", options=Options(sequence=8, max_length=16), **asked)
    )
    assert static.status is Status.PASSED
    prefill, decode = static.report.components
    assert prefill.validation.diffs[0].metrics["language"]["positions"] == 7, "3 and 4 tokens; padding does not count"
    assert prefill.validation.inputs.startswith("in.jsonl, sample 0, 1 x 3 tokens, 5 tokens of padding on the left")
    assert decode.validation.inputs.startswith("in.jsonl, sample 0, 1 x 1 tokens behind a seeded cache")


WRONG = {
    "a token": ('{"input_ids": [64]}', "expected input_ids from 0 to 63, found 64 to 64"),
    "too many": (json.dumps({"input_ids": [1] * 65}), "expected at most 64 tokens"),
    "none": ('{"input_ids": [[]]}', "expected 1 to"),
    "another": ('{"pixel_values": [1]}', "expected the inputs input_ids, found pixel_values"),
    "a text": ('{"text": "hello"}', "expected tokenizer.json beside the checkpoint"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_no_component_takes_is_refused_before_work_starts(name: str, tmp_path: Path) -> None:
    line, reason = WRONG[name]
    (tmp_path / "in.jsonl").write_text(line + "\n")
    asked = {"component": "llama", "format": "onnx", "config": TEXTS, "out": tmp_path / "out"}
    with pytest.raises(UsageError, match=reason):
        lwmport.convert(lwmport.Request(inputs=tmp_path / "in.jsonl", **asked))
    assert not (tmp_path / "out").exists()


def test_the_command_line_says_it_with_exit_code_2(pixels: Path, tmp_path: Path) -> None:
    def refused(words: list[str]) -> str:
        """Return what is said; the command's own error is turned into its exit code by `lwmport.cli.main.main`."""
        found = CliRunner().invoke(cli, words)
        if isinstance(found.exception, UsageError):
            return str(found.exception)
        assert found.exit_code == 2
        return found.output

    np.savez(tmp_path / "wide.npz", pixel_values=np.zeros((1, 16, 17, 3), np.float32))
    out = str(tmp_path / "out")
    convert = ["convert", "--component", "vqgan", "--to", "onnx", "--config", "debug", "--out", out]
    validate = ["validate", str(pixels / "out"), "--inputs"]
    for words in ([*convert, "--inputs", str(tmp_path / "wide.npz")], [*validate, str(tmp_path / "wide.npz")]):
        assert "expected pixel_values as float32" in refused(words)
    assert "expected at least 9 samples in" in refused([*validate, str(pixels / "four.npz"), "--samples", "9"])
    assert "--samples" in refused(["validate", str(pixels / "out"), "--samples", "0"])
    assert UsageError.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_inputs_of_what_is_not_judged_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusedOptionError, match="expected --samples only where artifacts are judged"):
        lwmport.convert(
            lwmport.Request(
                component="vqgan", format="onnx", out=tmp_path / "o", config=VQGAN, samples=2, validate=False
            )
        )


def test_the_text_that_ships_is_the_tokens_that_ship() -> None:
    assert IDS[0] == 1, "the mark of a beginning"
    assert max(IDS) < 32_000
    assert len(IDS) == 175
    assert 100 < len(TEXT.split()) < len(IDS)
    spec = TensorSpec(name="input_ids", shape=(1, 5), dtype="int64", value_range=(0, 31_999))
    assert read((1, 5), 0, spec).tolist() == [list(IDS[:5])]
    starts = {tuple(read((1, 5), number, spec)[0]) for number in range(175)}
    assert len(starts) == 175
    narrow = TensorSpec(name="input_ids", shape=(1, 175), dtype="int64", value_range=(0, 63))
    assert read((1, 175), 0, narrow).max() <= 63


def test_a_language_model_is_judged_on_64_tokens_of_a_text() -> None:
    (component,) = resolve("llama", TEXTS).components
    from lwmport.models.llama.test_inputs import cases_of

    prefill = cases_of(component)[0]
    made = language_inputs(component, 1, case=prefill)
    assert (prefill.name, made.inputs["input_ids"].shape) == ("prefill", (1, 64))
    assert made.description == "64 tokens of the text that ships"


def test_words_and_codes_have_tables_of_their_own() -> None:
    config = {**TEXTS, "vision_vocab_size": 32, "sample_mode": "all"}
    (component,) = resolve("vision-llama", config, Options(sample_mode="all")).components
    ids, codes = np.array([[40, 3]]), np.array([[False, True]])
    made = completed(component, {"input_ids": ids, "vision_masks": codes})
    assert made.inputs["input_ids"].tolist() == [[40, 3]]
    with pytest.raises(
        UsageError, match=r"expected each code of vision-llama from 0 to 31 \(vision_vocab_size\), found 40"
    ):
        completed(component, {"input_ids": ids, "vision_masks": ~codes})
