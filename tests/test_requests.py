"""A request in Python: every field has its type, and what is wrong with it is one line."""

import inspect
import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lwmport
from lwmport.errors import UsageError
from lwmport.requests import asked, check_types

CONVERSION = {"component": "vqgan", "format": "onnx", "out": "out"}
REQUESTS: dict[str, dict[str, Any]] = {
    "ConvertRequest": CONVERSION,
    "ValidateRequest": {"artifact": "out"},
    "CheckRequest": {"artifact": "out", "target": "cpu"},
    "BisectRequest": {"artifact": "out"},
    "CompareRequest": {"a": "llama", "b": "llama"},
    "CompileRequest": {"artifact": "out", "target": "cpu"},
    "PlanRequest": {"model": "llama"},
    "BenchRequest": {"model": "llama"},
    "GenerateRequest": {"model": "m", "prompt": "p.npz", "out": "o.npz", "new_tokens": 1},
    "CaptionsRequest": {"a": "a.json", "b": "b.json", "images": "images", "judge": "judge"},
    "PerplexityRequest": {"model": "m"},
    "AgreementRequest": {"a": "m", "b": "n"},
    "NeedleRequest": {"model": "m", "out": "out"},
    "LikenessRequest": {"a": "a", "b": "b"},
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
        getattr(lwmport, name)(**{**REQUESTS[name], field: 3.5j})
    assert f" as {field} of {name}, found 3.5j" in str(caught.value)
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


@pytest.mark.parametrize("name", REQUESTS)
def test_a_function_shows_the_fields_of_its_request(name: str) -> None:
    """What an editor or a notebook completes: nothing is listed twice."""
    shown = inspect.signature(getattr(lwmport, FUNCTIONS[name])).parameters
    own = inspect.signature(getattr(lwmport, name)).parameters
    assert list(shown) == ["request", "observer", *own]
    assert all(shown[key].annotation == own[key].annotation for key in own)
    assert all(shown[key].default == own[key].default for key in own)


@pytest.mark.parametrize("name", REQUESTS)
def test_an_observer_that_is_none_is_one_line(name: str) -> None:
    with pytest.raises(UsageError, match="expected an observer with phase and progress, found 'loud'"):
        getattr(lwmport, FUNCTIONS[name])(observer="loud", **REQUESTS[name])


def test_dir_shows_the_api_and_nothing_else() -> None:
    assert {name for name in dir(lwmport) if not name.startswith("__")} == set(lwmport.__all__) - {"__version__"}
    assert "__version__" in dir(lwmport)
    assert all(getattr(lwmport, name) is not None for name in dir(lwmport) if name in lwmport.__all__)


WRONG_CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "load a number": (lambda: lwmport.load(3), "expected a text or a path as path of load, found 3"),  # type: ignore[arg-type]
    "load by a number": (lambda: lwmport.load("x", runner=3), "expected a text or None as runner of load"),  # type: ignore[arg-type]
    "a session of nothing": (lambda: lwmport.Session(None), "expected a text or a path as folder of Session"),  # type: ignore[arg-type]
    "threads": (lambda: lwmport.Session("x", threads="many"), "expected a whole number or None as threads"),  # type: ignore[arg-type]
    "a checkpoint": (lambda: lwmport.Session("x", checkpoint=["a"]), "as checkpoint of Session, found"),  # type: ignore[arg-type]
    "two texts": (lambda: lwmport.convert("vqgan", "onnx"), "expected an observer"),  # type: ignore[call-overload]
    "gears": (
        lambda: lwmport.CompileRequest(artifact="x", target="cpu", gears=({"batch": "many"},)),  # type: ignore[arg-type,dict-item]
        "expected several of a mapping from a text to a whole number as gears of CompileRequest",
    ),
    "options": (
        lambda: lwmport.ConvertRequest(**CONVERSION, options={"precision": "float16"}),
        "expected Options as options of ConvertRequest, found",
    ),
}


@pytest.mark.parametrize("case", WRONG_CALLS)
def test_a_wrong_type_is_an_error_of_ours(case: str) -> None:
    call, message = WRONG_CALLS[case]
    with pytest.raises(UsageError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    asked = lwmport.ConvertRequest(**CONVERSION, batch=np.int64(4), seed=np.uint8(3))
    assert (asked.batch, asked.seed) == (4, 3)
    assert type(asked.batch) is type(asked.seed) is int
    with pytest.raises(UsageError, match="expected a whole number as seed"):
        lwmport.ConvertRequest(**CONVERSION, seed=True)
