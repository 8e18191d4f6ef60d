"""A target in one module of another package: every command works for it, and no file of ours knows it.

The module is the one that docs/targets/adding.md shows.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from click.testing import CliRunner

from lwmport.cli.main import cli
from lwmport.targets.registry import TARGETS

PAGE = Path(__file__).parents[2] / "docs" / "targets" / "adding.md"
COMPILER = """\
#!/bin/sh
for word; do [ "$last" = --output ] && out=$word; last=$word; done
echo compiled > "$out"
echo "acmec: 0 errors"
"""


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    return found.group(1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What an installer writes of the package, on the search path of Python."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / "acme_npu-1.0.dist-info"
    info.mkdir()
    (folder / "acme_npu.py").write_text(block("python"))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-npu\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{TARGETS.group}]\nacme = acme_npu:ACME\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder
    sys.modules.pop("acme_npu", None)


@pytest.fixture(scope="module")
def toolchain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdk")
    (folder / "acmec").write_text(COMPILER)
    (folder / "acmec").chmod(0o755)
    return folder


def lwmport(*words: object) -> Any:
    done = CliRunner().invoke(cli, [*map(str, words), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def ported(site: Path, toolchain: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A small model after the whole road, and what was said of it."""
    assert site
    folder = tmp_path_factory.mktemp("ported")
    model = ("--component", "llama-embed", "--config", "debug")
    found = lwmport("port", *model, "--target", "acme", "--toolchain", toolchain, "--out", folder / "out")
    return folder / "out", found


def test_the_page_names_the_group_and_the_record() -> None:
    assert f'[project.entry-points."{TARGETS.group}"]\nacme = "acme_npu:ACME"\n' in block("toml")


def test_it_is_listed_with_its_dialect_and_loads_no_framework(site: Path) -> None:
    code = (
        "import sys\nfrom lwmport.cli.main import cli\n"
        "cli.main(['list', '--json'], standalone_mode=False)\n"
        "print(sorted({'jax', 'onnx', 'onnxruntime', 'tensorflow'} & {*sys.modules}), file=sys.stderr)"
    )
    path = os.pathsep.join((str(site), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    found = json.loads(done.stdout)
    assert found["targets"]["acme"] == "Acme's NPU: acmec makes an .acm"
    assert found["dialects"]["acme"] == "onnx: Acme's acmec: standard operators, static"
    assert done.stderr.splitlines()[-1] == "[]"


def test_the_whole_road_leads_to_it(ported: tuple[Path, dict[str, Any]]) -> None:
    folder, found = ported
    assert [(stage["name"], stage["status"]) for stage in found["stages"]] == [
        (name, "passed") for name in ("convert", "check", "compile", "bundle")
    ]
    assert (folder / "compiled" / "llama-embed.acm").read_text() == "compiled\n"
    with ZipFile(folder / "llama-embed-acme.zip") as archive:
        readme = archive.read("README.txt").decode()
        assert "acmec --help lists every option" in readme
        script = archive.read("compile/llama-embed/llama-embed.sh").decode()
        assert "acmec --model llama-embed.onnx --chip A100 --type float32" in script


def test_its_rules_are_asked(ported: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    (found,) = lwmport("check", ported[0] / "models", "--target", "acme", "--soc", "A200")["preflights"]
    assert (found["chip"], found["status"], found["findings"]) == ("A200", "passed", [])
    model = ported[0] / "models" / "llama-embed.onnx"
    fixed = lwmport("check", model, "--target", "acme", "--fix", "--out", tmp_path / "fixed.onnx")
    assert "agree on" in fixed["fixed"]["proof"]


def test_its_compiler_is_run_or_its_command_written(
    ported: tuple[Path, dict[str, Any]], toolchain: Path, tmp_path: Path
) -> None:
    given = ("compile", ported[0] / "models", "--target", "acme", "--soc", "A200", "--extra=--fast")
    (made,) = lwmport(*given, "--toolchain", toolchain, "--out", tmp_path / "made")["compilations"]
    assert (made["status"], made["products"]) == ("passed", ["llama-embed.acm"])
    (planned,) = lwmport(*given, "--out", tmp_path / "planned")["compilations"]
    assert planned["status"] == "skipped"
    assert planned["commands"][0].endswith("--fast")


def test_it_is_bundled(ported: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    words = ("--samples", "1", "--calibration", "0", "--out", tmp_path / "sent.zip")
    found = lwmport("bundle", ported[0] / "models", "--target", "acme", *words)
    assert found["bundle"]["target"] == "acme"
    lwmport("verify", tmp_path / "sent.zip")


WRONG = {
    ("check", "--soc", "A300"): "expected a chip of acme out of A100, A200, found 'A300'; did you mean",
    ("check", "--cann", "8.0"): "expected --cann with the target ascend, found acme",
    ("compile", "--precision", "bfloat16"): "expected a precision out of float32, float16 for the target acme",
    ("compile", "--calibration", "auto"): "expected --calibration with the target aipu, which quantises, found acme",
}


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_what_it_does_not_take_is_refused_in_one_line(
    words: tuple[str, ...], ported: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    command, *options = words
    given = [command, str(ported[0] / "models"), "--target", "acme", *options]
    done = CliRunner().invoke(cli, [*given, "--out", str(tmp_path)] if command == "compile" else given)
    assert WRONG[words] in str(done.exception)


def test_the_doctor_takes_it_for_a_target_that_asks_for_nothing(site: Path) -> None:
    from lwmport.targets.doctor.examine import examine
    from lwmport.targets.doctor.machine import Machine

    assert site
    found = examine(Machine(distributions={"onnxruntime": "1.31.1"}, memory=10**11, disk=10**12), "acme")
    assert found.sentence == "ready for acme"


def test_one_that_fails_is_told_by_the_list_and_the_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lwmport.cli.listing import catalogue
    from lwmport.targets.doctor.examine import examine
    from lwmport.targets.doctor.machine import Machine

    info = tmp_path / "bad_npu-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-npu\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{TARGETS.group}]\nbad = bad_npu:BAD\n")
    monkeypatch.syspath_prepend(tmp_path)
    said = "expected the target 'bad' of bad-npu (bad_npu:BAD), found ModuleNotFoundError: No module named 'bad_npu'"
    assert catalogue()["targets"]["bad (left out)"].startswith(said)
    told = [remark for remark in examine(Machine()).remarks if remark.check == "targets"]
    assert [(remark.found, remark.fix) for remark in told] == [(said, "change or uninstall that package")]
    assert set(TARGETS.table) <= set(TARGETS)
    assert "bad" not in TARGETS
    done = CliRunner().invoke(cli, ["check", str(tmp_path), "--target", "bad"])
    assert said in str(done.exception)
