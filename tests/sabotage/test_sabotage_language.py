"""Every way that a language model attends is tried: one that is wrong in a single way fails, whichever it is."""

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from lwmport import manifest
from lwmport.checkpoints.model_weights import component_weights, fitting
from lwmport.models.families import Family, resolve
from lwmport.models.llama.test_inputs import CASES
from lwmport.models.options import Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.pipeline.validate.judge import Judgement, judge
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather
from lwmport.types import Status

CONFIG = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "max_sequence_length": 128, "scan_layers": False,
}  # fmt: skip
BATCH = 2
SABOTAGED = {
    "GroupQueryAttention": ("ort", 21, {"prefill", "decode"}),
    "MultiHeadAttention": ("ort", 21, {"padded decode"}),
    "Scan": ("ort", 21, {"continuation", "padded prefill"}),
    "Attention": ("onnx", 24, {"prefill", "continuation", "decode", "padded decode"}),
}
"""Operator -> dialect and opset that write it, and the cases in which it is what attends."""


@pytest.fixture(scope="module")
def family() -> Family:
    return resolve("llama", CONFIG, Options())


@pytest.fixture(scope="module")
def evidence(family: Family) -> ReferenceRun:
    (component,) = family.references
    return gather(component, component_weights(family, component, fitting(family, None, 0)), BATCH)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Path]:
    found = {}
    for dialect, opset in {(dialect, opset) for dialect, opset, _ in SABOTAGED.values()}:
        out = tmp_path_factory.mktemp("language")
        given = {"dialect": dialect, "opset": opset, "config": CONFIG, "batch": BATCH}
        convert(ConvertRequest(component="llama", format="onnx", out=out, validate=False, **given))
        found[dialect, opset] = out
    return found


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from nodes(attribute.g)


def judged(folder: Path, evidence: ReferenceRun) -> Judgement:
    (part,) = manifest.read(folder).components
    return judge(folder / part.path, part.signature, evidence)


@pytest.mark.parametrize("key", sorted({(dialect, opset) for dialect, opset, _ in SABOTAGED.values()}))
def test_every_case_passes_untouched(
    key: tuple[str, int], models: dict[tuple[str, int], Path], evidence: ReferenceRun
) -> None:
    found = judged(models[key], evidence).validation
    assert found.status is Status.PASSED, found.reason
    assert {diff.name.partition("/")[0] for diff in found.diffs} == {case.name for case in CASES}


@pytest.mark.parametrize("operator", SABOTAGED)
def test_one_wrong_way_to_attend_fails_the_cases_that_take_it(
    operator: str, models: dict[tuple[str, int], Path], evidence: ReferenceRun, tmp_path: Path
) -> None:
    dialect, opset, cases = SABOTAGED[operator]
    folder = models[dialect, opset]
    model = onnx.load(folder / "llama.onnx")
    wrong = [node for node in nodes(model.graph) if node.op_type == operator]
    assert wrong
    for node in wrong:
        spoil(node)
    (tmp_path / manifest.NAME).write_bytes((folder / manifest.NAME).read_bytes())
    onnx.save(model, tmp_path / "llama.onnx")
    found = judged(tmp_path, evidence).validation
    assert found.status is Status.FAILED
    failed = {diff.name.partition("/")[0] for diff in found.diffs if diff.status is Status.FAILED}
    assert cases <= failed, found.reason


def spoil(node: onnx.NodeProto) -> None:
    """Attend with another scale; in a loop over blocks, with another base of the exponential."""
    if node.op_type == "Scan":
        for inner in nodes(next(attribute.g for attribute in node.attribute if attribute.name == "body")):
            if inner.op_type == "Exp":
                inner.op_type = "Sigmoid"
        return
    kept = [attribute for attribute in node.attribute if attribute.name != "scale"]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute("scale", 0.9)])
