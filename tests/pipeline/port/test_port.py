"""The whole road: stages in order, what is done stays done, a failure ends it, a matrix keeps within its memory."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lwmport
from lwmport import plain
from lwmport.errors import MissingExtraError, PortError, RunnerError, UsageError
from lwmport.models.options import Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.port import engines, jobs
from lwmport.pipeline.port import matrix as ports
from lwmport.pipeline.port import run as road
from lwmport.pipeline.port.jobs import Jobs, read_bytes, read_jobs
from lwmport.pipeline.port.ledger import NAME as LEDGER
from lwmport.pipeline.port.ledger import Stage
from lwmport.pipeline.port.run import PortOutcome, PortRequest, finished, port
from lwmport.reports.ports import PortReport
from lwmport.runtime.registry import RUNNERS
from lwmport.targets.registry import TARGETS
from lwmport.types import Status

PASSED, FAILED, SKIPPED = Status.PASSED, Status.FAILED, Status.SKIPPED
NOT_JUDGED = Status.NOT_JUDGED


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stages that write a file and nothing else; the list tells which ran."""
    calls: list[str] = []

    def stage(name: str) -> Callable[..., Stage]:
        def run(request: PortRequest, _: Any) -> Stage:
            calls.append(name)
            path = request.out / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
            files = ((path.name, path.stat().st_size, path.stat().st_mtime_ns),)
            return Stage(name=name, status=PASSED, reason="done", files=files)

        return run

    monkeypatch.setattr(road, "STAGES", {name: stage(name) for name in road.STAGES})
    return calls


def request(out: Path, **given: Any) -> PortRequest:
    conversion = ConvertRequest(component="vqgan-decoder", format="onnx", out=out, config="debug", **given)
    return PortRequest(conversion=conversion, target="cpu")


def test_stages_run_in_order_and_once(ran: list[str], tmp_path: Path) -> None:
    first = port(request(tmp_path))
    assert ran == ["convert", "check", "compile", "bundle"]
    assert [stage.status for stage in first.stages] == [PASSED] * 4
    again = port(request(tmp_path))
    assert len(ran) == 4
    assert again.stages == first.stages
    assert (again.status, again.sentence) == (first.status, first.sentence)


BEFORE = {
    "float32": "252439a4df9d52ef94d457612f9c2fe79802bc253d8a536e7bfb6c31aab6c75b",
    "float16": "81f2ae1721fe2b8b2cf7f6fbbe033dc6d5b057598bd4e2d92b885116a9cdc7b2",
}
"""Precision -> the digest of a request as it was before there were runners, taps and schemes of storage."""


@pytest.mark.parametrize("precision", BEFORE)
def test_what_an_earlier_version_did_is_not_done_again(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(road.extras, "versions", lambda: {"lwmport": "0"})
    assert request(tmp_path, options=Options(precision=precision)).digest() == BEFORE[precision]


@pytest.mark.parametrize(
    "change", [{"runner": "openvino"}, {"taps": "layers"}, {"options": Options(store="float16")}], ids=str
)
def test_what_is_asked_for_anew_is_another_port(change: dict[str, Any], tmp_path: Path) -> None:
    assert request(tmp_path, **change).digest() != request(tmp_path).digest()


def compiled_request(out: Path, runner: str = "ascend") -> PortRequest:
    """Return a port whose models run after its compiler alone."""
    return PortRequest(conversion=replace(request(out).conversion, runner=runner), target="ascend")


def test_the_runner_of_a_port_takes_the_model_or_what_is_compiled_of_it(tmp_path: Path) -> None:
    converted = request(tmp_path, runner="openvino")
    assert (converted.runs_compiled, converted.converted.runner) == (False, "openvino")
    compiled = compiled_request(tmp_path)
    assert (compiled.runs_compiled, compiled.converted.runner) == (True, None)
    with pytest.raises(UsageError, match="did you mean 'ascend'"):
        request(tmp_path, runner="ascnd")
    with pytest.raises(RunnerError, match="the runner ascend cannot start here"):
        port(compiled)
    assert not any(tmp_path.iterdir())


UNFIT = [
    ("ascend", "onnx", None, "litert", ".onnx, .om"),
    ("cpu", "onnx", None, "ascend", ".onnx"),
    ("cpu", "tflite", None, "onnxruntime", ".tflite"),
    ("cpu", "tflite", "openvino", "onnxruntime", ".tflite, .xml"),
    ("aipu", "onnx", None, "ascend", ".onnx, .bin, .cix, .txt"),
]


@pytest.mark.parametrize(("target", "form", "soc", "runner", "made"), UNFIT)
def test_a_runner_that_fits_nothing_of_a_port_is_refused_before_any_work(
    target: str, form: str, soc: str | None, runner: str, made: str, tmp_path: Path
) -> None:
    conversion = ConvertRequest(component="vqgan", format=form, out=tmp_path, runner=runner)
    with pytest.raises(UsageError) as caught:
        PortRequest(conversion=conversion, target=target, soc=soc)
    found = str(caught.value)
    assert found.startswith(f"expected a runner of what a port to {target} makes ({made}), found --runner {runner}, ")
    assert "\n" not in found


def stages_pass(monkeypatch: pytest.MonkeyPatch, compilation: SimpleNamespace) -> None:
    """Let the runner of Ascend start here, its compiler end as told, and every other stage pass."""
    monkeypatch.setitem(RUNNERS.table, "ascend", replace(RUNNERS["ascend"], needs=()))  # type: ignore[misc]
    monkeypatch.setattr(road, "compile_artifacts", lambda *_: (compilation,))
    for name in ("convert", "check", "bundle"):
        done = Stage(name=name, status=PASSED, reason="done")
        monkeypatch.setitem(road.STAGES, name, lambda *_, done=done: done)  # type: ignore[misc]


def test_a_port_is_judged_in_its_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compile stage judges what was made, and fails with it."""
    stages_pass(monkeypatch, SimpleNamespace(status=PASSED, reason="made x.om"))
    monkeypatch.setattr(road, "judge_compiled", lambda *words: (FAILED, f"x.om in {words[2]}: out of tolerance"))
    found = port(compiled_request(tmp_path))
    assert found.status is FAILED
    assert found.sentence == "compile failed: made x.om; x.om in ascend: out of tolerance"


def test_a_port_says_that_its_runner_judged_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages_pass(monkeypatch, SimpleNamespace(status=SKIPPED, reason="no atc"))
    found = port(compiled_request(tmp_path))
    assert found.sentence == (
        "Ready to send; compile skipped: no atc; ascend judged nothing, because nothing was compiled"
    )


def test_jobs_name_a_runner(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text('[matrix]\ncomponent = "vqgan-decoder"\nconfig = "debug"\ntarget = "cpu"\n'
                    'runner = ["openvino", "onnxruntime"]\n')  # fmt: skip
    found = read_jobs(path).jobs
    assert [job.request.runner for job in found] == ["openvino", "onnxruntime"]
    assert len({job.name for job in found}) == 2
    assert all(f"--runner {job.request.runner}" in " ".join(job.words) for job in found)


@pytest.mark.parametrize("change", [{"seed": 1}, {"batch": 2}, {"options": Options(precision="float16")}])
def test_another_request_starts_afresh(change: dict[str, Any], ran: list[str], tmp_path: Path) -> None:
    port(request(tmp_path))
    port(request(tmp_path, **change))
    assert ran == [*road.STAGES] * 2


def test_a_checkpoint_that_changed_starts_afresh(ran: list[str], tmp_path: Path) -> None:
    checkpoint = tmp_path / "weights"
    checkpoint.write_bytes(b"1")
    port(request(tmp_path / "out", checkpoint=f"params::{checkpoint}"))
    checkpoint.write_bytes(b"22")
    port(request(tmp_path / "out", checkpoint=f"params::{checkpoint}"))
    assert ran == [*road.STAGES] * 2


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("other")])
def test_a_stage_whose_files_were_touched_runs_again_with_all_behind_it(
    damage: Callable[[Path], None], ran: list[str], tmp_path: Path
) -> None:
    port(request(tmp_path))
    damage(tmp_path / "check.txt")
    port(request(tmp_path))
    assert ran[4:] == ["check", "compile", "bundle"]


@pytest.mark.parametrize("content", [b'{"format": "lwmport-port/1"}', b'{"format": "lwmport-port/3", "stages": 1}'])
def test_a_ledger_of_ours_that_says_nothing_counts_for_nothing(content: bytes, ran: list[str], tmp_path: Path) -> None:
    (tmp_path / LEDGER).write_bytes(content)
    assert port(request(tmp_path)).status is PASSED
    assert ran == [*road.STAGES]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff"])
def test_a_file_of_the_users_with_the_name_of_the_ledger_is_refused(
    content: bytes, ran: list[str], tmp_path: Path
) -> None:
    (tmp_path / LEDGER).write_bytes(content)
    with pytest.raises(UsageError, match="expected nothing at"):
        port(request(tmp_path))
    assert (tmp_path / LEDGER).read_bytes() == content
    assert ran == []


def test_a_run_that_died_goes_on_where_it_was(ran: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: Any) -> Stage:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(road.STAGES, "compile", die)  # type: ignore[misc]
        with pytest.raises(KeyboardInterrupt):
            port(request(tmp_path))
    port(request(tmp_path))
    assert ran == ["convert", "check", "compile", "bundle"]


def test_a_configuration_file_that_changed_starts_afresh(ran: list[str], tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}")
    asked = replace(request(tmp_path / "out").conversion, config=str(path))
    port(PortRequest(conversion=asked, target="cpu"))
    path.write_text('{"resolution": 64}')
    port(PortRequest(conversion=asked, target="cpu"))
    assert ran == [*road.STAGES] * 2


@pytest.mark.parametrize("status", [FAILED, NOT_JUDGED])
@pytest.mark.parametrize("name", list(road.STAGES))
def test_what_failed_or_was_not_judged_ends_the_road(
    name: str, status: Status, ran: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = Stage(name=name, status=status, reason="no")
    monkeypatch.setitem(road.STAGES, name, lambda *_: ending)  # type: ignore[misc]
    found = port(request(tmp_path))
    assert (found.status, found.sentence) == (status, f"{name} {status}: no")
    place = list(road.STAGES).index(name)
    assert [stage.status for stage in found.stages] == [PASSED] * place + [status] + [SKIPPED] * (3 - place)
    assert len(ran) == place
    port(request(tmp_path))
    assert len(ran) == place, "what passed before the failure is not done again"


def test_a_compiler_that_is_missing_leaves_the_road_open_until_it_is_there(
    ran: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools: dict[str, str] = {}
    looked: list[int] = []

    def missing(*_: Any) -> Stage:
        looked.append(1)
        return Stage(name="compile", status=SKIPPED, reason="no atc", tools=dict(tools))

    monkeypatch.setitem(road.STAGES, "compile", missing)  # type: ignore[misc]
    monkeypatch.setattr(road, "installed", lambda *_: dict(tools))
    found = port(request(tmp_path))
    assert (found.status, found.sentence) == (PASSED, "Ready to send; compile skipped: no atc")
    assert port(request(tmp_path)).stages == found.stages
    assert len(looked) == 1
    tools["atc"] = "/usr/bin/atc"
    assert finished(request(tmp_path)) is None
    port(request(tmp_path))
    assert len(looked) == 2
    assert ran == ["convert", "check", "bundle", "bundle"]


def test_what_was_skipped_for_another_reason_than_a_missing_program_is_tried_again(
    ran: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []

    def scarce(*_: Any) -> Stage:
        looked.append(1)
        return Stage(name="compile", status=SKIPPED, reason="too little memory")

    monkeypatch.setitem(road.STAGES, "compile", scarce)  # type: ignore[misc]
    port(request(tmp_path))
    assert finished(request(tmp_path)) is None
    port(request(tmp_path))
    assert len(looked) == 2
    assert ran == ["convert", "check", "bundle", "bundle"]


def test_a_port_is_finished_when_nothing_of_it_would_run_again(ran: list[str], tmp_path: Path) -> None:
    assert finished(request(tmp_path)) is None
    assert not list(tmp_path.iterdir()), "a look writes nothing"
    done = port(request(tmp_path))
    found = finished(request(tmp_path))
    assert found is not None
    assert (found.stages, found.status, found.sentence) == (done.stages, done.status, done.sentence)
    assert finished(request(tmp_path, seed=1)) is None
    (tmp_path / "check.txt").write_text("other")
    assert finished(request(tmp_path)) is None
    assert len(ran) == 4


@pytest.mark.parametrize("name", list(road.STAGES))
def test_a_port_that_failed_is_not_finished(name: str, ran: list[str], tmp_path: Path) -> None:
    port(request(tmp_path))
    ledger = json.loads((tmp_path / LEDGER).read_text())
    ledger["stages"] = [stage | {"status": "failed"} if stage["name"] == name else stage for stage in ledger["stages"]]
    (tmp_path / LEDGER).write_text(json.dumps(ledger))
    assert finished(request(tmp_path)) is None
    assert len(ran) == 4


@pytest.mark.parametrize(("target", "form"), [(name, form) for name in TARGETS.table for form in TARGETS[name].formats])
def test_every_target_takes_its_formats_and_no_other(target: str, form: str, tmp_path: Path) -> None:
    conversion = ConvertRequest(component="vqgan", format=form, out=tmp_path)
    assert PortRequest(conversion=conversion, target=target).digest()
    with pytest.raises(UsageError, match=f"expected a format for {target} out of"):
        PortRequest(conversion=replace(conversion, format="gguf"), target=target)


def test_a_target_whose_compiler_wants_a_device_gets_its_usual_one(tmp_path: Path) -> None:
    conversion = ConvertRequest(component="vqgan", format="onnx", out=tmp_path)
    assert PortRequest(conversion=conversion, target="ascend").chip == "Ascend310P3"
    assert PortRequest(conversion=conversion, target="ascend", soc="Ascend910B1").chip == "Ascend910B1"
    assert PortRequest(conversion=conversion, target="migraphx").chip is None


DEVICES = [("ascend", "Ascend999"), ("aipu", "X9"), ("migraphx", "ref"), ("cpu", "litert")]


@pytest.mark.parametrize(("target", "soc"), DEVICES)
def test_an_unknown_device_is_refused_before_anything_is_done(target: str, soc: str, tmp_path: Path) -> None:
    conversion = ConvertRequest(component="vqgan", format="onnx", out=tmp_path / "out")
    with pytest.raises(UsageError, match=f"expected .* out of .*found '?{soc}"):
        PortRequest(conversion=conversion, target=target, soc=soc)
    assert PortRequest(conversion=conversion, target="cpu", soc="openvino").chip == "openvino"
    assert PortRequest(conversion=replace(conversion, batch="dynamic"), target="cpu").conversion.batch == "dynamic"


def test_a_folder_into_which_nothing_came_is_gone(
    ran: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(request: PortRequest, _: Any) -> Stage:
        request.out.mkdir(exist_ok=True)
        raise PortError("cannot write: no space left")

    monkeypatch.setitem(road.STAGES, "convert", full)  # type: ignore[misc]
    out = tmp_path / "out"
    with pytest.raises(PortError):
        port(request(out))
    assert not out.exists()
    out.mkdir()
    with pytest.raises(PortError):
        port(request(out))
    assert out.exists(), "it was there before"
    assert ran == []


def test_the_real_road_ends_in_a_bundle(tmp_path: Path) -> None:
    found = port(request(tmp_path))
    assert [(stage.name, stage.status) for stage in found.stages] == [(name, PASSED) for name in road.STAGES]
    assert (tmp_path / "vqgan-decoder-cpu.zip").is_file()
    assert (tmp_path / "models" / "report.html").is_file()


JOBS = """
workers = 2
memory = "4GB"
[defaults]
config = "debug"
[matrix]
component = ["vqgan-encoder", "llama-block"]
target = ["ascend", "cpu"]
precision = ["float32", "float16"]
[[jobs]]
component = "vqgan-decoder"
target = "aipu"
to = "tflite"
[[exclude]]
component = "llama-block"
target = "cpu"
"""


def test_a_matrix_is_every_combination_but_the_excluded_and_single_jobs_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(JOBS)
    found = read_jobs(path)
    assert (found.workers, found.memory, found.out) == (2, 4 * 10**9, tmp_path / "ports")
    assert [job.name for job in found.jobs] == [
        "vqgan-encoder-ascend-onnx-float32",
        "vqgan-encoder-ascend-onnx-float16",
        "vqgan-encoder-cpu-onnx-float32",
        "vqgan-encoder-cpu-onnx-float16",
        "llama-block-ascend-onnx-float32",
        "llama-block-ascend-onnx-float16",
        "vqgan-decoder-aipu-tflite-float32",
    ]
    assert found.jobs[1].request.conversion.options.precision == "float16"
    assert found.jobs[1].words[:6] == ("--config", "debug", "--component", "vqgan-encoder", "--target", "ascend")


MATRIX = """
[defaults]
config = "debug"
[matrix]
component = ["vqgan-encoder", "vqgan-decoder"]
target = ["ascend", "aipu", "migraphx"]
"""
EXCLUDED: dict[str, tuple[str, int]] = {
    "one value": ('target = "migraphx"', 2),
    "all values": ('target = "migraphx"\ncomponent = "vqgan-encoder"', 1),
    "any of a list": ('target = ["migraphx", "aipu"]', 4),
    "a list of one": ('target = ["migraphx"]', 2),
    "lists of two": ('target = ["migraphx", "aipu"]\ncomponent = ["vqgan-encoder", "vqgan"]', 2),
    "of the defaults": ('target = "aipu"\nconfig = "debug"', 2),
    "the usual precision": ('target = "migraphx"\nprecision = "float32"', 2),
    "the usual format": ('target = "migraphx"\nto = "onnx"', 2),
    "the usual device": ('soc = "Ascend310P3"', 2),
    "the usual dialect": ('dialect = ["aipu", "ascend"]', 4),
    "the usual batch": ('target = "migraphx"\nbatch = 1\nseed = 0\nring = 1', 2),
    "settings": ('target = "migraphx"\nset = []', 2),
    "twice": ('target = "migraphx"\n[[exclude]]\ntarget = ["migraphx", "aipu"]', 4),
}


@pytest.mark.parametrize("name", EXCLUDED)
def test_what_is_excluded(name: str, tmp_path: Path) -> None:
    rule, count = EXCLUDED[name]
    path = tmp_path / "jobs.toml"
    path.write_text(f"{MATRIX}[[exclude]]\n{rule}\n")
    assert len(read_jobs(path).jobs) == 6 - count


NOT_EXCLUDED: dict[str, tuple[str, str]] = {
    "an unknown field": ('targt = "migraphx"', r"expected a field of an \[\[exclude\]\] .* did you mean 'target'\?"),
    "nothing": ("", "expected fields with values in every"),
    "no values": ("target = []", "expected fields with values in every"),
    "no such value": ('target = "migrafx"', "to leave out a job, found none with target = 'migrafx'; fix it"),
    "another precision": (
        'target = "migraphx"\nprecision = "float16"',
        "found none with target = 'migraphx', precision = 'float16'",
    ),
    "another type": ('target = "migraphx"\nbatch = true', "found none with target = 'migraphx', batch = True"),
    "everything": ('component = ["vqgan-encoder", "vqgan-decoder"]', "leave something to do, found nothing"),
}


@pytest.mark.parametrize("name", NOT_EXCLUDED)
def test_an_exclude_that_excludes_nothing_is_refused(name: str, tmp_path: Path) -> None:
    rule, words = NOT_EXCLUDED[name]
    path = tmp_path / "jobs.toml"
    path.write_text(f"{MATRIX}[[exclude]]\n{rule}\n")
    with pytest.raises(UsageError, match=words):
        read_jobs(path)


def test_what_differs_between_jobs_is_in_their_names_and_paths_lie_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    (tmp_path / "c.json").write_text("{}")
    path.write_text(
        '[defaults]\nconfig = "./c.json"\ncheckpoint = "params::w"\n'
        '[matrix]\ncomponent = "vqgan"\ntarget = "ascend"\nsoc = ["Ascend310P3", "Ascend910B1"]\nbatch = [1, 2]\n'
    )
    found = read_jobs(path)
    assert [job.name for job in found.jobs] == [
        f"vqgan-ascend-onnx-float32-batch-{batch}-soc-{soc}"
        for soc in ("Ascend310P3", "Ascend910B1")
        for batch in (1, 2)
    ]
    conversion = found.jobs[0].request.conversion
    assert (conversion.config, conversion.checkpoint) == (str(tmp_path / "c.json"), f"params::{tmp_path / 'w'}")


BAD = {
    "no TOML": ("[", "expected a TOML file"),
    "nothing to do": ("", r"expected a \[matrix\] or"),
    "an unknown table": ("[matriks]", "did you mean 'matrix'"),
    "an unknown field": ('[[jobs]]\ncomponent = "vqgan"\nprecison = "float16"', "did you mean 'precision'"),
    "an unknown target": ('[[jobs]]\ncomponent = "vqgan"\ntarget = "ascent"', "did you mean 'ascend'"),
    "an unknown target with a format": (
        '[[jobs]]\ncomponent = "vqgan"\ntarget = "ascent"\nto = "onnx"',
        "did you mean 'ascend'",
    ),
    "an unknown component": ('[[jobs]]\ncomponent = "vqgn"\ntarget = "cpu"', "did you mean 'vqgan'"),
    "no component": ('[[jobs]]\ntarget = "cpu"', "expected component of every job"),
    "no list of tables": ("jobs = 3", r"expected tables \[\[jobs\]\]"),
    "an empty axis": ("[matrix]\ncomponent = []", "found an empty list"),
    "no number": ('workers = "two"\n[[jobs]]\ncomponent = "vqgan"\ntarget = "cpu"', "expected a number of at least 1"),
    "a wrong type": ('[[jobs]]\ncomponent = "ring-step"\ntarget = "cpu"\nring = "two"', "1 as ring of a job, found"),
    "a wrong form": ('[[jobs]]\ncomponent = "llama"\ntarget = "cpu"\nattention = 3', "a text as attention of a job"),
    "a layer in words": ('[[jobs]]\ncomponent = "llama-block"\ntarget = "cpu"\nlayer = "3"', "0 as layer of a job"),
    "a batch in words": ('[[jobs]]\ncomponent = "vqgan"\ntarget = "cpu"\nbatch = "two"', "1 or 'dynamic' as batch"),
    "a batch of none": ('[[jobs]]\ncomponent = "vqgan"\ntarget = "cpu"\nbatch = 0', "1 or 'dynamic' as batch"),
    "a seed below 0": ('[[jobs]]\ncomponent = "vqgan"\ntarget = "cpu"\nseed = -1', "at least 0 as seed of a job"),
    "an unknown device": ('[[jobs]]\ncomponent = "vqgan"\ntarget = "ascend"\nsoc = "Ascend999"', "expected --soc out"),
    "a folder that is no text": ('out = 3\n[[jobs]]\ncomponent = "vqgan"\ntarget = "cpu"', "a text as out, found 3"),
    "no text": ('[[jobs]]\ncomponent = "vqgan"\ntarget = "cpu"\nto = ["onnx"]', "expected a text as to of a job"),
    "a job twice": ('[[jobs]]\ncomponent = "vqgan"\ntarget = "cpu"\n' * 2, "more than once"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_files_that_are_no_jobs_are_refused_in_one_line(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(content)
    with pytest.raises(UsageError, match=message) as caught:
        read_jobs(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "found"), [("8GB", 8 * 10**9), ("1.5 GiB", 3 * 2**29), ("512MiB", 2**29), ("7", 7)])
def test_memory_is_read_with_its_unit(text: str, found: int) -> None:
    assert read_bytes(text) == found


@pytest.mark.parametrize("text", ["", "GB", "8 gigs", "much"])
def test_memory_without_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected memory as 8GB"):
        read_bytes(text)


DROPPED = {
    "a precision that stores narrow": (
        'precision = ["float32", "float16"]\ncomponent = "llama-embed"',
        ["float16", ""],
    ),
    "a component without weights": ('component = ["llama-embed", "ring-step"]', ["float16", ""]),
}


@pytest.mark.parametrize("case", DROPPED)
def test_a_default_scheme_of_storage_is_left_out_where_it_stores_nothing(case: str, tmp_path: Path) -> None:
    matrix, stores = DROPPED[case]
    path = tmp_path / "jobs.toml"
    path.write_text(f'[defaults]\nconfig = "debug"\nstore = "float16"\n[matrix]\ntarget = "cpu"\n{matrix}\n')
    found = read_jobs(path).jobs
    assert [job.request.conversion.options.store for job in found] == stores
    assert ["--store" in job.words for job in found] == [bool(store) for store in stores]


def test_a_scheme_of_storage_that_a_job_names_and_that_stores_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text('[[jobs]]\nconfig = "debug"\ntarget = "cpu"\ncomponent = "ring-step"\nstore = "float16"\n')
    with pytest.raises(
        UsageError, match=r"jobs.toml, job .*: expected matrices, .*, found none among the weights of ring"
    ):
        read_jobs(path)


def test_a_default_runner_is_left_out_where_it_fits_nothing(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text('[defaults]\nconfig = "debug"\nrunner = "onnxruntime"\n[matrix]\ntarget = "cpu"\n'
                    'component = "llama-embed"\nto = ["onnx", "tflite"]\n')  # fmt: skip
    assert [job.request.runner for job in read_jobs(path).jobs] == ["onnxruntime", None]


def test_a_model_larger_than_memory_is_expected_to_take_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(
        '[defaults]\nconfig = "debug"\ntarget = "cpu"\ncomponent = "llama"\n[matrix]\nto = ["onnx", "tflite"]\n'
    )
    onnx, tflite = (job.bytes for job in read_jobs(path).jobs)
    assert onnx == tflite
    monkeypatch.setattr(jobs, "is_scarce", lambda _: True)
    onnx, lite = (job.bytes for job in read_jobs(path).jobs)
    assert jobs.BASE_BYTES < onnx < lite == tflite


class Stub:
    """An engine whose processes end after three looks; it tells how many ran at a time."""

    def __init__(self, answers: dict[str, engines.Ended]) -> None:
        self.answers, self.running, self.most, self.started = answers, [], 0, list[str]()
        self.outcomes: dict[str, PortOutcome] = {}

    def done(self, job: Any) -> PortOutcome | None:
        return self.outcomes.get(job.name)

    def start(self, job: Any) -> Any:
        self.started.append(job.name)
        process = SimpleNamespace(looks=0, stopped=False)

        def result() -> engines.Ended | None:
            process.looks += 1
            if process.looks < 3:
                return None
            self.running.remove(job)
            return self.answers[job.name]

        def stop() -> None:
            process.stopped = True

        process.result, process.stop = result, stop
        self.running.append(job)
        self.most = max(self.most, sum(held.bytes for held in self.running))
        return process


@pytest.fixture
def asked(tmp_path: Path) -> Jobs:
    path = tmp_path / "jobs.toml"
    path.write_text(JOBS)
    found = read_jobs(path)
    return replace(found, jobs=tuple(replace(job, bytes=100) for job in found.jobs))


def answer(job: Any, status: str = "passed", code: int = 0) -> engines.Ended:
    stages = [{"name": name, "status": status, "reason": "why", "seconds": 1.0} for name in road.STAGES]
    found = {"stages": stages, "status": status, "sentence": "Said.", "peak_bytes": 7, "title": job.name}
    return engines.Ended(code=code, output=json.dumps(found), log="")


def run(asked: Jobs, stub: Stub, monkeypatch: pytest.MonkeyPatch, **given: Any) -> PortReport:
    monkeypatch.setattr(ports, "ENGINES", {"stub": lambda: stub})
    monkeypatch.setattr(ports, "PAUSE", 0.0)
    return ports.port_all(asked, engine="stub", **given)


@pytest.mark.parametrize(("workers", "memory", "most"), [(3, 1000, 300), (9, 250, 200), (1, 1000, 100)])
def test_processes_keep_within_their_number_and_their_memory(
    workers: int, memory: int, most: int, asked: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = Stub({job.name: answer(job) for job in asked.jobs})
    found = run(asked, stub, monkeypatch, workers=workers, memory=memory)
    assert stub.most == most
    assert sorted(stub.started) == sorted(job.name for job in asked.jobs)
    assert found.status is PASSED
    assert [row.name for row in found.jobs] == [job.name for job in asked.jobs]


def test_one_that_fails_or_dies_takes_no_other_down(asked: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third, *others = asked.jobs
    answers = {job.name: answer(job) for job in others}
    answers[first.name] = answer(first, "failed", 1)
    answers[second.name] = engines.Ended(code=-9, output="", log="")
    answers[third.name] = engines.Ended(code=3, output='{"status": "error", "error": "no such thing"}', log="")
    found = run(asked, Stub(answers), monkeypatch)
    assert found.status is FAILED
    assert found.sentence.startswith(f"{len(others)} of {len(asked.jobs)} ports passed")
    said = [row.sentence for row in found.jobs[:3]]
    assert said == ["Said.", "ended by SIGKILL, twice; was there too little memory?", "no such thing"]
    assert [row.status for row in found.jobs] == [FAILED] + [NOT_JUDGED] * 2 + [PASSED] * len(others)


@pytest.mark.parametrize(("code", "name"), [(-9, "SIGKILL"), (-11, "SIGSEGV"), (143, "SIGTERM"), (3, "")])
def test_one_that_a_signal_ended_is_tried_once_more(
    code: int, name: str, asked: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = asked.jobs
    stub = Stub({job.name: answer(job) for job in others})
    ends = [engines.Ended(code=code, output="", log="no such thing"), answer(first)]
    start = stub.start

    def started(job: Any) -> Any:
        if job is first:
            stub.answers[job.name] = ends.pop(0)
        return start(job)

    monkeypatch.setattr(stub, "start", started)
    row = run(asked, stub, monkeypatch).jobs[0]
    assert (row.status, row.sentence) == ((PASSED, "Said.") if name else (NOT_JUDGED, "no such thing"))
    assert stub.started.count(first.name) == (2 if name else 1)
    assert engines.Ended(code=code, output="", log="").signal == name


def test_one_that_needs_more_than_there_is_is_not_started(asked: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    large = replace(asked.jobs[0], bytes=10**9)
    asked = replace(asked, jobs=(large, *asked.jobs[1:]))
    stub = Stub({job.name: answer(job) for job in asked.jobs})
    found = run(asked, stub, monkeypatch, memory=10**6)
    assert large.name not in stub.started
    assert (found.status, found.jobs[0].status) == (NOT_JUDGED, NOT_JUDGED)
    assert "needs about 1.0 GB of memory" in found.jobs[0].sentence


def test_jobs_that_are_done_start_no_process_and_keep_their_rows(
    asked: Jobs, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = asked.jobs
    done = port(first.request)
    stub = Stub({job.name: answer(job) for job in others})
    monkeypatch.setattr(stub, "done", engines.Local().done)
    row = run(asked, stub, monkeypatch, memory=1000).jobs[0]
    assert first.name not in stub.started
    assert len(stub.started) == len(others)
    assert (row.status, row.sentence, row.peak_bytes) == (done.status, done.sentence, done.peak_bytes)
    assert [(stage.name, stage.reason) for stage in row.stages] == [(name, "done") for name in ran]
    assert row.links.keys() == set(), "stages that write nothing else leave nothing to open"


def test_what_cannot_be_told_without_a_process_is_left_to_it(asked: Jobs, tmp_path: Path) -> None:
    job = asked.jobs[0]
    gone = replace(job.request, conversion=replace(job.request.conversion, checkpoint=str(tmp_path / "none")))
    assert engines.Local().done(replace(job, request=gone)) is None
    assert engines.Local().done(job) is None


TIED = """
import signal, sys, time
from lwmport.pipeline.port.supervised_child import tie
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
tie(0.1)
print("up", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("kind", "ended_by"), [("listening", signal.SIGTERM), ("deaf", signal.SIGKILL)])
def test_a_process_ends_with_the_one_that_started_it(kind: str, ended_by: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", TIED, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    assert process.stdout.readline() == b"up\n"
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(30) == -ended_by
    process.stdout.close()


def test_a_tied_process_is_the_command_line() -> None:
    words = [sys.executable, "-m", "lwmport.pipeline.port.supervised_child", "--version"]
    read, write = os.pipe()
    found = subprocess.run(words, stdin=read, capture_output=True, text=True, check=True)
    os.close(write)
    os.close(read)
    assert found.stdout.strip().endswith(lwmport.__version__)


def test_the_index_links_what_there_is_and_nothing_else(asked: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    job = asked.jobs[0]
    job.request.models.mkdir(parents=True)
    (job.request.models / "report.html").write_text("page")
    found = run(asked, Stub({job.name: answer(job) for job in asked.jobs}), monkeypatch)
    page = (asked.out / "index.html").read_text()
    assert page.count('href="vqgan-encoder-ascend-onnx-float32/models/report.html"') == 1
    assert ".zip" not in page
    value = json.loads((asked.out / "index.json").read_text())
    assert value["jobs"] == plain.encode(found)["jobs"]
    assert "| vqgan-encoder to ascend (onnx, float32) | passed |" in (asked.out / "index.md").read_text().replace(
        "\\", ""
    )


def test_an_interrupt_ends_every_process(asked: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[Any] = []

    class Hanging(Stub):
        def start(self, job: Any) -> Any:
            process = super().start(job)
            processes.append(process)
            process.result = lambda: None
            return process

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ports.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(asked, Hanging({}), monkeypatch, workers=2, memory=1000)
    assert [process.stopped for process in processes] == [True, True]


def test_a_local_process_is_judged_by_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; print('{}'); print('why', file=sys.stderr); sys.exit(3)"
    monkeypatch.setattr(engines, "command", lambda *_: [sys.executable, "-c", code])
    process = engines.Local().start(SimpleNamespace())  # type: ignore[arg-type]
    found = None
    while found is None:
        found = process.result()
    assert found == engines.Ended(code=3, output="{}\n", log="why\n")


def test_processes_find_this_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    home, other = engines.environment()["PYTHONPATH"].split(os.pathsep)
    assert (Path(home) / "lwmport" / "__main__.py").is_file()
    assert other == "elsewhere"


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A stand-in for Ray's few functions: a task runs when it is asked for."""
    asked: list[dict[str, Any]] = []

    def remote(**needs: Any) -> Any:
        asked.append(needs)
        return lambda function: SimpleNamespace(remote=lambda words: (function, words))

    module = SimpleNamespace(
        asked=asked,
        is_initialized=lambda: False,
        init=lambda **_: None,
        remote=remote,
        wait=lambda tasks, **_: (tasks, []),
        get=lambda task: task[0](task[1]),
    )
    monkeypatch.setitem(sys.modules, "ray", module)
    return module


def test_a_cluster_runs_the_same_command_with_the_memory_of_the_job(
    ray: SimpleNamespace, asked: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = json.dumps(json.loads(answer(asked.jobs[0]).output))
    monkeypatch.setattr(engines, "command", lambda _: [sys.executable, "-c", f"print({said!r})"])
    found = ports.port_all(replace(asked, jobs=asked.jobs[:2]), engine="ray", memory=1000)
    assert found.status is PASSED
    assert ray.asked == [{"num_cpus": 1, "memory": 100}] * 2


def test_a_task_that_a_cluster_lost_takes_no_other_down(
    ray: SimpleNamespace, asked: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_: Any) -> Any:
        raise RuntimeError("worker died")

    monkeypatch.setattr(ray, "get", lost)
    found = ports.port_all(replace(asked, jobs=asked.jobs[:2]), engine="ray", memory=1000)
    assert [(row.status, row.sentence) for row in found.jobs] == [(NOT_JUDGED, "worker died")] * 2


def test_a_cluster_that_is_not_installed_costs_one_line(asked: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lwmport\[ray\]'"):
        ports.port_all(asked, engine="ray")


def test_an_unknown_engine_is_refused(asked: Jobs) -> None:
    with pytest.raises(UsageError, match="expected a kind of engine out of local, ray"):
        ports.port_all(asked, engine="slurm")
