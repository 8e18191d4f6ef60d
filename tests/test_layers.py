"""The layer law: imports go down only, rooms on one line never import each other, frameworks stay at home.

No modules import each other in a circle, and every module is reached by something else than a test.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lwmport"
FILES = sorted(PACKAGE.rglob("*.py"))
LAYERS = {
    "cli": 7,
    "pipeline": 6,
    "reports": 5,
    "handoff": 5,
    "validators": 1,
    "diagnosis": 1,
    "quantise": 1,
    "targets": 4,
    "generation": 4,
    "converters": 3,
    "runtime": 3,
    "graphs": 2,
    "models": 1,
    "checkpoints": 2,
}
FACADES = {"__init__.py", "__main__.py"}
HOMES = {
    "ai_edge_litert": ("converters/tflite/", "runtime/runners/litert", "runtime/pieces/tflite"),
    "click": ("cli/",),
    "fastapi": ("pipeline/serve/",),
    "flatbuffers": ("converters/tflite/", "runtime/pieces/tflite"),
    "flax": ("models/",),
    # xla.py writes jax2tf's own output, which is JAX's code by definition; the search for scales of ggml's blocks is
    # compiled because numpy takes a pass over the values for each operation
    "jax": (
        "models/",
        "graphs/",
        "runtime/runners/jax.py",
        "runtime/runners/jax_streamed.py",
        "runtime/session/jax.py",
        "converters/saved_model/xla.py",
        "quantise/ggml/compiled.py",
    ),
    "jinja2": ("reports/",),
    "msgpack": ("checkpoints/",),
    "onnx": (
        *(
            "converters/onnx/",
            "converters/tf2onnx_route/",
            "runtime/runners/ascend_pairs.py",
            "runtime/runners/npu_formulas.py",
            "runtime/runners/product_levels.py",
            "runtime/runners/convolutions_alone.py",
            "runtime/memory_footprint.py",
            "runtime/pieces/onnx",
        ),
        *("targets/fix/", "targets/graphs/", "targets/rules/"),
    ),
    "onnx_ir": ("converters/onnx/",),
    "onnxruntime": (
        "runtime/pieces/onnx.py",
        "runtime/runners/onnxruntime.py",
        "runtime/runners/onnxruntime_optimised.py",
        "runtime/runners/onnxruntime_values.py",
        "runtime/devices/providers.py",
        "runtime/session/onnxruntime.py",
    ),
    "prometheus_client": ("pipeline/serve/",),
    "openvino": ("runtime/runners/openvino.py", "runtime/runners/openvino_states.py"),
    "onnxsim": ("converters/tf2onnx_route/",),
    "rich": ("cli/",),
    "safetensors": ("checkpoints/",),
    "skimage": ("validators/",),
    "starlette": ("pipeline/serve/",),
    "tensorflow": ("converters/saved_model/", "runtime/runners/tensorflow.py", "runtime/pieces/tensorflow"),
    "tf2onnx": ("converters/tf2onnx_route/",),
    "tokenizers": ("pipeline/evaluate/clip/",),
    "torch": ("pipeline/evaluate/clip/", "runtime/ring/torch_channel.py"),
    "transformers": ("pipeline/evaluate/clip/",),
    "uvicorn": ("pipeline/serve/",),
}

ENTRIES = {
    "lwmport": "import lwmport",
    "lwmport.__main__": "python -m lwmport",
    "lwmport.cli.main": "the command lwmport",
    "lwmport.targets.rules.document": "python -m lwmport.targets.rules.document writes the pages of the rules",
}
"""Module that a user starts -> how."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room(dotted: str) -> str:
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LAYERS else ""


@pytest.mark.parametrize("path", [path for path in FILES if name_of(path) not in FACADES], ids=name_of)
def test_imports_go_down_only(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0]
    for name in imports(path):
        other = room(name) if name.startswith("lwmport.") else ""
        if other and other != own:
            assert LAYERS[other] < LAYERS.get(own, 0), f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_frameworks_stay_at_home(path: Path) -> None:
    name = name_of(path)
    for imported in imports(path):
        homes = HOMES.get(imported.split(".")[0])
        assert homes is None or name.startswith(homes), f"{name} imports {imported}"


def test_every_room_has_a_layer() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert rooms == set(LAYERS)


def test_only_the_command_line_prints() -> None:
    for path in FILES:
        calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
        printing = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
        assert not printing, f"{name_of(path)} prints"


def dotted(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {dotted(path): path for path in FILES}


def modules_imported(path: Path) -> set[str]:
    """Return the modules of ours that a file imports, inside of functions and for types alone included."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in inner}
    return found & set(MODULES)


def modules_named(path: Path) -> set[str]:
    """Return the modules of ours that a text of a file names: ``module``, or ``module:attribute`` in a registry."""
    texts = (node.value for node in ast.walk(tree(path)) if isinstance(node, ast.Constant))
    return {name for text in texts if isinstance(text, str) and (name := text.partition(":")[0]) in MODULES}


def circles(graph: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """Return the groups of names each of which leads to every other of its group."""
    reach = {name: reached(graph, graph[name]) for name in graph}
    found = {frozenset(other for other in reach[name] if name in reach[other]) for name in graph if name in reach[name]}
    return {group for group in found if group}


def reached(graph: Mapping[str, set[str]], starts: set[str]) -> set[str]:
    """Return the names that some names lead to, those themselves included."""
    found, waiting = set(), list(starts)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(graph[name])
    return found


def test_no_modules_import_each_other_in_a_circle() -> None:
    """The package itself is left out: it names the whole API for type checkers, and is imported for its version."""
    graph = {name: modules_imported(path) - {name, "lwmport"} for name, path in MODULES.items() if name != "lwmport"}
    assert not circles(graph)


def test_every_module_is_reached_by_more_than_a_test() -> None:
    graph = {name: modules_imported(path) | modules_named(path) for name, path in MODULES.items()}
    found = reached(graph, set(ENTRIES))
    left = {name for name, path in MODULES.items() if name not in found and path.name != "__init__.py"}
    assert not left


def test_the_search_for_circles_and_for_what_is_reached() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"a"}, "f": {"f"}}
    assert circles(graph) == {frozenset("bc"), frozenset("f")}
    assert reached(graph, {"b"}) == set("bcd")


def test_imports_and_registries_are_seen() -> None:
    assert "lwmport.runtime.runners.onnxruntime" in modules_named(MODULES["lwmport.runtime.registry"])
    assert "lwmport.pipeline.convert.run" in modules_imported(MODULES["lwmport"]), "imports for types count"
    assert {"lwmport.manifest", "lwmport.pipeline.reopen"} <= modules_imported(MODULES["lwmport.pipeline.compile.run"])
