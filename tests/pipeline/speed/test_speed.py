"""A measurement of speed: rows, what ends them, what is kept, and the files."""

import csv
import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

import lwmport
from lwmport.cli.main import cli
from lwmport.errors import ArtifactError, ChildError, UnusedOptionError, UsageError
from lwmport.pipeline.speed import run
from lwmport.pipeline.speed.ramps import RAMPS, ramp_of
from lwmport.pipeline.speed.request import BenchRequest
from lwmport.reports.speed.files import COLUMNS
from lwmport.reports.speed.plot import plots
from lwmport.reports.speed.record import BenchRow

QUICK: dict[str, Any] = {"warm_up": 0, "repeat": 1, "threads": 1}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("text")
    lwmport.convert(
        component="llama", config="debug", format="onnx", out=out, batch="dynamic", validate=False,
        options=lwmport.Options(settings=("vocab_size=1000", "num_hidden_layers=1", "max_sequence_length=512")),
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("decoder")
    lwmport.convert(component="vqgan", config="debug", format="onnx", out=out, validate=False)
    return out


def test_a_language_model_has_first_and_next_tokens(text: Path, tmp_path: Path) -> None:
    found = lwmport.bench(
        model=str(text), input_lengths=(4, 8), output_lengths=(3,), batches=(1, 2), out=tmp_path, **QUICK
    )
    assert [(row.input, row.output, row.batch) for row in found.rows] == [(4, 3, 1), (4, 3, 2), (8, 3, 1), (8, 3, 2)]
    for row in found.rows:
        assert row.status == "measured"
        assert row.first is not None
        assert set(row.next) == set(row.run) == {"p50", "p90", "p99"}
        assert row.rate is not None
        assert row.peak_bytes is not None
    assert "random" in found.facts["weights"]
    assert "this machine" in found.sentence
    assert "0 warm-up runs" in found.sentence


def test_the_files_hold_every_row(text: Path, tmp_path: Path) -> None:
    found = lwmport.bench(model=str(text), input_lengths=(4,), output_lengths=(2,), out=tmp_path, **QUICK)
    document = json.loads((tmp_path / "bench.json").read_text())
    assert document["format"] == "lwmport-bench/1"
    assert len(document["rows"]) == len(found.rows) == 1
    rows = list(csv.DictReader((tmp_path / "bench.csv").read_text().splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["input"], rows[0]["batch"]) == ("4", "1")
    page = (tmp_path / "bench.html").read_text()
    assert page.count("<polyline") == 3
    assert "<script" not in page
    assert "http-equiv" in page


def test_a_batch_that_takes_too_much_is_a_row_and_the_rest_is_kept(text: Path) -> None:
    found = lwmport.bench(
        model=str(text), input_lengths=(400, 4), output_lengths=(1,), batches=(1, 20000), max_memory="2GiB", **QUICK
    )
    statuses = [(row.input, row.batch, row.status) for row in found.rows]
    assert statuses[:3] == [(400, 1, "measured"), (400, 20000, "out of memory"), (4, 1, "measured")]
    assert "2,147,483,648 bytes of memory" in found.rows[1].reason


def test_a_ramp_doubles_until_the_model_refuses(decoder: Path) -> None:
    found = lwmport.bench(model=str(decoder / "vqgan-decoder.onnx"), ramp=True, **QUICK)
    assert [(row.batch, row.status) for row in found.rows] == [(1, "measured"), (2, "failed")]
    assert found.rows[0].next == {}
    assert found.rows[0].first is None
    assert found.rows[1].reason == (
        "expected a batch of 1, as the model was converted for, found 2; convert it with --batch dynamic"
    )


def test_latency_ends_a_ramp(monkeypatch: pytest.MonkeyPatch, text: Path) -> None:
    class Server:
        def ask(self, *, batch: int, **_: Any) -> dict[str, Any]:
            return {"first": 1.0, "next": {"p90": batch * 0.01}, "run": {}, "rate": 1.0, "peak_bytes": 1}

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(run, "_server", lambda *_: Server())
    found = lwmport.bench(model=str(text), ramp=True, max_latency=50)
    assert [(row.batch, row.status) for row in found.rows] == [
        (1, "measured"), (2, "measured"), (4, "measured"), (8, "too slow"),
    ]  # fmt: skip
    assert found.rows[-1].reason == "p90 of 80 ms is above --max-latency 50"


def test_the_known_ramp_stops_at_the_first_error(monkeypatch: pytest.MonkeyPatch, text: Path) -> None:
    class Server:
        def ask(self, *, input: int, batch: int, **_: Any) -> dict[str, Any]:  # noqa: A002
            if (input, batch) == (512, 302):
                raise ChildError("expected more", cause="memory")
            return {"first": 1.0, "next": {}, "run": {}, "rate": 1.0, "peak_bytes": 1}

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(run, "_server", lambda *_: Server())
    found = lwmport.bench(model=str(text), like="mindie")
    assert [row.batch for row in found.rows] == [*range(600, 620), 300, 301, 302]
    assert found.rows[-1].status == "out of memory"
    assert found.stopped == "512 in, 512 out, batch 302: expected more"


def test_what_was_measured_is_not_measured_again(monkeypatch: pytest.MonkeyPatch, text: Path, tmp_path: Path) -> None:
    asked: list[int] = []

    class Server:
        def ask(self, *, batch: int, **_: Any) -> dict[str, Any]:
            asked.append(batch)
            if len(asked) == 2:
                raise KeyboardInterrupt
            return {"first": 1.0, "next": {"p90": 1.0}, "run": {"p90": 1.0}, "rate": 1.0, "peak_bytes": 1}

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(run, "_server", lambda *_: Server())
    request = BenchRequest(model=str(text), batches=(1, 2, 3), out=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        lwmport.bench(request)
    assert len(json.loads((tmp_path / "bench.json").read_text())["rows"]) == 1
    assert [row.batch for row in lwmport.bench(request).rows] == [1, 2, 3]
    assert asked == [1, 2, 2, 3]


def test_files_of_others_are_left_alone(text: Path, tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text("{}")
    with pytest.raises(UsageError, match=r"expected nothing at .*bench\.json, or what 'lwmport bench' wrote"):
        lwmport.bench(model=str(text), out=tmp_path)
    assert (tmp_path / "bench.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("fields", "kind", "said"),
    [
        ({"model": "nothing"}, ArtifactError, "expected .* found nothing at nothing"),
        ({"model": "x", "batches": (0,)}, UsageError, "expected a whole number of at least 1 as batches"),
        ({"model": "x", "warm_up": -1}, UsageError, "at least 0 as warm_up"),
        ({"model": "x", "like": "other"}, UsageError, "expected a ramp out of mindie"),
        ({"model": "x", "like": "mindie", "ramp": True}, UnusedOptionError, "beside --like mindie"),
        ({"model": "x", "max_memory": "much"}, UsageError, "expected memory as a number"),
    ],
)
def test_what_cannot_be_measured_is_one_line(fields: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said) as caught:
        lwmport.bench(**fields)
    assert "\n" not in str(caught.value)


def test_a_model_without_tokens_has_no_lengths(decoder: Path) -> None:
    with pytest.raises(UsageError, match="expected one model to measure, found the folder of"):
        lwmport.bench(model=str(decoder))
    with pytest.raises(UnusedOptionError, match="expected no --input-lengths"):
        lwmport.bench(model=str(decoder / "vqgan-decoder.onnx"), input_lengths=(4,))


def test_ramps() -> None:
    (one, other) = ramp_of((4, 8), (2,), (3, 1), rising=True).climbs
    assert (one.input, other.input) == (4, 8)
    assert list(islice(one.batches(), 5)) == [1, 3, 6, 12, 24]
    mindie = RAMPS["mindie"]()
    assert mindie.strict
    assert [(climb.input, climb.output, *islice(climb.batches(), 2)) for climb in mindie.climbs] == [
        (256, 256, 600, 601), (512, 512, 300, 301), (1024, 1024, 150, 151), (2048, 2048, 75, 76),
    ]  # fmt: skip


def test_a_plot_has_a_line_for_each_pair_of_lengths() -> None:
    rows = [
        BenchRow(input=size, output=1, batch=batch, status="measured", rate=float(batch), peak_bytes=batch)
        for size in (4, 8)
        for batch in (1, 2)
    ]
    rate, memory = plots(rows)
    assert [line.title for line in rate.lines] == ["4 in, 1 out", "8 in, 1 out"]
    assert rate.lines[0].points == "230.0,98.0 400.0,16.0"
    assert len(memory.lines) == 2
    assert plots([]) == ()


def test_the_command(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", str(text), "--input-lengths", "4", "--output-lengths", "1", "--warm-up", "0", "--repeat", "1"]
    assert cli.main([*words, "--json"], standalone_mode=False) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["batch"] == 1
    assert cli.main([*words, "--batch", "1", "--max-memory", "1MB"], standalone_mode=False) == 3
