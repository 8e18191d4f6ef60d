"""What a passed report says is said in Chinese; a sentence that nobody translated leaves the English alone."""

from dataclasses import replace

import pytest

import lwmport
from lwmport.handoff.answer_in_chinese import in_chinese
from lwmport.reports.answer import answer, undone
from lwmport.reports.record import Destination, Report

SAID = {
    "Numerically equal on a CPU (3 photographs): 4 of 4 outputs agree with JAX, every value within tolerance.": (
        "在 CPU（3 张照片）上数值一致：4 个输出中有 4 个与 JAX 一致，每个值都在容差之内。"
    ),
    "a, b: numerically equal on a CPU: 1 of 1 outputs agree with JAX and TF, every value within tolerance.": (
        "a、b：在 CPU 上数值一致：1 个输出中有 1 个与 JAX、TF 一致，每个值都在容差之内。"
    ),
    "Not judged here: a, b. Compiled for gfx936, run on it and equal.": (
        "此处未判定：a、b。已针对 gfx936 编译，已在其上运行，数值一致。"
    ),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    out = tmp_path_factory.mktemp("chinese") / "out"
    found = lwmport.convert(component="llama-head", format="onnx", config="debug", out=out, samples=1).report
    assert found is not None
    return found


@pytest.mark.parametrize("english", SAID)
def test_a_sentence_in_chinese(english: str) -> None:
    assert in_chinese(english) == SAID[english]


@pytest.mark.parametrize("english", ["", "Proven within 2.4e-6. Not run.", "Not equal on a CPU: x.onnx."])
def test_what_is_no_sentence_of_a_passed_report_stays_english(english: str) -> None:
    assert in_chinese(english) == ""


@pytest.mark.parametrize(("compiled", "ran"), [(False, False), (True, False), (True, True)])
def test_every_sentence_of_a_passed_report_is_known(report: Report, *, compiled: bool, ran: bool) -> None:
    goal = Destination(name="Ascend 310P3", compiled=compiled, ran=ran)
    whole = replace(report, destination=goal, left_out=("llama-embed",))
    assert undone(whole).count(".") == 2
    assert "Ascend 310P3" in in_chinese(answer(whole))


def test_a_bundle_says_it_in_both(report: Report) -> None:
    from lwmport.handoff.record import SPEC_FORMAT, Spec
    from lwmport.handoff.texts import readmes

    spec = Spec(format=SPEC_FORMAT, target="cpu", reference="JAX", weights="none", components=())
    english, chinese = readmes(spec, (), "onnxruntime", (), report.sentence).values()
    assert in_chinese(report.sentence) not in english
    for sentence in filter(None, in_chinese(report.sentence).split("。")):
        assert f"   {sentence}。\n" in chinese
    assert "Numerically equal" in chinese
