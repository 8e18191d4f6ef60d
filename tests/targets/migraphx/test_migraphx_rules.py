"""What MIGraphX's parser refuses is an error; what its documents alone exclude is a warning."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rule_cases import INT64, Build, built, model, node, one, resize, value

from lwmport.targets.preflight import Conditions, check


def computed(op: str, shape: list[int], result: list[int] | None, known: Mapping[str, Any] = {}, **more: Any) -> Build:
    """Return one node whose last operand is computed."""
    made = node(op, f"x {' '.join(known)} last", "y", **more)
    return built(model([made], [value("x", shape), value("last", [2], INT64)], [value("y", result)], dict(known)))


ERRORS: dict[str, tuple[Build, str]] = {
    "repeats": (computed("Tile", [2, 2], [2, 2]), "M07"),
    "pads": (computed("Pad", [2], [2]), "M07"),
    "steps": (computed("Slice", [4, 4], [2, 2], {"z": [0, 0], "e": [4, 4], "a": [0, 1]}), "M07"),
    "a shape of an unknown size": (computed("Expand", [1, 1], None), "M07"),
    "a mode of pads": (one("Pad", "x", "p", constants={"p": np.zeros(8, np.int64)}, mode="wrap", opset=19), "M10"),
    "a smooth resize": (resize("half_pixel", mode="linear", antialias=1), "M08"),
}
WARNINGS: dict[str, tuple[Build, str]] = {
    "a shape of a known size": (computed("Reshape", [2, 4], [4, 2]), "M07"),
    "edges as pads": (one("Pad", "x", "p", constants={"p": np.zeros(8, np.int64)}, mode="edge"), "M10"),
    "cubic pixels": (resize("half_pixel", mode="cubic"), "M10"),
}


def found_in(path: Path) -> dict[str, str]:
    return {finding.rule: str(finding.severity) for finding in check(path, Conditions(target="migraphx")).findings}


@pytest.mark.parametrize("name", ERRORS)
def test_what_the_parser_refuses_is_an_error(name: str, tmp_path: Path) -> None:
    build, rule = ERRORS[name]
    assert found_in(build(tmp_path))[rule] == "error"


@pytest.mark.parametrize("name", WARNINGS)
def test_what_the_documents_exclude_is_a_warning(name: str, tmp_path: Path) -> None:
    build, rule = WARNINGS[name]
    assert found_in(build(tmp_path))[rule] == "warning"
