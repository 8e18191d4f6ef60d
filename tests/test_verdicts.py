"""Passed, failed and not judged are three things, each with one exit code."""

from dataclasses import replace
from pathlib import Path

import pytest

from lwmport import manifest
from lwmport.types import Status
from lwmport.verdicts import combined, exit_code, file_faults

P, F, N = Status.PASSED, Status.FAILED, Status.NOT_JUDGED


@pytest.mark.parametrize(
    ("found", "wanted"), [((P, P), P), ((P, N), N), ((N, F, P), F), ((), N), ((N,), N), ((P, Status.SKIPPED), P)]
)
def test_one_failure_decides_then_one_that_was_not_judged(found: tuple[Status, ...], wanted: Status) -> None:
    assert combined(found) is wanted


def test_each_verdict_has_its_exit_code() -> None:
    assert [exit_code(status) for status in (P, F, N)] == [0, 1, 3]


def test_a_missing_file_is_not_judged_a_changed_one_fails(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"abcd")
    entry = manifest.file_entry(tmp_path, path)
    assert file_faults(tmp_path, [entry]) == ()
    for content in (b"abcx", b"abcde", b"abc"):
        path.write_bytes(content)
        (fault,) = file_faults(tmp_path, [entry])
        assert fault.status is F
        assert "its digest differs, expected 4 bytes" in fault.reason
    (fault,) = file_faults(tmp_path, [replace(entry, name="b.onnx")])
    assert (fault.status, fault.reason) == (N, "b.onnx: expected a file of the artifact, found none")
