"""The module of a node, as torch's exporters tell it."""

import onnx
import pytest

from lwmport.targets.graphs.exporters import LONGEST, SCOPES, module_of


def node(name: str = "n", scopes: str | None = None) -> onnx.NodeProto:
    made = onnx.helper.make_node("Relu", ["x"], ["y"], name)
    if scopes is not None:
        entry = made.metadata_props.add()
        entry.key, entry.value = SCOPES, scopes
    return made


def test_the_last_module_of_the_list_counts() -> None:
    assert module_of(node(scopes="['', 'model', 'model.layers.0.mlp', 'linear']")) == ("model", "layers", "0", "mlp")


def test_the_exporter_of_torchscript_tells_it_by_the_name() -> None:
    assert module_of(node("/model/layers.0/mlp/MatMul")) == ("model", "layers", "0", "mlp")
    assert module_of(node("/Relu")) == ()


@pytest.mark.parametrize(
    "scopes",
    ["", "[", "['one']", "['', 7, 'x']", "__import__('os')", "(" * 500, "['" + "a" * LONGEST + "', 'x']", "{}"],
)
def test_what_is_no_list_of_modules_tells_nothing(scopes: str) -> None:
    assert module_of(node(scopes=scopes)) == ()
