"""Two structures held side by side: components, artifacts of every format, checkpoints, and models of others."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import lwmport
from lwmport.errors import PortError, UsageError
from lwmport.models.families import resolve
from lwmport.pipeline.compare import difference
from lwmport.pipeline.compare.run import CompareRequest, compare
from lwmport.pipeline.compare.sides import side_of
from lwmport.pipeline.compare.structure import together
from lwmport.reports.comparison.document import document
from lwmport.reports.comparison.record import Comparison, ModuleDiff, Sameness

DEBUG = "debug"


def compared(a: object, b: object, **sizes: int) -> Comparison:
    """Return the comparison of two sides, without what the targets say: that takes most of the time."""
    names = str(a), str(b)
    parts = [side_of(name, DEBUG).read(sizes) for name in names]
    return difference.compared(*together(*parts), names)


def of_status(found: Comparison, status: Sameness) -> set[str]:
    return {"/".join(module.path) for module in found.root.walk() if module.status is status}


def at(found: Comparison, path: str) -> ModuleDiff:
    return next(module for module in found.root.walk() if "/".join(module.path) == path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the encoder of a VQGAN in ONNX, TFLite and as a SavedModel."""
    folder = tmp_path_factory.mktemp("made")
    for form in ("onnx", "tflite", "saved_model", "frozen_graph"):
        try:
            lwmport.convert(component="vqgan-encoder", format=form, config=DEBUG, validate=False, out=folder / form)
        except lwmport.MissingExtraError:
            continue
    return folder


@pytest.fixture(scope="module")
def languages() -> Comparison:
    return compare(CompareRequest(a="llama", b="vision-llama", config=DEBUG))


def test_the_vision_language_model_has_a_table_and_a_head_more(languages: Comparison) -> None:
    assert of_status(languages, Sameness.ONLY_B) == {"transformer/vte", "vision_head"}
    assert of_status(languages, Sameness.ONLY_A) == set()
    assert of_status(languages, Sameness.CHANGED) == {""}
    assert not languages.same
    names = {(change.what, change.name, bool(change.a), bool(change.b)) for change in languages.interface}
    assert names == {
        ("input", "vision_masks", False, True),
        ("output", "logits", True, False),
        ("output", "text_logits", False, True),
        ("output", "vision_logits", False, True),
    }


def test_parameters_and_bytes_are_those_of_the_component(languages: Comparison) -> None:
    weights = resolve("vision-llama", DEBUG).components[0].weights.values()
    assert languages.b.total.parameter_count == sum(np.prod(spec.shape) for spec in weights)
    assert languages.b.total.parameter_bytes == sum(spec.nbytes for spec in weights)
    assert languages.a.sizes == {"batch": 1, "sequence": 128, "past": 128}


def test_a_head_costs_two_operations_for_each_weight_and_token(languages: Comparison) -> None:
    head = at(languages, "lm_head")
    assert head.facts_a.flop == head.facts_b.flop == 2 * 128 * 256 * 32000
    assert head.status is Sameness.SAME


def test_every_target_is_asked_about_both(languages: Comparison) -> None:
    from lwmport.targets.registry import TARGETS

    assert [meaning.target for meaning in languages.targets] == list(TARGETS)
    for meaning in languages.targets:
        assert meaning.status_a in {"passed", "failed"}
        assert meaning.status_b in {"passed", "failed"}
        assert any("one layer" in note for note in meaning.notes)


def test_a_component_is_the_same_as_itself() -> None:
    found = compared("vqgan", "vqgan")
    assert found.same
    assert found.status == "same"
    assert {module.path[0] for module in found.root.walk() if module.path} == {"vqgan-encoder", "vqgan-decoder"}


def test_attention_in_a_ring_differs_in_attention_and_masks_alone() -> None:
    found = compared("llama-prefill:sequence=64", "llama-prefill:attention=unrolled,ring=4,sequence=64")
    assert of_status(found, Sameness.CHANGED) == {"", "transformer/h/0/attention", "transformer/h/1/attention"}
    assert found.a.total.parameter_count == found.b.total.parameter_count
    assert at(found, "transformer/h/0/attention").facts_b.operators["exp"] > 1


def test_blockwise_attention_shows_what_the_composite_is_made_of() -> None:
    found = compared("llama:sequence=32", "llama:attention=loop,sequence=32,key_chunk=16")
    (change, *_) = [
        one for one in at(found, "transformer/h/0/attention").changes if one.name == "causal_attention > exp"
    ]
    assert int(change.b) > int(change.a)


def test_a_size_that_is_asked_for_is_counted() -> None:
    one, two = (compared("llama-head", "llama-head", sequence=tokens) for tokens in (1, 2))
    assert 2 * at(one, "lm_head").facts_a.flop == at(two, "lm_head").facts_a.flop


@pytest.mark.parametrize("form", ["onnx", "tflite", "saved_model", "frozen_graph"])
def test_a_lowering_keeps_modules_and_parameters(made: Path, form: str) -> None:
    if not (made / form).is_dir():
        pytest.skip(f"{form} needs an extra")
    found = compared("vqgan-encoder", made / form)
    assert of_status(found, Sameness.ONLY_A) == of_status(found, Sameness.ONLY_B) == set()
    assert found.compared_by == "kinds of operators"
    assert all(module.matched_by == "path" for module in found.root.walk())
    if form in {"onnx", "saved_model"}:
        assert found.same, found.sentence
        assert found.a.total.main_flop == found.b.total.main_flop > 0
    if form == "frozen_graph":
        assert found.b.total.uncounted > 0, "a GraphDef says no shapes"


def test_a_folder_a_file_and_our_own_name_of_it_are_one(made: Path) -> None:
    assert compared(made / "onnx", made / "onnx" / "vqgan-encoder.onnx").same


def test_a_checkpoint_is_held_against_a_whole_group(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from lwmport.cli.main import cli

    words = ["checkpoint", "make", "--component", "vqgan", "--config", DEBUG, "--out", str(tmp_path / "v.pkl")]
    assert CliRunner().invoke(cli, words).exit_code == 0
    found = compare(a="vqgan", b=str(tmp_path / "v.pkl"), config=DEBUG)
    assert found.same, found.sentence
    assert found.compared_by == "parameters"
    assert all("no operators" in " ".join(meaning.notes) for meaning in found.targets)


def test_the_seven_billion_cost_no_weights_and_two_operations_for_each_parameter_and_token() -> None:
    from lwmport.models.options import Options
    from lwmport.pipeline.compare.program_reader import read_component

    (structure,) = read_component("llama", "7b", Options(), {"sequence": 64}).values()
    parameters = sum(one.tensor.elements for one in structure.parameters)
    products = sum(operator.cost.main for operator in structure.operators)
    table = 32000 * 4096
    assert parameters > 6.7e9
    assert products == pytest.approx(2 * 64 * (parameters - table), rel=0.02)


def test_the_document_is_json_and_tells_every_module(languages: Comparison) -> None:
    value = json.loads(json.dumps(document(languages), allow_nan=False))
    assert value["format"] == "lwmport-compare/1"
    assert value["status"] == "different"
    assert len(value["modules"]) == 32 == sum(value["counts"].values())
    (head,) = [module for module in value["modules"] if module["path"] == "vision_head"]
    assert head["a"] is None
    assert head["b"]["tensors"] == [{"name": "kernel", "shape": [256, 8448], "dtype": "float32"}]
    text = (Path(lwmport.__file__).parents[1] / "docs" / "compare.md").read_text(encoding="utf-8")
    keys = {*value, *value["a"], *head, *head["b"], *value["targets"][0], "error", "exit_code"}
    assert [key for key in keys if f"`{key}`" not in text] == ["format"], "docs/compare.md says every key"


def torch_like(path: Path, *, prefix: str = "model.", hidden: int = 8) -> Path:
    """Write what torch.onnx makes of two layers: modules in the metadata, weights without names of their own."""
    nodes, tensors = [], []
    before = "x"
    for layer in range(2):
        for name in ("self_attn.q_proj", "self_attn.o_proj"):
            scope = f"{prefix}layers.{layer}.{name}"
            node = onnx.helper.make_node(
                "MatMul", [before, f"val_{len(tensors)}"], [f"y{len(nodes)}"], f"n{len(nodes)}"
            )
            entry = node.metadata_props.add()
            entry.key, entry.value = "pkg.torch.onnx.name_scopes", str(["", scope, "linear"])
            tensors.append(onnx.numpy_helper.from_array(np.zeros((hidden, hidden), np.float32), f"val_{len(tensors)}"))
            before = node.output[0]
            nodes.append(node)
    return saved(path, nodes, tensors, before, hidden)


def lwm_like(path: Path, hidden: int = 8) -> Path:
    """Write the same with LWM's names."""
    nodes, tensors = [], []
    before = "x"
    for layer in range(2):
        for name in ("wq", "wo"):
            weight = f"transformer/h/{layer}/attention/{name}/kernel"
            nodes.append(onnx.helper.make_node("MatMul", [before, weight], [f"y{len(nodes)}"]))
            tensors.append(onnx.numpy_helper.from_array(np.zeros((hidden, hidden), np.float32), weight))
            before = nodes[-1].output[0]
    return saved(path, nodes, tensors, before, hidden)


def bare(path: Path, hidden: int = 8) -> Path:
    """Write the same without a name of any module."""
    nodes, tensors = [], []
    before = "x"
    for number in range(4):
        nodes.append(onnx.helper.make_node("MatMul", [before, f"w{number}"], [f"y{number}"]))
        tensors.append(onnx.numpy_helper.from_array(np.zeros((hidden, hidden), np.float32), f"w{number}"))
        before = f"y{number}"
    return saved(path, nodes, tensors, before, hidden)


def saved(path: Path, nodes: list[Any], tensors: list[Any], end: str, hidden: int) -> Path:
    ends = [onnx.helper.make_tensor_value_info(name, 1, [4, hidden]) for name in ("x", end)]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], initializer=tensors)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("prefix", ["model.", "wrapper.model."])
def test_names_of_torch_are_matched_by_the_table_of_the_family(tmp_path: Path, prefix: str) -> None:
    found = compared(lwm_like(tmp_path / "a.onnx"), torch_like(tmp_path / "b.onnx", prefix=prefix))
    assert found.same, found.sentence
    query = at(found, "transformer/h/1/attention/wq")
    assert query.matched_by == "table of names"
    assert query.b == (*prefix.rstrip(".").split("."), "layers", "1", "self_attn", "q_proj")
    assert at(found, "transformer/h").matched_by == "modules within"


def test_without_any_name_shape_and_order_match(tmp_path: Path) -> None:
    found = compared(lwm_like(tmp_path / "a.onnx"), bare(tmp_path / "b.onnx"))
    ways = {module.matched_by for module in found.root.walk() if module.facts_a.parameters}
    assert ways == {"shape and order"}
    assert "4 by shape and order" in " ".join(found.notes)


def test_nothing_is_matched_whose_shape_differs(tmp_path: Path) -> None:
    found = compared(lwm_like(tmp_path / "a.onnx"), bare(tmp_path / "b.onnx", hidden=16))
    assert of_status(found, Sameness.ONLY_B) == {"w0", "w1", "w2", "w3"}
    assert not found.same


def test_a_changed_shape_is_told_with_both_sides(tmp_path: Path) -> None:
    found = compared(lwm_like(tmp_path / "a.onnx"), lwm_like(tmp_path / "b.onnx", hidden=16))
    (shape,) = [one for one in at(found, "transformer/h/0/attention/wq").changes if one.what == "shape"]
    assert (shape.a, shape.b) == ("[8, 8]", "[16, 16]")


HOSTILE = {
    "empty.onnx": b"",
    "cut.onnx": b"\x08\x08\x3a\xff\xff\x03",
    "noise.onnx": bytes(range(256)) * 8,
    "empty.tflite": b"",
    "cut.tflite": b"\x1c\x00\x00\x00TFL3" + b"\xff" * 40,
    "empty.pb": b"",
    "cut.pb": b"\x0a\xff\xff\xff\xff\x0f",
    "text.bin": b"not a checkpoint at all, whatever it is called",
    "cut.safetensors": b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
    "model.gguf": b"GGUF\x03\x00\x00\x00",
    "bundle.zip": b"PK\x05\x06" + b"\x00" * 18,
    "compiled.om": b"IMOD" * 10,
    "model.safetensors": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 10\n",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", [0, 1])
def test_damaged_and_strange_files_cost_one_line(tmp_path: Path, name: str, place: int) -> None:
    path = tmp_path / name
    path.write_bytes(HOSTILE[name])
    sides = ("llama-embed", path) if place else (path, "llama-embed")
    with pytest.raises(PortError) as found:
        compared(*sides)
    assert len(str(found.value).splitlines()) == 1
    assert name in str(found.value)


def test_a_cut_saved_model_costs_one_line(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\x12\xff\xff\xff\xff\x0f\x00")
    with pytest.raises(PortError, match=r"saved_model\.pb"):
        compared(tmp_path, "llama-embed")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing-here", "expected a component"),
        ("llama-head:sequenze=4", "did you mean 'sequence'"),
        ("llama-head:sequence=four", "expected a whole number as sequence"),
        ("llama-head:sequence", "expected llama-head:OPTION=VALUE"),
        ("llama:static=perhaps", "expected static=true"),
        ("llama:config=no-such", "no-such"),
        ("llama:layer=1", "layer for one of llama-block"),
        ("vqgan:sequence=4", "vqgan, which it does not change"),
        ("llama:store=float16", "expected a setting of llama"),
    ],
)
def test_a_side_that_means_nothing_is_refused(text: str, said: str) -> None:
    with pytest.raises(PortError, match=said):
        compared(text, "llama-head")


def test_a_size_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a size of at least 1 for sequence"):
        CompareRequest(a="llama", b="llama", sizes={"sequence": 0})


def test_words_of_the_field_and_any_case_are_taken() -> None:
    side = side_of("LLaMA-Head:precision=fp16", DEBUG)
    assert (side.component, side.options.precision) == ("llama-head", "float16")


def test_an_empty_folder_is_no_side(tmp_path: Path) -> None:
    with pytest.raises(PortError):
        compared(tmp_path, "llama-head")
