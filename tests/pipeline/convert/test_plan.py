"""The plan before a run: exact in bytes, near in memory, and a refusal where it cannot be carried out."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lwmport import memory
from lwmport.checkpoints import block_workers
from lwmport.checkpoints.opening import open_checkpoint
from lwmport.checkpoints.seeded import SeededWeights
from lwmport.checkpoints.writers.write import write_checkpoint
from lwmport.converters import CONVERTERS
from lwmport.errors import PortError, UsageError
from lwmport.models.families import Family, resolve
from lwmport.models.llama.config import LlamaConfig
from lwmport.models.llama.weights import checkpoint_weights
from lwmport.models.options import Options
from lwmport.pipeline.convert import plan
from lwmport.pipeline.convert.background import Background
from lwmport.pipeline.convert.plan import ConversionPlan, check_validation, plan_for
from lwmport.reports import numbers
from lwmport.types import Weights, WeightSpec

LLAMA = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "max_sequence_length": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "vocab_size": 200,
}
PARAMETERS = 2 * 200 * 64 + 64 + 3 * (4 * 64 * 64 + 3 * 64 * 96 + 2 * 64)


@pytest.fixture(scope="module", params=[0, 1], ids=["stacked on axis 0", "stacked on axis 1"])
def stacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Return a checkpoint in bfloat16, stacked."""
    config = LlamaConfig.from_json({**LLAMA, "param_scan_axis": request.param})
    specs = {name: WeightSpec(shape=spec.shape, dtype="bfloat16") for name, spec in checkpoint_weights(config).items()}
    path = tmp_path_factory.mktemp("plan") / "params"
    write_checkpoint(SeededWeights(specs, 0), path, "msgpack_stream")
    return open_checkpoint(path)


def family_of(weights: Weights | None = None, precision: str = "float32") -> Family:
    return resolve("llama", LLAMA, Options(precision=precision), weights.specs if weights else None)


def planned(family: Family, weights: Weights, form: str = "onnx", out: Path = Path()) -> ConversionPlan:
    return plan_for(family, weights, form, out, 0)


@pytest.mark.parametrize(("precision", "width"), [("float32", 4), ("float16", 2)])
def test_bytes_are_those_of_the_tensors_and_of_the_digest(precision: str, width: int, stacked: Any) -> None:
    found = planned(family_of(stacked, precision), stacked)
    assert found.read_bytes == 2 * PARAMETERS + stacked.path.stat().st_size
    assert found.write_bytes == width * PARAMETERS


def test_weights_in_one_file_are_counted_once(stacked: Any) -> None:
    family = resolve("llama", LLAMA, Options(static=True), stacked.specs)
    assert len(family.components) == 2
    found, each = (plan_for(family, stacked, "onnx", Path(), 0, parts) for parts in (family.components[:1], None))
    assert found.write_bytes == 4 * PARAMETERS == each.write_bytes // 2
    assert found.read_bytes == 2 * PARAMETERS + stacked.path.stat().st_size


def test_seeded_weights_are_not_read() -> None:
    family = family_of()
    assert planned(family, SeededWeights(family.components[0].weights, 0)).read_bytes == 0


def test_formats_that_are_not_streamed_are_not_predicted() -> None:
    family = family_of()
    found = planned(family, SeededWeights(family.components[0].weights, 0), "saved_model")
    assert (found.peak_bytes, found.seconds) == (None, None)
    assert "memory" not in found.sentence


def test_the_plan_is_one_line(tmp_path: Path) -> None:
    family = family_of()
    found = planned(family, SeededWeights(family.components[0].weights, 0), out=tmp_path / "not" / "there" / "yet")
    assert found.sentence.startswith("read 0 bytes, write 522 kB (")
    assert "\n" not in found.sentence
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_refused_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    family = family_of()
    weights = SeededWeights(family.components[0].weights, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=400_000))
    with pytest.raises(PortError, match=r"expected 521,984 bytes free for .*, found 400,000 on its disk"):
        plan_for(family, weights, "onnx", Path(), 0)
    assert plan_for(family, weights, "onnx", Path(), 200_000).done_bytes == 200_000


def test_a_runtime_that_would_hold_more_than_there_is_is_refused_before_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "total_bytes", lambda: 500_000)
    family = family_of(precision="float16")
    check_validation(family, "hf")
    check_validation(family, "onnx")
    with pytest.raises(UsageError, match="expected at most 500,000 bytes to run llama as tflite, found 521,984; add"):
        check_validation(family, "tflite")


def test_every_format_says_how_much_its_runtime_holds() -> None:
    assert set(plan.HELD) == set(CONVERTERS)


@pytest.mark.parametrize(
    "words",
    [["--component", "vqgan", "--to", "onnx", "--config", "debug"], ["--component", "llama", "--to", "hf"]],
    ids=["vqgan to onnx", "llama to hf"],
)
def test_predicted_memory_is_within_a_quarter_of_what_is_measured(words: list[str], tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**LLAMA, "vocab_size": 60_000, "hidden_size": 256}))
    words = [*words, *([] if "--config" in words else ["--config", str(config)])]
    done = subprocess.run(
        [sys.executable, "-m", "lwmport", "convert", *words, "--no-validate", "--json", "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(done.stdout)
    if document["own_peak_bytes"] is None:
        pytest.skip("the system does not tell anonymous memory apart")
    assert document["plan"]["peak_bytes"] == pytest.approx(document["own_peak_bytes"], rel=0.25)


def test_a_matrix_that_is_made_up_is_turned_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a table and a head one is in memory; blocks take a piece for each processor and two more, or processes."""
    monkeypatch.setattr(memory, "anonymous_bytes", lambda: 0)
    monkeypatch.setattr(plan, "processors", lambda: 3)
    config, head = {**LLAMA, "hidden_size": 256, "vocab_size": 400_000}, 400_000 * 256 * 4
    monkeypatch.setattr(block_workers, "processors", lambda: 3)
    pieces = 5 * plan.IN_BLOCKS
    processes = 3 * block_workers.NBYTES
    for name, blocks in (("", 0), ("q8_0", pieces), ("q6_k", pieces + processes)):
        family = resolve("llama", config, Options(quantize=name))
        weights = SeededWeights(family.components[0].weights, 0)
        assert planned(family, weights, "gguf").peak_bytes == plan.IN_FLIGHT + head + blocks
        assert plan._peak(family, family.components, "gguf", made_up=False) == plan.IN_FLIGHT + blocks


def test_the_disk_is_tried_where_much_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PROBE_FROM", 0)
    monkeypatch.setattr(plan, "_disk_rate", lambda out: 1e5 if out == tmp_path / "out" else 1)
    family = family_of()
    found = planned(family, SeededWeights(family.components[0].weights, 0), "hf", tmp_path / "out")
    assert found.seconds == pytest.approx(4 * PARAMETERS / 1e5)


def test_trying_the_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PROBE", 1 << 22)
    assert 1e6 < plan._disk_rate(tmp_path) < 1e11
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "PROBE_FROM", 0)
    (tmp_path / "file").write_text("")
    family = family_of()
    with pytest.raises(PortError, match=r"cannot write .*file.*: (File exists|Not a directory)"):
        planned(family, SeededWeights(family.components[0].weights, 0), "hf", tmp_path / "file" / "out")


def test_background_work_gives_its_result_or_its_error() -> None:
    assert Background(lambda: 7).result() == 7
    with pytest.raises(ZeroDivisionError):
        Background(lambda: 1 // 0).result()


def test_the_plan_counts_validation(stacked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides read the weights; where memory is scarce, the artifact reads them again for each case."""
    family = family_of(stacked)
    plain = planned(family, stacked)
    assert plain.validation_seconds is None
    assert "validate" not in plain.sentence
    (component,) = family.references
    count = sum(spec.nbytes for spec in component.weights.values())
    layers = int(family.config["num_hidden_layers"])
    monkeypatch.setattr(plan, "RATE", count)
    start = plan.JUDGE + plan.JUDGE_LAYER * layers
    for scarce, passes in ((False, 2), (True, 1 + 5)):
        monkeypatch.setattr(plan.memory, "is_scarce", lambda _, scarce=scarce: scarce)
        found = plan.with_validation(plain, family, stacked)
        assert found.validation_seconds == pytest.approx(start + passes)
    assert found.sentence.endswith(f", then about {numbers.seconds(start + 6)} to validate")
