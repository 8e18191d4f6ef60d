"""A node that is to stay in float32 has to be one of the models', and costs no weights to find."""

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from lwmport.errors import UsageError
from lwmport.targets.ascend.nodes import with_nodes
from lwmport.targets.compile.job import CompileJob

FLOAT = onnx.TensorProto.FLOAT


def write(path: Path, names: list[str]) -> None:
    """Write a chain of additions, whose weight says that it lies in a file which is not there."""
    helper = onnx.helper
    weight = onnx.TensorProto(name="w", data_type=FLOAT, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in {"location": "weights.data", "offset": "0", "length": "4"}.items():
        weight.external_data.add(key=key, value=value)
    nodes = [helper.make_node("Add", [f"v{at}", "w"], [f"v{at + 1}"], name=name) for at, name in enumerate(names)]
    ends = [helper.make_tensor_value_info(name, FLOAT, [1]) for name in ("v0", f"v{len(names)}")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight])
    path.write_bytes(helper.make_model(graph).SerializeToString())


@pytest.fixture
def jobs_of(job_of: Callable[..., CompileJob]) -> Callable[..., list[CompileJob]]:
    """Return what makes jobs that keep some names, for models with nodes of some names."""

    def make(kept: list[str], *models: list[str], precision: str = "float16", form: str = "onnx") -> list[CompileJob]:
        made = []
        for at, names in enumerate(models):
            job = job_of(name=f"part{at}", format=form, precision=precision, keep_float32=tuple(kept))
            write(job.path, names)
            made.append(job)
        return made

    return make


def test_a_name_is_good_if_one_of_the_models_has_it(jobs_of: Callable[..., list[CompileJob]]) -> None:
    found = with_nodes(jobs_of(["node:b", "Square"], ["a"], ["b", ""]))
    assert [job.nodes for job in found] == [{"a"}, {"b"}]


def test_a_node_in_a_body_is_one(jobs_of: Callable[..., list[CompileJob]]) -> None:
    (job,) = jobs_of(["node:inner"], ["a"])
    helper = onnx.helper
    made = helper.make_tensor_value_info("y", FLOAT, [1])
    body = helper.make_graph([helper.make_node("Neg", ["x"], ["y"], name="inner")], "body", [], [made])
    given = [
        helper.make_tensor_value_info("x", FLOAT, [1]),
        helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, []),
    ]
    choice = helper.make_node("If", ["c"], ["y"], name="outer", then_branch=body, else_branch=body)
    job.path.write_bytes(helper.make_model(helper.make_graph([choice], "g", given, [made])).SerializeToString())
    (found,) = with_nodes([job])
    assert found.nodes == {"outer", "inner"}


REFUSED = {
    "a slip": ("node:mid/nrom", [["mid/norm"]], "of part0.onnx, found 'node:mid/nrom'; did you mean 'node:mid/norm'?"),
    "in none of two": (
        "node:zz",
        [["a"], ["b"]],
        "part0.onnx or part1.onnx, found 'node:zz'; nodes there are called 'a'",
    ),
    "in none of many": ("node:zz", [["a"]] * 5, "a node of one of the 5 models, found 'node:zz'"),
    "no name": ("node:", [["a", ""]], "found 'node:'; nodes there are called 'a'"),
    "a model without names": ("node:Add_0", [["", ""]], "no node there has a name"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_no_node_has_is_refused(name: str, jobs_of: Callable[..., list[CompileJob]]) -> None:
    kept, models, message = REFUSED[name]
    with pytest.raises(UsageError) as caught:
        with_nodes(jobs_of(["Square", kept], *models))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kept", "fields"),
    [("Square", {}), ("node:a", {"precision": "mixed"}), ("node:a", {"form": "tflite"})],
    ids=["operators", "another precision", "another format"],
)
def test_no_file_is_read_where_no_node_can_be_kept(
    kept: str, fields: dict[str, str], jobs_of: Callable[..., list[CompileJob]]
) -> None:
    (job,) = jobs_of([kept], ["b"], **fields)
    job.path.unlink()
    assert with_nodes([job]) == (job,)
