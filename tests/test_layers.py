"""The layer law: imports go down only, rooms on one line never import each other, frameworks stay at home."""

import ast
from collections.abc import Iterator
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
    "targets": 4,
    "converters": 3,
    "runtime": 3,
    "graphs": 2,
    "models": 1,
    "checkpoints": 2,
}
FACADES = {"__init__.py", "__main__.py"}
HOMES = {
    "ai_edge_litert": ("converters/tflite/", "runtime/runners/litert.py"),
    "click": ("cli/",),
    "flatbuffers": ("converters/tflite/",),
    "flax": ("models/",),
    # xla.py writes jax2tf's own output, which is JAX's code by definition
    "jax": (
        "models/",
        "graphs/",
        "runtime/runners/jax.py",
        "runtime/runners/jax_streamed.py",
        "runtime/session/jax.py",
        "converters/saved_model/xla.py",
    ),
    "jinja2": ("reports/",),
    "msgpack": ("checkpoints/",),
    "onnx": (
        *(
            "converters/onnx/",
            "converters/tf2onnx_route/",
            "runtime/runners/npu_formulas.py",
            "runtime/memory_footprint.py",
        ),
        *("targets/fix/", "targets/graphs/", "targets/rules/"),
    ),
    "onnx_ir": ("converters/onnx/",),
    "onnxruntime": (
        "runtime/runners/onnxruntime.py",
        "runtime/runners/onnxruntime_optimised.py",
        "runtime/devices/providers.py",
        "runtime/session/onnxruntime.py",
    ),
    "openvino": ("runtime/runners/openvino.py",),
    "onnxsim": ("converters/onnx/", "converters/tf2onnx_route/"),
    "rich": ("cli/",),
    "safetensors": ("checkpoints/",),
    "skimage": ("validators/",),
    "tensorflow": ("converters/saved_model/", "runtime/runners/tensorflow.py"),
    "tf2onnx": ("converters/tf2onnx_route/",),
    "torch": (),
    "transformers": (),
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        printing = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
        assert not printing, f"{name_of(path)} prints"
