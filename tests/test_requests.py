"""A request in Python: every field has its type, and what is wrong with it is one line."""

import pickle
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

import lwmport
from lwmport.errors import UsageError
from lwmport.requests import asked, check_types

CONVERSION = {"component": "vqgan", "format": "onnx", "out": "out"}
REQUESTS: dict[str, dict[str, Any]] = {
    "ConvertRequest": CONVERSION,
    "ValidateRequest": {"artifact": "out"},
    "CheckRequest": {"artifact": "out", "target": "cpu"},
    "CompileRequest": {"artifact": "out", "target": "cpu"},
    "BundleRequest": {"folder": "out", "target": "cpu", "out": "x.zip"},
    "VerifyRequest": {"path": "x.zip"},
    "PortRequest": {"conversion": lwmport.ConvertRequest(**CONVERSION), "target": "cpu"},
}
FUNCTIONS = {name: name.removesuffix("Request").lower() for name in REQUESTS}
FIELDS = [(name, field.name) for name in REQUESTS for field in fields(getattr(lwmport, name))]


def test_every_request_of_the_api_is_tried() -> None:
    requests = {name for name in lwmport.__all__ if name.endswith("Request")} - {"Request"}
    assert requests == set(REQUESTS)


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_field_of_another_type_is_one_line(name: str, field: str) -> None:
    with pytest.raises(UsageError) as caught:
        getattr(lwmport, name)(**{**REQUESTS[name], field: 3.5})
    assert f" as {field} of {name}, found 3.5" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", REQUESTS)
def test_texts_stand_for_paths(name: str) -> None:
    request = getattr(lwmport, name)(**REQUESTS[name])
    paths = [getattr(request, key) for key in ("out", "artifact", "folder", "path") if key in REQUESTS[name]]
    assert all(isinstance(path, Path) for path in paths)
    assert replace(request) == request == pickle.loads(pickle.dumps(request))


@pytest.mark.parametrize("name", REQUESTS)
def test_a_function_refuses_what_is_no_request(name: str) -> None:
    function, request = getattr(lwmport, FUNCTIONS[name]), getattr(lwmport, name)(**REQUESTS[name])
    with pytest.raises(UsageError, match=f"expected a {name}, or its fields by name, found 'text'"):
        function("text")
    with pytest.raises(UsageError, match=f"expected a {name}, or its fields by name, found both"):
        function(request, **REQUESTS[name])
    with pytest.raises(UsageError, match=f"expected a field of {name} out of .*, found 'nothing'"):
        function(**REQUESTS[name], nothing=1)
    with pytest.raises(UsageError, match=f"of a {name}, found no "):
        function()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One of each kind of field."""

    name: str = ""
    path: Path | None = None
    count: int | str = 1
    flag: bool = False
    words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)


def test_values_become_what_is_declared() -> None:
    found = asked(Sample, None, {"name": Path("a/b"), "path": "c", "words": ["x", Path("y")]})
    assert found == Sample(name="a/b", path=Path("c"), words=("x", "y"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": b"x"}, "expected a text as name of Sample, found b'x'"),
        ({"path": 1}, "expected a path or None as path of Sample, found 1"),
        ({"count": True}, "expected a whole number or a text as count of Sample, found True"),
        ({"flag": 1}, "expected True or False as flag of Sample, found 1"),
        ({"words": "x"}, "expected several of a text as words of Sample, found 'x'"),
        ({"words": ["x", None]}, r"expected several of a text as words of Sample, found \['x', None\]"),
    ],
)
def test_other_types_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Sample(**given)
