"""Racing the ways to run a model: who takes part, who may win, what is written of the winner, and that it opens."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lwmport
from lwmport import extras, plain
from lwmport.errors import RunnerError, UsageError
from lwmport.pipeline.compile.run import CompileOutcome, CompileRequest, compile_models
from lwmport.pipeline.race import race as racing
from lwmport.pipeline.race import run
from lwmport.pipeline.race.race import winner_of
from lwmport.pipeline.race.racer import racer
from lwmport.pipeline.race.yardstick import Bound, _agreed
from lwmport.pipeline.validate.subject import subjects_of
from lwmport.processors import processors
from lwmport.reports.race.record import Accuracy, RaceRow, Ratio
from lwmport.runtime.registry import RUNNERS
from lwmport.runtime.spec import RunnerContext
from lwmport.targets.compile.job import CompileJob
from lwmport.targets.cpu import compile as cpu
from lwmport.targets.cpu.attempt import Attempt
from lwmport.targets.cpu.contenders import contenders
from lwmport.types import Array, Signature, Status

OPENVINO = pytest.mark.skipif(not extras.installed("openvino"), reason="pip install 'lwmport[openvino]'")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small head in two dialects, and one of other weights."""
    out = tmp_path_factory.mktemp("models")
    for name, dialect, seed in (("onnx", "onnx", 0), ("ort", "ort", 0), ("other", "ort", 1)):
        lwmport.convert(
            component="llama-head", config="debug", format="onnx", dialect=dialect, seed=seed, out=out / name,
            validate=False,
        )  # fmt: skip
    return out


class Lane:
    """A way that runs in this process, takes the seconds that it is told, and may be told to lie or to die."""

    seconds: Mapping[tuple[str, str], float] = {}
    lie: Callable[[str, Array], Array] = staticmethod(lambda _, array: array)
    dies: str = ""

    def __init__(self, path: Path, engine: str, context: RunnerContext, feeds: Any, timed: Any) -> None:
        self.way, self.engine = (engine, context.precision), engine
        self.arguments = {"path": path, "engine": engine, "feeds": feeds, "timed": timed}
        self.context = replace(context, threads=1)  # threads that wait for each other take long beside other tests

    def ask(self, *, outputs: bool) -> dict[str, Any]:
        if self.dies == self.engine:
            raise RunnerError(f"{self.engine} gave up")
        if not outputs:
            return {"seconds": self.seconds.get(self.way, 1.0), "peak": 1}
        found = racer(**self.arguments, context=plain.encode(self.context))(outputs=True)
        made = [{name: self.lie(self.engine, array) for name, array in one.items()} for one in found["outputs"]]
        return {**found, "outputs": made, "peak": 1}

    def rest(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> type[Lane]:
    """Return what stands for the processes of a race; a test sets its seconds, its lies and its deaths."""
    kind = type("Own", (Lane,), {})
    monkeypatch.setattr(racing, "server", kind)
    monkeypatch.setattr(run, "server", kind)
    return kind


def raced(artifact: Path, out: Path, **more: Any) -> CompileOutcome:
    return compile_models(CompileRequest(artifact=artifact, target="cpu", out=out, fastest=True, rounds=2, **more))


@pytest.fixture
def unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the compiler find that there is nothing to write: the winner is the model as it is."""
    same = [{"y": np.ones(4, np.float32)}]
    monkeypatch.setattr(cpu, "attempt", lambda *_: Attempt(expected=same, found=same, seconds=0.0))


QUICK = {("openvino", "float32"): 0.5, ("openvino", "bfloat16"): 0.1}


@OPENVINO
def test_a_winner_is_written_and_opens_by_its_record(
    models: Path, lanes: type[Lane], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lwmport.targets.cpu.contenders.described", lambda _: "avx512_bf16")
    lanes.seconds = QUICK
    found = raced(models / "onnx", tmp_path, lossy=30)
    (made,), (race,) = found.compilations, found.races
    assert (made.status, made.tool, made.details["precision"]) == (Status.PASSED, "openvino", "bfloat16")
    assert race.winner == "openvino, bfloat16"
    assert race.verified.startswith("passed")
    rows = {row.way: row for row in race.rows}
    assert rows["openvino, bfloat16"].ratio == Ratio(median=0.1, low=0.1, high=0.1)
    levels = [rows[name].accuracy.sqnr_db for name in ("openvino, bfloat16", "openvino, float32")]  # type: ignore[union-attr]
    assert 30 < levels[0] < 60 < levels[1]  # type: ignore[operator]
    assert rows["onnxruntime, float32 (../ort)"].accuracy.verdict is Status.PASSED  # type: ignore[union-attr]
    assert not any("other" in way for way in rows), "a model of other weights was raced"
    record = tmp_path / made.details["race"]
    assert json.loads(record.read_text())["winner"] == race.winner
    assert race.sentence in record.with_suffix(".html").read_text()
    (subject,) = subjects_of(tmp_path / "llama-head.compilation.json").items
    assert (subject.path.name, subject.hint, subject.runner) == ("llama-head.xml", "bfloat16", "openvino")
    assert subject.recorded
    with lwmport.load(tmp_path / "llama-head.compilation.json") as model:
        assert model.runner.name == "OpenVINO"


@OPENVINO
@pytest.mark.usefixtures("unwritten")
def test_without_leave_to_lose_what_is_not_the_same_does_not_win(
    models: Path, lanes: type[Lane], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lwmport.targets.cpu.contenders.described", lambda _: "avx512_bf16")
    lanes.seconds = QUICK
    (race,) = raced(models / "onnx", tmp_path).races
    assert race.winner == "openvino, float32"
    assert next(row for row in race.rows if row.precision == "bfloat16").accuracy.verdict is Status.FAILED  # type: ignore[union-attr]


@pytest.mark.usefixtures("unwritten")
def test_what_lies_or_dies_does_not_win(models: Path, lanes: type[Lane], tmp_path: Path) -> None:
    lanes.seconds = QUICK
    lanes.lie = staticmethod(lambda engine, array: array * 1.01 if engine == "openvino" else array)
    found = raced(models / "onnx", tmp_path / "lies")
    assert found.races[0].winner == "onnxruntime, float32"
    assert found.compilations[0].details["threads"] == processors()
    (subject,) = subjects_of(tmp_path / "lies" / "llama-head.compilation.json").items
    assert (subject.path.name, subject.runner, subject.threads) == ("llama-head.onnx", "onnxruntime", processors())
    lanes.dies = "onnxruntime"
    found = raced(models / "onnx", tmp_path / "dies")
    assert found.status is Status.FAILED
    assert found.races[0].winner == ""
    assert found.races[0].rows[0].reason == "onnxruntime gave up"
    names = sorted(path.name for path in (tmp_path / "dies").iterdir())
    assert names == ["llama-head.race.html", "llama-head.race.json"]


@pytest.mark.usefixtures("unwritten")
def test_a_winner_that_its_record_opens_as_something_else_fails(
    models: Path, lanes: type[Lane], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "server", type("Worse", (lanes,), {"lie": staticmethod(lambda _, array: -array)}))
    found = raced(models / "ort", tmp_path)
    assert found.status is Status.FAILED
    assert "opened again by its record: failed" in found.compilations[0].reason


def test_what_is_not_installed_is_not_raced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "installed", lambda name: name != "openvino")
    found = {way.name: way.lack for way in contenders("onnx", integers=False)}
    assert found["onnxruntime, float32"] == ""
    assert "pip install 'lwmport[openvino]'" in found["openvino, float32"]
    monkeypatch.undo()
    monkeypatch.setattr("lwmport.targets.cpu.contenders.described", lambda _: "avx2")
    found = {way.name: way.lack for way in contenders("onnx", integers=True)}
    assert "without units for bfloat16" in found["openvino, bfloat16"]
    assert {"onnxruntime, int8", "openvino, int8"} < set(found)
    assert RUNNERS["openvino"].name in contenders("tflite", integers=False)[1].engine


def row(median: float, verdict: Status) -> RaceRow:
    return RaceRow(
        way="", engine="", precision="", threads=1, artifact="",
        ratio=Ratio(median=median, low=median, high=median), accuracy=Accuracy(verdict=verdict, reason=""),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        ([row(1, Status.PASSED), row(0.5, Status.PASSED), row(0.1, Status.FAILED)], 1),
        ([row(1, Status.PASSED), row(0.98, Status.PASSED)], 0),
        ([row(1, Status.FAILED), row(2, Status.PASSED)], 1),
        ([row(1, Status.NOT_JUDGED)], None),
        ([replace(row(1, Status.PASSED), ratio=None)], None),
    ],
)
def test_the_winner_keeps_the_bound_and_beats_the_usual_way_by_more_than_noise(
    rows: list[RaceRow], place: int | None
) -> None:
    assert winner_of(rows) == place


def test_a_model_of_anybody_is_held_against_itself(job_for: Any) -> None:
    given = {"y": np.linspace(-1, 1, 1000, dtype=np.float32)}
    near = {"y": given["y"] * np.float32(1.0009)}
    assert _agreed(job_for, [given], Bound(), [given], "float32").verdict is Status.PASSED
    found = _agreed(job_for, [given], Bound(), [near], "bfloat16")
    assert found.verdict is Status.PASSED
    assert found.sqnr_db == pytest.approx(60, abs=1)
    assert _agreed(job_for, [given], Bound(lossy=70), [near], "bfloat16").verdict is Status.FAILED
    assert _agreed(job_for, [given], Bound(lossy=50), [near], "bfloat16").verdict is Status.PASSED
    assert _agreed(job_for, [given], Bound(lossy=1), [{"y": given["y"][:9]}], "float32").verdict is Status.FAILED
    codes = {"y": np.arange(4)}
    assert _agreed(job_for, [codes], Bound(lossy=1), [{"y": codes["y"] + 1}], "float32").verdict is Status.FAILED


@pytest.fixture
def job_for(models: Path) -> Any:
    return CompileJob(
        path=models / "onnx" / "llama-head.onnx", name="m", format="onnx", signature=Signature(inputs=(), outputs=())
    )


REFUSED = {
    "lossy alone": ({"lossy": 40.0}, "--lossy with --fastest"),
    "rounds alone": ({"rounds": 3}, "--rounds with --fastest"),
    "a device": ({"fastest": True, "soc": "openvino"}, "no --soc with --fastest"),
    "two bounds": ({"fastest": True, "lossy": 40.0, "precision": "bfloat16"}, "found both"),
    "another precision": ({"fastest": True, "precision": "float16"}, "expected a precision to race out of"),
    "another target": ({"fastest": True, "target": "migraphx", "soc": None}, "--fastest with the target cpu"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_is_refused(name: str, models: Path, tmp_path: Path) -> None:
    fields, message = REFUSED[name]
    with pytest.raises(UsageError, match=message):
        compile_models(
            CompileRequest(**{"artifact": models / "onnx", "target": "cpu", "out": tmp_path / "out", **fields})
        )
    assert not (tmp_path / "out").exists()


def test_files_of_others_are_left_alone(models: Path, tmp_path: Path) -> None:
    (tmp_path / "llama-head.race.json").write_text("mine")
    with pytest.raises(UsageError, match="what an earlier race wrote"):
        raced(models / "onnx", tmp_path)
    assert (tmp_path / "llama-head.race.json").read_text() == "mine"


def test_a_damaged_sibling_takes_no_part(models: Path, lanes: type[Lane], tmp_path: Path) -> None:
    for name in ("onnx", "ort"):
        shutil.copytree(models / name, tmp_path / name)
    (tmp_path / "ort" / "llama-head.onnx").write_bytes(b"")
    lanes.dies = "onnxruntime"
    found = raced(tmp_path / "onnx", tmp_path / "out")
    assert not any("ort)" in one.way for one in found.races[0].rows)
