"""A port in another dialect of its target than the usual one: the fused operators of CANN."""

import json
from pathlib import Path
from typing import Any

import pytest

from lwmport import manifest
from lwmport.errors import UsageError
from lwmport.models.options import Options
from lwmport.pipeline.compile.run import CompileRequest, compile_artifacts
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.port.jobs import read_jobs
from lwmport.pipeline.port.run import PortRequest, port, title_of
from lwmport.types import Status

SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 128, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_sequence_length": 64,
}  # fmt: skip


def conversion(out: Path, **fields: Any) -> ConvertRequest:
    given = {"component": "llama-block", "format": "onnx", "config": SMALL, "dialect": "ascend-npu"}
    return ConvertRequest(out=out, options=Options(sequence=8, max_length=16), **{**given, **fields})


def test_the_road_with_fused_operators_ends_in_a_bundle(tmp_path: Path) -> None:
    asked = PortRequest(conversion=conversion(tmp_path), target="ascend", soc="Ascend310P3")
    found = port(asked)
    stages = {stage.name: stage.status for stage in found.stages}
    compiled = stages.pop("compile")
    assert set(stages.values()) == {Status.PASSED}
    assert compiled in {Status.PASSED, Status.SKIPPED}
    made = manifest.read(asked.models)
    assert made.dialect == "ascend-npu"
    assert all(part.operators["npu.NPURmsNorm"] for part in made.components)
    assert "npu:: operators by their documented formulas" in (asked.models / "report.html").read_text()
    assert asked.bundle.is_file()
    written = [path.name for path in (tmp_path / "compiled").iterdir()]
    assert [name for name in written if name.endswith(".sh")]
    assert not [name for name in written if name.endswith(".cann.json")], "ONNX Runtime opens no such model"
    plan = CompileRequest(
        artifact=asked.models, target="ascend", soc="Ascend310P3", precision="mixed", out=tmp_path / "plan", run=False
    )
    compile_artifacts(plan)
    for part in made.components:
        kept = json.loads((tmp_path / "plan" / f"{part.name}.mixlist.json").read_text())["black-list"]["to-add"]
        assert {"RmsNorm", "AddRmsNorm"} <= set(kept)
    assert title_of(asked) == "llama-block to ascend (onnx in ascend-npu, float32)"


def test_a_chip_without_them_ends_the_road_at_the_check(tmp_path: Path) -> None:
    found = port(PortRequest(conversion=conversion(tmp_path), target="ascend", soc="Ascend310B1"))
    assert [(stage.name, stage.status) for stage in found.stages[:2]] == [
        ("convert", Status.PASSED),
        ("check", Status.FAILED),
    ]
    assert "A34" in found.stages[1].reason


@pytest.mark.parametrize(
    ("target", "dialect", "form"), [("aipu", "ascend-npu", "onnx"), ("ascend", "ascend-npu", "frozen_graph")]
)
def test_a_dialect_of_another_target_or_format_is_refused(target: str, dialect: str, form: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"expected a dialect for {target} out of"):
        PortRequest(conversion=conversion(tmp_path, dialect=dialect, format=form), target=target)


def test_a_matrix_may_hold_both_dialects(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(
        '[matrix]\ncomponent = "vqgan"\nconfig = "debug"\ntarget = "ascend"\ndialect = ["ascend", "ascend-npu"]\n'
    )
    jobs = read_jobs(path).jobs
    assert [job.name for job in jobs] == [
        f"vqgan-ascend-onnx-float32-dialect-{name}" for name in ("ascend", "ascend-npu")
    ]
    assert [job.request.dialect for job in jobs] == ["ascend", "ascend-npu"]
    words = jobs[1].words
    assert words[words.index("--dialect") + 1] == "ascend-npu"
