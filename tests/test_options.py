"""The table of options: each row is a field of its record, and everything that reads it agrees."""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lwmport.cli.main import cli
from lwmport.errors import UsageError
from lwmport.models.families import takers
from lwmport.models.llama.config import SAMPLE_MODES
from lwmport.models.options import ATTENTIONS, Options
from lwmport.options import JOB, OPTIONS, Kind, Option, Place, of_place, values_of, words
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.port.jobs import read_jobs
from lwmport.pipeline.port.run import PortRequest

RECORDS: dict[Place, Any] = {Place.MODEL: Options, Place.CONVERSION: ConvertRequest, Place.PORT: PortRequest}
NUMBERS = [option for option in OPTIONS if option.kind in (Kind.NUMBER, Kind.BATCH)]
ROWS = [option for option in OPTIONS if option.place in RECORDS]


@pytest.mark.parametrize("option", ROWS, ids=lambda option: option.key)
def test_a_row_is_a_field_of_its_record_with_the_same_default(option: Option) -> None:
    (field,) = [field for field in fields(RECORDS[option.place]) if field.name == option.name]
    if option.name not in {"component", "target", "format", "out"}:  # a record cannot do without these
        assert field.default == option.default
    else:
        assert field.default is MISSING


def test_every_field_of_the_records_has_a_row() -> None:
    # records in a record; what a dialect or a caller says
    composed = {"options", "conversion", "static", "rounding", "packing", "choices"}
    for place, record in RECORDS.items():
        assert {field.name for field in fields(record)} - composed == {option.name for option in of_place(place)}


def test_the_choices_are_those_of_the_models() -> None:
    choices = {option.key: option.choices for option in OPTIONS}
    assert choices["sample_mode"] == SAMPLE_MODES
    assert choices["attention"] == tuple(ATTENTIONS)


def test_what_components_take_are_options_of_a_model() -> None:
    assert set(takers()) <= {option.name for option in of_place(Place.MODEL)}


@pytest.mark.parametrize("command", ["convert", "port"])
def test_the_help_of_a_command_has_all_choices_and_its_own_words(command: str) -> None:
    said = " ".join(CliRunner().invoke(cli, [command, "--help"], terminal_width=200).output.split())
    own = [option for option in OPTIONS if command in option.commands]
    assert [one.key for one in own if one.choices and "|".join(one.choices) not in said] == []
    assert [one.key for one in own if one.help_of(command) not in said] == []
    others = [text for one in own for other, text in one.also.items() if other != command]
    assert others
    assert [text for text in others if text in said] == []


@pytest.mark.parametrize("option", NUMBERS, ids=lambda option: option.key)
def test_a_number_below_the_least_is_refused_by_the_command_line(option: Option) -> None:
    given = ["--component", "vqgan"] if "convert" not in option.commands else ["--component", "vqgan", "--to", "onnx"]
    found = CliRunner().invoke(cli, [option.commands[0], *given, option.flag, str(option.least - 1)])
    assert found.exit_code == 2
    assert option.flag in found.output


@pytest.mark.parametrize("value", [-1, "2", True, 1.5])
@pytest.mark.parametrize("option", [option for option in NUMBERS if option.job], ids=lambda option: option.key)
def test_what_is_no_such_number_is_refused_by_records_and_jobs(option: Option, value: Any, tmp_path: Path) -> None:
    needed = {"component": "vqgan", "format": "onnx", "out": tmp_path} if option.place is Place.CONVERSION else {}
    with pytest.raises(UsageError, match=f"as {option.name}"):
        RECORDS[option.place](**needed, **{option.name: value})
    path = tmp_path / "jobs.toml"
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    path.write_text(f'[[jobs]]\ncomponent = "vqgan"\ntarget = "cpu"\n{option.key} = {shown}\n')
    with pytest.raises(UsageError, match=f"expected a whole number of at least {option.least}.* as {option.key}"):
        read_jobs(path)


@pytest.mark.parametrize("option", [option for option in JOB if option.kind in (Kind.TEXT, Kind.PATH)], ids=str)
def test_a_text_of_a_job_is_a_text(option: Option, tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    said = {"component": "vqgan", "target": "cpu"} | {option.key: 3}
    path.write_text("[[jobs]]\n" + "".join(f"{name} = {value!r}\n" for name, value in said.items()))
    with pytest.raises(UsageError, match=f"expected a text as {option.key} of a job, found 3"):
        read_jobs(path)


def test_words_say_what_differs_from_the_defaults() -> None:
    assert words({}) == words({option.key: option.default for option in OPTIONS}) == []
    given = Options(settings=("a=1", "b=2"), layer=0, attention="loop", key_chunk=8)
    expected = ["--layer", "0", "--attention", "loop", "--key-chunk", "8", "--set", "a=1", "--set", "b=2"]
    assert words(values_of(given, Place.MODEL)) == expected
    assert words({"validate": False, "resume": True, "json": True}) == ["--no-validate", "--json"]


def test_the_command_in_a_manifest_is_the_request() -> None:
    asked = ConvertRequest(
        component="llama", format="onnx", out="x", checkpoint="params::/a/b", config="/c/d.json", opset=17, batch=2,
        seed=3, dialect="onnx", validate=False, resume=False, options=Options(precision="float16", sequence=4),
    )  # fmt: skip
    convert, validate = asked.commands()
    assert convert == (
        "lwmport convert --component llama --to onnx --checkpoint params::b --config d.json --batch 2 --seed 3 "
        "--opset 17 --dialect onnx --precision float16 --sequence 4 --no-validate --out DIR"
    )
    assert validate == "lwmport validate DIR --checkpoint params::b"
