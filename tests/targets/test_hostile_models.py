"""Files that lie: one line each, no crash, no hang, nothing opened outside the folder, nothing executed."""

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from rule_cases import CASES, RELU, built, external, frozen, model, node, one, tflite, varint

from lwmport.errors import ArtifactError, PortError, UsageError
from lwmport.targets.fix.mending import mend
from lwmport.targets.graphs.opening import open_graph
from lwmport.targets.graphs.skeleton import ITSELF, skeleton
from lwmport.targets.preflight import Conditions, check
from lwmport.types import Status
from lwmport.wire import mapped
from lwmport.wording import shown


def nested(depth: int) -> bytes:
    """Return bodies within bodies: graph > node > attribute > graph."""
    content = b""
    for _ in range(depth):
        for number in (6, 5, 1):
            content = varint(number << 3 | 2) + varint(len(content)) + content
    return b"\x3a" + varint(len(content)) + content


def functions(edges: dict[str, list[str]]) -> bytes:
    """Return a model whose functions call each other as told."""
    made = model([node("F0", "x", "y", domain="own")], own=1)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    for name, called in edges.items():
        values = ["a", *(f"v{i}" for i in range(len(called) - 1)), "z"]
        body = [
            node(other, values[i], values[i + 1], domain="own" if other.startswith("F") else "")
            for i, other in enumerate(called)
        ]
        made.functions.append(helper.make_function("own", name, ["a"], ["z"], body, opsets))
    return bytes(made.SerializeToString())


def zero_byte() -> bytes:
    made = model([node("Add", "x c", "y")])
    tensor = made.graph.initializer.add(name="c", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    tensor.external_data.extend([onnx.StringStringEntryProto(key="location", value="\0")])
    return bytes(made.SerializeToString())


WHOLE = one("Conv", "x", "w", constants={"w": np.ones((2, 4, 3, 3), np.float32)})
BAD: dict[str, tuple[str, bytes]] = {
    "empty": ("model.onnx", b""),
    "text": ("model.onnx", b"hello, this is no model\n"),
    "zeros": ("model.onnx", bytes(4096)),
    "no graph": ("model.onnx", b"\x08\x08"),
    "length beyond the end": ("model.onnx", b"\x3a\xff\xff\xff\xff\x07abc"),
    "number without end": ("model.onnx", b"\x08" + b"\xff" * 20),
    "wire type 7": ("model.onnx", b"\x0f\x00"),
    "bodies within bodies": ("model.onnx", nested(40)),
    "bodies within bodies, deep": ("model.onnx", nested(4000)),
    "function of itself": ("model.onnx", functions({"F0": ["F0"]})),
    "functions in a ring": ("model.onnx", functions({"F0": ["F1"], "F1": ["F2"], "F2": ["F0"]})),
    "functions that double": (
        "model.onnx",
        functions({**{f"F{i}": [f"F{i + 1}"] * 2 for i in range(40)}, "F40": ["Relu"]}),
    ),
    "location with a zero byte": ("model.onnx", zero_byte()),
    "name that is no text": (
        "model.onnx",
        model([node("Relu", "x", "y")]).SerializeToString().replace(b"Relu_y", b"Re\xffu_y"),
    ),
    "tflite of text": ("model.tflite", b"TFL3TFL3TFL3TFL3"),
    "tflite of ones": ("model.tflite", b"\x10\0\0\0TFL3" + b"\xff" * 64),
    "graph of text": ("model.pb", b"\x0a\x05hello"),
    "graph of nothing": ("model.pb", b""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_costs_one_line(name: str, tmp_path: Path) -> None:
    file, content = BAD[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ArtifactError) as error:
        check(tmp_path / file, Conditions(target="ascend"))
    assert "\n" not in str(error.value)
    assert file in str(error.value)


@pytest.mark.parametrize("build", [WHOLE, tflite(), frozen()], ids=["onnx", "tflite", "frozen_graph"])
def test_a_cut_file_is_refused_or_found_incomplete(build: Callable[[Path], Path], tmp_path: Path) -> None:
    path = build(tmp_path)
    content = path.read_bytes()
    for end in range(1, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:end])
        _survives(path)


@pytest.mark.parametrize(
    "build", [WHOLE, CASES["A04"].bad, tflite(), frozen()], ids=["onnx", "function", "tflite", "pb"]
)
def test_changed_bytes_are_survived(build: Callable[[Path], Path], tmp_path: Path) -> None:
    path = build(tmp_path)
    content = path.read_bytes()
    source = random.Random(3)  # noqa: S311 - a test repeats
    for _ in range(120):
        changed = bytearray(content)
        for _ in range(source.randint(1, 4)):
            changed[source.randrange(len(changed))] = source.randrange(256)
        path.write_bytes(changed)
        _survives(path)


def _survives(path: Path) -> None:
    """Check a file: any verdict is right, and so is a refusal in one line."""
    for target in ("ascend", "aipu"):
        said = ""
        try:
            found = check(path, Conditions(target=target)).status
        except PortError as error:
            found, said = Status.FAILED, str(error)
        assert found in {Status.PASSED, Status.FAILED}
        assert "\n" not in said


@pytest.mark.parametrize(
    "location",
    [
        "../secret",
        "/etc/passwd",
        "a/../../secret",
        "..\\secret",
        "C:\\secret",
        "x\x1b[2J",
        "",
        ".",
        "link",
        "sub/link",
    ],
)
def test_no_weight_is_read_outside_the_folder(location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(bytes(64))
    for link in (folder / "link", folder / "sub" / "link"):
        link.symlink_to(tmp_path / "secret")
    path = folder / "model.onnx"
    made = onnx.load(external("w.data")(folder), load_external_data=False)
    made.graph.initializer[0].external_data[0].value = location
    path.write_bytes(made.SerializeToString())
    opened: list[str] = []
    original = Path.open

    def watched(self: Path, *rest: object, **more: object) -> object:
        opened.append(str(self.resolve()))
        return original(self, *rest, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", watched)
    found = check(path, Conditions(target="ascend"))
    assert "A08" in {finding.rule for finding in found.findings}
    assert all(name.startswith((str(folder.resolve()), "/proc/")) for name in opened)  # how much memory there is
    with pytest.raises(PortError):
        mend(path, tmp_path / "out" / "fixed.onnx", Conditions(target="ascend"))
    assert not (tmp_path / "out").exists()


def test_large_weights_are_not_loaded(tmp_path: Path) -> None:
    """The skeleton of a model of 8 MB is a few hundred bytes; of one of 2 GiB as well."""
    weights = np.ones((1024, 2048), np.float32)
    path = built(model([node("Add", "x w", "y")], constants={"w": weights}))(tmp_path)
    kept = skeleton(mapped(path))
    assert path.stat().st_size > 8_000_000
    assert len(kept) < 400
    entries = {entry.key: entry.value for entry in onnx.ModelProto.FromString(kept).graph.initializer[0].external_data}
    assert entries["location"] == ITSELF
    graph = open_graph(path)
    assert sum(block.sum() for block in graph.constants["w"].blocks()) == weights.size
    assert graph.constant("w") is None
    assert len(skeleton(mapped(CASES["A07"].bad(tmp_path)))) < 400


def test_sizes_beyond_any_memory_allocate_nothing(tmp_path: Path) -> None:
    made = model([node("Add", "x c", "y")])
    made.graph.initializer.add(name="c", data_type=1, dims=[1 << 62, 1 << 62], raw_data=bytes(16))
    found = check(built(made)(tmp_path), Conditions(target="ascend"))
    assert "A20" in {finding.rule for finding in found.findings}


def test_names_are_only_names(tmp_path: Path) -> None:
    """What a terminal or a shell would obey is found, and is shown as text."""
    name = "x\x1b[31m;rm -rf $HOME`"
    made = model(
        [node("Relu", name.replace(" ", "_"), "y", "\x1b[2Jnode")],
        [helper.make_tensor_value_info(name.replace(" ", "_"), 1, [1])],
    )
    found = check(built(made)(tmp_path), Conditions(target="ascend"))
    assert "A22" in {finding.rule for finding in found.findings}
    assert all(shown(finding.where).isprintable() for finding in found.findings)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"target": "ascent"}, "did you mean 'ascend'"),
        ({"target": "ascend", "chip": "Ascend310P9"}, "expected a chip of ascend out of"),
        ({"target": "ascend", "toolkit": "new"}, "expected a version such as 8.0, found 'new'"),
        ({"target": "ascend", "precision": "int3"}, "expected a precision out of"),
        ({"target": "ascend", "shapes": {"z": (1,)}}, "expected one of the inputs x in --input-shape, found 'z'"),
        ({"target": "ascend", "shapes": {"x": (1,)}}, r"expected a shape that fits x\[1, 4, 8, 8\], found \[1\]"),
    ],
)
def test_a_request_that_fits_nothing_is_refused(conditions: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        check(RELU(tmp_path), Conditions(**conditions))  # type: ignore[arg-type]
