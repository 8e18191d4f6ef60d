"""What a full disk makes others say is told as what it is."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from lwmport import disk
from lwmport.errors import PortError, RunnerError


@pytest.mark.parametrize(("free", "told"), [(10, PortError), (1000, RunnerError)])
def test_a_full_disk_is_blamed_and_no_other(
    free: int, told: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    with pytest.raises(told) as caught, disk.blamed(tmp_path / "none", 100, RunnerError):
        raise RunnerError("ONNX Runtime refused model.onnx")
    assert type(caught.value) is told
    assert ("expected 100 bytes free, found 10 left on its disk" in str(caught.value)) == (told is PortError)
    with pytest.raises(ValueError, match="odd"), disk.blamed(tmp_path, 100, RunnerError):
        raise ValueError("odd")
