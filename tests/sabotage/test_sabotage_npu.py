"""Models of CANN's own operators, broken on purpose: each fails against JAX, or the rules say what the plugin ignores.

ONNX Runtime runs these operators by their formulas, so that a wrong attribute or operand of one shows in the numbers.
Where the plugin would not read the attribute, `lwmport check` says so besides: the device would not do what is asked.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

from lwmport.models.options import Options
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.run import convert
from lwmport.pipeline.reopen import reopen
from lwmport.pipeline.validate.judge import judge
from lwmport.pipeline.validate.reference_runs import ReferenceRun, gather
from lwmport.targets.preflight import Conditions, check
from lwmport.types import Signature, Status, Validation

VQGAN, BLOCK = "vqgan-decoder", "llama-block"
CONFIGS: Mapping[str, Any] = {
    VQGAN: "debug",
    BLOCK: {
        "vocab_size": 64, "hidden_size": 128, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_sequence_length": 64,
    },
}  # fmt: skip
LENGTHS = {VQGAN: Options(), BLOCK: Options(sequence=8, max_length=16, static=True)}

Damage = Callable[[onnx.NodeProto], None]


@dataclass(frozen=True)
class Original:
    """One model of the dialect, and the evidence that it is judged by."""

    path: Path
    signature: Signature
    evidence: ReferenceRun

    def judged(self, path: Path) -> Validation:
        return judge(path, self.signature, self.evidence).validation


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Original]:
    found = {}
    for name, config in CONFIGS.items():
        out = tmp_path_factory.mktemp(name)
        given = {"dialect": "ascend-npu", "config": config, "options": LENGTHS[name]}
        convert(ConvertRequest(component=name, format="onnx", out=out, validate=False, **given))
        made = reopen(out)
        for part in made.parts:
            evidence = gather(made.component(part.name), made.component_weights(part.name), 1)
            found[part.name] = Original(path=made.path(part), signature=part.signature, evidence=evidence)
    return found


def setting(name: str, value: Any) -> Damage:
    def damage(node: onnx.NodeProto) -> None:
        kept = [item for item in node.attribute if item.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])

    return damage


def swapping(first: int, second: int) -> Damage:
    def damage(node: onnx.NodeProto) -> None:
        node.input[first], node.input[second] = node.input[second], node.input[first]

    return damage


def renaming(operator: str) -> Damage:
    def damage(node: onnx.NodeProto) -> None:
        node.op_type = operator

    return damage


PARTS = ("llama-block-prefill", "llama-block-decode")
SABOTAGES: dict[str, tuple[str, str, Damage, bool]] = {
    "another epsilon of a group norm": (VQGAN, "NPUGroupNormSilu", setting("eps", 1e-5), False),
    "fewer groups": (VQGAN, "NPUGroupNormSilu", setting("group", 16), False),
    "scale for bias": (VQGAN, "NPUGroupNormSilu", swapping(1, 2), False),
    **{
        f"{name}, {part}": (part, operator, damage, told)
        for part in PARTS
        for name, operator, damage, told in [
            ("another epsilon", "NPURmsNorm", setting("epsilon", 1e-2), True),
            ("another epsilon behind a sum", "NPUAddRmsNorm", setting("epsilon", 1e-2), True),
            ("neighbours for halves", "NPURotaryMul", setting("rotary_mode", "interleave"), True),
            ("sines for cosines", "NPURotaryMul", swapping(1, 2), False),
        ]
    },
}
"""What is broken -> the model, the operator of the nodes, how, and whether the plugin would not even notice."""


def nodes(model: onnx.ModelProto, operator: str) -> Iterator[onnx.NodeProto]:
    return (node for node in model.graph.node if node.op_type == operator)


@pytest.mark.parametrize("name", [VQGAN, *PARTS])
def test_the_untouched_model_passes(name: str, originals: dict[str, Original]) -> None:
    original = originals[name]
    assert original.judged(original.path).status is Status.PASSED
    found = check(original.path, Conditions(target="ascend", precision="float32")).findings
    assert not [finding for finding in found if finding.severity != "note"]


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_broken_model_fails(name: str, originals: dict[str, Original], tmp_path: Path) -> None:
    part, operator, damage, told = SABOTAGES[name]
    original = originals[part]
    model = onnx.load(original.path)
    broken = list(nodes(model, operator))
    assert broken
    for node in broken:
        damage(node)
    path = tmp_path / original.path.name
    onnx.save(model, path)
    validation = original.judged(path)
    assert validation.status is Status.FAILED, name
    assert ("A35" in {finding.rule for finding in check(path, Conditions(target="ascend")).findings}) is told


def test_an_operator_that_nobody_knows_cannot_be_judged(originals: dict[str, Original], tmp_path: Path) -> None:
    original = originals[VQGAN]
    model = onnx.load(original.path)
    renaming("NPUGroupNormGelu")(next(nodes(model, "NPUGroupNormSilu")))
    onnx.save(model, tmp_path / original.path.name)
    validation = original.judged(tmp_path / original.path.name)
    assert validation.status is Status.NOT_JUDGED
    assert "NPUGroupNormGelu" in validation.reason
    found = check(tmp_path / original.path.name, Conditions(target="ascend")).findings
    assert [finding.rule for finding in found if finding.severity == "error"] == ["A03"]
