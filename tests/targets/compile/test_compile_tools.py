"""What may run for a target is looked for by name, and the table of names leaves out none that a plan asks for."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lwmport.errors import UsageError
from lwmport.targets.aipu import compile as aipu
from lwmport.targets.ascend import compile as ascend
from lwmport.targets.compile.job import CompileJob
from lwmport.targets.compile.plan import CompilePlan, Place
from lwmport.targets.compile.tools import installed
from lwmport.targets.compile.vendor import Vendor
from lwmport.targets.migraphx import compile as migraphx
from lwmport.targets.registry import TARGETS

PLANS: dict[str, tuple[Callable[[CompileJob, Place], CompilePlan], str, str | None]] = {
    "aipu": (aipu.plan, "int8", None),
    "ascend": (ascend.plan, "float32", "Ascend310P3"),
    "migraphx": (migraphx.plan, "float32", None),
}


def test_every_target_but_the_cpu_has_tools() -> None:
    assert {name for name in TARGETS.table if isinstance(TARGETS[name].compile_artifact, Vendor)} == {*PLANS}
    assert {*TARGETS.table} == {*PLANS, "cpu"}


@pytest.mark.parametrize("target", PLANS)
def test_every_program_that_a_plan_asks_for_is_looked_for(
    target: str, job_of: Callable[..., CompileJob], calibration: Mapping[str, Any], tmp_path: Path
) -> None:
    plan, precision, soc = PLANS[target]
    job = job_of(precision=precision, calibration=calibration if target == "aipu" else None, soc=soc)
    made = plan(job, Place(model="model.onnx", out="."))
    vendor = TARGETS[target].compile_artifact
    assert isinstance(vendor, Vendor)
    assert {name for step in (*made.steps, *made.parts) for name in step.tools} == set(vendor.programs)
    with pytest.raises(UsageError, match=f"for the target {target}, found a folder without one at"):
        installed(target, tmp_path)


def test_a_file_that_is_none_of_the_programs_is_no_toolchain(sdk: Callable[..., Path], tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("see the vendor's page")
    with pytest.raises(UsageError, match=r"\(atc\) for the target ascend, found a file of another name at"):
        installed("ascend", notes)
    atc = sdk("atc", "true") / "bin" / "atc"
    beside = atc.parent / "set_env.sh"
    beside.write_text("export PATH")
    assert installed("ascend", atc) == installed("ascend", beside) == {"atc": str(atc)}


def test_the_root_of_an_installation_leads_to_its_latest_version(sdk: Callable[..., Path], tmp_path: Path) -> None:
    root = tmp_path / "ascend-toolkit"
    root.mkdir()
    (root / "latest").symlink_to(sdk("atc", "true"))
    assert installed("ascend", root) == {"atc": str(root / "latest" / "bin" / "atc")}


def test_what_is_installed_is_told_with_its_place(sdk: Callable[..., Path], tmp_path: Path) -> None:
    folder = sdk("atc", "true")
    assert installed("ascend", folder) == {"atc": str(folder / "bin" / "atc")}
    assert installed("cpu", folder) is None
    with pytest.raises(UsageError, match="expected the toolchain's folder"):
        installed("ascend", tmp_path / "none")
