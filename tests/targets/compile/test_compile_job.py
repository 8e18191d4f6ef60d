"""Models that are not ours: sizes without a name are told apart, and inputs without axes are refused."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import helper

from lwmport.errors import UsageError
from lwmport.pipeline.compile.run import CompileRequest, compile_artifacts
from lwmport.targets.compile.job import read_gears
from lwmport.targets.graphs.opening import open_graph
from lwmport.targets.graphs.record import Value, numbered
from lwmport.targets.registry import TARGETS
from lwmport.types import Status

FLOAT = onnx.TensorProto.FLOAT
Shape = list[int | str | None] | None


@pytest.fixture
def foreign(tmp_path: Path) -> Callable[..., Path]:
    """Return ``foreign(a=shape, b=shape)``: the path of a model that adds a constant to each of its inputs."""

    def write(**shapes: Shape) -> Path:
        inputs = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in shapes.items()]
        nodes = [helper.make_node("Relu", [name], [f"{name}_out"], name) for name in shapes]
        outputs = [helper.make_tensor_value_info(f"{name}_out", FLOAT, shape) for name, shape in shapes.items()]
        graph = helper.make_graph(nodes, "foreign", inputs, outputs)
        path = tmp_path / "foreign.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path

    return write


def test_sizes_without_a_name_get_one_each(foreign: Callable[..., Path], tmp_path: Path) -> None:
    path = foreign(a=[None, 3, None], b=["n", None])
    assert [value.shape for value in open_graph(path).inputs] == [("?0", 3, "?1"), ("n", "?2")]
    request = CompileRequest(
        artifact=path,
        target="migraphx",
        soc="gfx936",
        out=tmp_path / "out",
        gears=read_gears("?0=1;?1=5;n=7;?2=9"),
        run=False,
    )
    (found,) = compile_artifacts(request)
    assert "--input-dim @a 1 3 5 --input-dim @b 7 9" in found.commands[0]


def test_a_name_that_is_taken_is_passed_over() -> None:
    found = numbered([Value(name="a", shape=("?0", "?")), Value(name="b"), Value(name="c", shape=("?", 4, "m"))])
    assert [value.shape for value in found] == [("?0", "?1"), None, ("?2", 4, "m")]


@pytest.mark.parametrize("target", ["ascend", "cpu"])
def test_an_input_of_unknown_rank_is_refused(target: str, foreign: Callable[..., Path], tmp_path: Path) -> None:
    """Its output may be: nobody has to make one."""
    soc = TARGETS[target].usual_chip or None
    request = CompileRequest(artifact=foreign(a=[1, 2], b=None), target=target, soc=soc, out=tmp_path / "out")
    with pytest.raises(
        UsageError, match=r'number of axes of each input .* none for b; .* --input-shape "b:1,'
    ) as caught:
        compile_artifacts(request)
    assert len(str(caught.value).splitlines()) == 1


def test_a_scalar_is_no_input_of_unknown_rank(foreign: Callable[..., Path], tmp_path: Path) -> None:
    (found,) = compile_artifacts(CompileRequest(artifact=foreign(a=[]), target="cpu", out=tmp_path / "out"))
    assert found.status is Status.PASSED, found.reason
