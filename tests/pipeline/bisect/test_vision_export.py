"""``lwmport bisect`` of MiniGPT-4's vision tower, exported by torch.onnx as its published port does."""

import warnings
from pathlib import Path

import onnx
import pytest
from onnx import helper

import lwmport
from lwmport.pipeline.bisect.request import BisectRequest
from lwmport.pipeline.bisect.run import bisect
from lwmport.pipeline.reopen import reopen
from lwmport.reports.bisection import Bisection
from lwmport.types import Status

pytest.importorskip("torch", reason="PyTorch is not installed; run: pip install 'lwmport[bench]'")

NAME = "minigpt4-vision"


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an export that has all weights, one without those of ln_vision, and what lwmport made."""
    from eva_export import exported, torch_tower

    from lwmport.models.minigpt4.config import CONFIGS

    folder = tmp_path_factory.mktemp("exports")
    lwmport.convert(component=NAME, format="onnx", config="debug", out=folder / "ours", validate=False)
    held = reopen(folder / "ours").component_weights(NAME)
    weights = {name: held.read(name) for name in held.specs}
    tower = {name: value for name, value in weights.items() if not name.startswith("ln_vision")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        for name, given in {"whole": weights, "eva_vit_g": tower}.items():
            exported(torch_tower(CONFIGS["debug"], given), CONFIGS["debug"].image_size, folder / f"{name}.onnx")
    return folder


def searched(exports: Path, model: Path) -> Bisection:
    return bisect(BisectRequest(artifact=model, reference=str(exports / "ours"), strict=True))


def test_an_export_with_all_weights_is_right(exports: Path) -> None:
    found = searched(exports, exports / "whole.onnx")
    assert (found.status, found.first) == (Status.PASSED, None)


def test_an_export_from_the_towers_own_file_lacks_ln_vision(exports: Path) -> None:
    found = searched(exports, exports / "eva_vit_g.onnx")
    assert found.status is Status.FAILED
    assert found.first is not None
    assert found.first.cause == "untrained-ln-vision"
    assert "ln_vision" in found.first.explanation
    (behind,) = found.others
    assert behind.cause == found.first.cause


def test_a_tanh_in_place_of_the_error_function(exports: Path, tmp_path: Path) -> None:
    model = onnx.load(exports / "whole.onnx")
    place = next(number for number, node in enumerate(model.graph.node) if node.op_type == "Erf")
    _by_tanh(model, place)
    onnx.save(model, tmp_path / "tanh.onnx")
    found = searched(exports, tmp_path / "tanh.onnx")
    assert found.status is Status.FAILED
    assert found.first is not None
    assert found.first.cause == "tanh-gelu"


def _by_tanh(model: onnx.ModelProto, place: int) -> None:
    """Put tanh(1.1283792 (v + 0.08943 v^3)) in the place of erf(v), as the tanh approximation of GELU has it."""
    erf = model.graph.node[place]
    for name, value in {"three": 3.0, "cube": 0.08943, "scale": 1.1283792}.items():
        model.graph.initializer.append(helper.make_tensor(f"tanh_{name}", onnx.TensorProto.FLOAT, (), [value]))
    (x,), (y,) = erf.input, erf.output
    steps = (("Pow", x, "tanh_three"), ("Mul", "v0", "tanh_cube"), ("Add", "v1", x), ("Mul", "v2", "tanh_scale"))
    nodes = [helper.make_node(kind, [one, other], [f"v{n}"]) for n, (kind, one, other) in enumerate(steps)]
    model.graph.node.remove(erf)
    for number, node in enumerate([*nodes, helper.make_node("Tanh", ["v3"], [y])]):
        model.graph.node.insert(place + number, node)
