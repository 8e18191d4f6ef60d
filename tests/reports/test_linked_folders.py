"""A link at ``--out`` to a folder with results of an earlier run is refused by what writes files one by one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lwmport.errors import UsageError
from lwmport.pipeline.port.standing import check_ours as check_port
from lwmport.reports.captions import files as captions
from lwmport.reports.evaluations import likeness, needle
from lwmport.reports.speed import files as speed

CHECKS: dict[str, tuple[str, str, Callable[[Path], Any]]] = {
    "eval captions": (captions.RECORD, captions.FORMAT, captions.check_ours),
    "eval images": (likeness.RECORD, likeness.FORMAT, likeness.check_ours),
    "eval needle": (needle.RECORD, needle.FORMAT, lambda folder: needle.earlier(None, folder)),  # type: ignore[arg-type]
    "bench": (speed.RECORD, speed.FORMAT, lambda folder: speed.earlier_rows(folder, "")),
    "port": ("port.json", "lwmport-port/1", lambda folder: check_port(folder, folder / "bundle.zip")),
}


@pytest.mark.parametrize("command", CHECKS)
def test_a_link_to_results_is_refused_and_one_to_an_empty_folder_followed(command: str, tmp_path: Path) -> None:
    name, form, check = CHECKS[command]
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    check(tmp_path / "link")
    (tmp_path / "real" / name).write_text(json.dumps({"format": form}))
    with pytest.raises(UsageError, match=r"expected a folder at .*link, found a link to .*real, .* an earlier run"):
        check(tmp_path / "link")
