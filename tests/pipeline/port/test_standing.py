"""A port replaces what it wrote before, from the back, and nothing of the user's."""

import json
import zipfile
from pathlib import Path

import pytest

from lwmport import plain
from lwmport.errors import UsageError
from lwmport.pipeline.port.standing import COMPILED, MODELS, check_ours, withdraw
from lwmport.targets.compile.record import results
from lwmport.types import Compilation, Preflight, Status

ZIP = "m-cpu.zip"


@pytest.fixture
def port(tmp_path: Path) -> Path:
    """Return a folder as a port leaves it, with a file of the user's."""
    (tmp_path / MODELS).mkdir()
    (tmp_path / MODELS / "m.onnx").write_text("ours")
    made = Compilation(
        component="m", artifact="m.onnx", target="cpu", tool="t", status=Status.PASSED, reason="", folder="..",
        commands=(),
    )  # fmt: skip
    with results(tmp_path / COMPILED, "m") as (scratch, done):
        (scratch / "m.om").write_text("ours")
        done(made)
    (tmp_path / COMPILED / "notes.txt").write_text("mine")
    preflight = Preflight(artifact="m.onnx", target="cpu", chip="", status=Status.PASSED, findings=())
    (tmp_path / "preflight.json").write_text(json.dumps(plain.encode((preflight,))))
    (tmp_path / "port.json").write_text('{"format": "lwmport-port/3"}')
    with zipfile.ZipFile(tmp_path / ZIP, "w") as archive:
        archive.writestr("bundle.json", '{"format": "lwmport-bundle/1"}')
    return tmp_path


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_a_port_wrote_is_ours_and_goes_from_the_back(port: Path) -> None:
    check_ours(port, port / ZIP)
    withdraw(port, port / ZIP, ("compile", "bundle"))
    assert names(port) == {"models/m.onnx", "compiled/notes.txt", "preflight.json"}
    withdraw(port, port / ZIP, ("check", "compile", "bundle"))
    assert names(port) == {"models/m.onnx", "compiled/notes.txt"}


@pytest.mark.parametrize("name", ["preflight.json", "port.json", ZIP])
@pytest.mark.parametrize("content", [b"", b"mine", b"[1]", b'{"mine": 1}', b"PK"])
def test_a_file_of_the_users_is_refused(name: str, content: bytes, port: Path) -> None:
    (port / name).write_bytes(content)
    with pytest.raises(UsageError, match=f"expected nothing at .*{name}"):
        check_ours(port, port / ZIP)
    assert (port / name).read_bytes() == content


@pytest.mark.parametrize("name", ["preflight.json", "port.json", ZIP, MODELS, COMPILED])
def test_a_link_is_refused(name: str, port: Path) -> None:
    (port / name).rename(port / "elsewhere")
    (port / name).symlink_to(port / "elsewhere")
    with pytest.raises(UsageError, match="found a link"):
        check_ours(port, port / ZIP)
