"""The Python API: one list, each part of it there, typed, and found by its name."""

import ast
import importlib
from pathlib import Path

import pytest

import lwmport
from lwmport.errors import PortError

TREE = ast.parse(Path(lwmport.__file__).read_text(encoding="utf-8"))


def typed() -> set[str]:
    """Return the names that a type checker sees: what is imported or assigned under ``TYPE_CHECKING``."""
    (block,) = [node for node in TREE.body if isinstance(node, ast.If)]
    imported = {
        (name.asname or name.name) for node in block.body if isinstance(node, ast.ImportFrom) for name in node.names
    }
    return imported | {node.targets[0].id for node in block.body if isinstance(node, ast.Assign)}  # type: ignore[attr-defined]


def test_the_list_is_what_is_loaded_and_what_is_typed() -> None:
    assert lwmport.__all__ == sorted(lwmport.__all__)
    assert set(lwmport.__all__) - {"__version__"} == set(lwmport._API) == typed()
    assert (Path(lwmport.__file__).parent / "py.typed").is_file()
    assert set(lwmport.__all__) <= set(dir(lwmport))


@pytest.mark.parametrize("name", lwmport._API)
def test_every_part_is_there(name: str) -> None:
    module, _, attribute = lwmport._API[name].partition(":")
    assert getattr(lwmport, name) is getattr(importlib.import_module(module), attribute)


def test_what_a_type_checker_sees_is_what_is_loaded() -> None:
    (block,) = [node for node in TREE.body if isinstance(node, ast.If)]
    seen = {
        (name.asname or name.name): f"{node.module}:{name.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert seen == {name: place for name, place in lwmport._API.items() if name not in {"Request", "Trial"}}


def test_every_error_is_part_of_it() -> None:
    errors = importlib.import_module("lwmport.errors")
    found = {name for name, item in vars(errors).items() if isinstance(item, type) and issubclass(item, PortError)}
    assert found <= set(lwmport.__all__)


def test_the_names_of_before_still_work() -> None:
    assert lwmport.Request is lwmport.ConvertRequest
    assert lwmport.Trial is lwmport.ValidateRequest


def test_an_unknown_part_names_the_nearest() -> None:
    with pytest.raises(AttributeError, match="module 'lwmport' has no attribute 'convrt'; did you mean 'convert'"):
        _ = lwmport.convrt
    with pytest.raises(AttributeError, match=r"no attribute 'xyzzy'$"):
        _ = lwmport.xyzzy
