"""The benchmark of memory plans: a small model is planned, converted and run in a process of its own."""

import importlib
from pathlib import Path


def test_a_process_that_runs_a_model_is_measured(tmp_path: Path) -> None:
    plan = importlib.import_module("plan")
    row = plan.measured(plan.SMALL["llava-image"], tmp_path, 1)
    assert 0.5 * row.planned < row.measured < 2 * row.planned
    assert f"{row.planned / row.measured:.3f}" in plan.table({"llava-image": row})
