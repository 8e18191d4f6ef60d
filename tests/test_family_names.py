"""Outside of its own room no code knows a family by its name: what a family has of its own stands in its record."""

import ast
from collections.abc import Iterator
from pathlib import Path

from lwmport.models.specs import FAMILIES

PACKAGE = Path(__file__).parents[1] / "lwmport"
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] != "models"]


def literals(tree: ast.AST) -> Iterator[ast.Constant]:
    """Yield the texts of a module that are no docstrings: parts of formatted ones too."""
    bare = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in bare:
            yield node


def named(source: str) -> list[str]:
    """Return the texts that hold the name of a family."""
    found = [node.value for node in literals(ast.parse(source))]
    return [text for text in found if any(name in text.lower() for name in FAMILIES)]


def test_no_text_outside_of_the_models_names_a_family() -> None:
    found = {path.relative_to(PACKAGE).as_posix(): named(path.read_text(encoding="utf-8")) for path in FILES}
    assert len(found) > 200
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_a_name_is_found_where_it_is_asked_for_and_not_where_it_is_told() -> None:
    assert named('if family != "vqgan": pass') == ["vqgan"]
    assert named('print(f"a LLaMA of {size}")') == ["a LLaMA of "]
    assert named('resolve("minigpt4-vision"), f"{x} of LLaVA"') == ["minigpt4-vision", " of LLaVA"]
    assert named('"""About the VQGAN."""\nX = 1\n"""Of a LLaMA."""\n# llama\n') == []
