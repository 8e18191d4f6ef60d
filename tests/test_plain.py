import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from lwmport.errors import ArtifactError
from lwmport.plain import decode, encode, encode_asked, parsed
from lwmport.types import ADDED, Status


@dataclass(frozen=True, kw_only=True)
class Inner:
    size: int


@dataclass(frozen=True, kw_only=True)
class Record:
    name: str
    value: float
    status: Status
    side: Literal["a", "b"]
    maybe: int | None
    dims: tuple[int | str, ...]
    pair: tuple[float, float] | None
    inner: tuple[Inner, ...]
    counts: Mapping[str, int]
    anything: Mapping[str, Any]


RECORD = Record(
    name="é\n<b>",
    value=1.5,
    status=Status.PASSED,
    side="a",
    maybe=None,
    dims=("batch", 16),
    pair=(-1.0, 1.0),
    inner=(Inner(size=3),),
    counts={"Conv": 44},
    anything={"x": [1, "y"]},
)


def plain() -> dict[str, Any]:
    return json.loads(json.dumps(encode(RECORD), allow_nan=False))


def test_there_and_back() -> None:
    assert decode(Record, plain(), "r") == RECORD


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e-310, 0.1, -0.0])
def test_every_float_survives(value: float) -> None:
    assert decode(float, json.loads(json.dumps(encode(value), allow_nan=False)), "r") == value


def test_nan_survives() -> None:
    assert math.isnan(decode(float, encode(math.nan), "r"))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", 3, "r.name: expected text, found 3"),
        ("name", "\ud800", r"r.name: expected text, found '\ud800'"),
        ("name", "a\x00", r"r.name: expected text, found 'a\x00'"),
        ("name", "\x9b", r"r.name: expected text, found '\x9b'"),
        ("value", "big", "r.value: expected a number, found 'big'"),
        ("value", True, "r.value: expected a number, found True"),
        ("value", 10**400, "r.value: expected a number"),
        ("value", math.inf, "r.value: expected a number, found inf"),
        ("status", "fine", "r.status: expected one of passed, failed, not judged, skipped, found 'fine'"),
        ("status", [], "r.status: expected one of"),
        ("side", "c", "r.side: expected one of a, b, found 'c'"),
        ("maybe", 1.5, "r.maybe: expected a 64-bit integer, found 1.5"),
        ("maybe", 2**63, "r.maybe: expected a 64-bit integer"),
        ("maybe", False, "r.maybe: expected a 64-bit integer, found False"),
        ("dims", [1.5], "r.dims[0]: expected a 64-bit integer, found 1.5"),
        ("dims", "batch", "r.dims: expected a list, found 'batch'"),
        ("pair", [1], "r.pair: expected a list of 2, found [1]"),
        ("inner", [{}], "r.inner[0]: expected the fields of Inner, found"),
        ("inner", [{"size": 1, "x": 2}], "unknown ['x']"),
        ("counts", {"Conv": "44"}, "r.counts.Conv: expected a 64-bit integer, found '44'"),
        ("counts", [], "r.counts: expected an object, found []"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(field: str, value: object, message: str) -> None:
    with pytest.raises(ArtifactError, match=re.escape(message)):
        decode(Record, {**plain(), field: value}, "r")


def test_terminal_colours_in_a_message_can_be_written_and_read() -> None:
    text = "\x1b[31merror\x1b[m:\n\tno \ud800"
    assert decode(str, encode(text), "r") == "\ufffd[31merror\ufffd[m:\n\tno \ufffd"


def test_an_enum_is_written_as_its_value() -> None:
    assert json.dumps(encode(Status.SKIPPED)) == '"skipped"'


def test_every_field_must_be_there() -> None:
    value = plain()
    del value["name"]
    with pytest.raises(ArtifactError, match=re.escape("missing ['name'], unknown []")):
        decode(Record, value, "r")


def test_a_field_that_was_added_later_may_be_missing() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Later:
        size: int
        names: tuple[str, ...] = field(default=("none",), metadata=ADDED)
        usual: int = 3

    assert decode(Later, {"size": 1, "usual": 2}, "r") == Later(size=1, usual=2)
    assert decode(Later, encode(Later(size=1, names=("a",))), "r").names == ("a",)
    with pytest.raises(ArtifactError, match=re.escape("missing ['usual'], unknown []")):
        decode(Later, {"size": 1, "names": []}, "r")


def test_a_request_that_says_nothing_new_is_that_of_an_earlier_version() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Part:
        size: int = 1
        more: str = field(default="", metadata=ADDED)

    @dataclass(frozen=True, kw_only=True)
    class Asked:
        part: Part
        name: str | None = None
        runner: str | None = field(default=None, metadata=ADDED)

    assert encode_asked(Asked(part=Part())) == {"part": {"size": 1}, "name": None}
    said = Asked(part=Part(more="a"), runner="x")
    assert encode_asked(said) == encode(said) == {"part": {"size": 1, "more": "a"}, "name": None, "runner": "x"}


def test_a_long_find_is_cut() -> None:
    with pytest.raises(ArtifactError) as caught:
        decode(float, "x" * 10_000, "r")
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-1e999"])
def test_a_number_that_json_lacks_or_no_float_holds_is_no_json(number: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        parsed(f'{{"a": [{number}]}}')
