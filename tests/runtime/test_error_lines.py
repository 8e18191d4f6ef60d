"""A run about which a runtime reports an error is no result."""

import os
import threading

import pytest

from lwmport.errors import RunnerError
from lwmport.runtime.error_lines import watched

LINE = (
    b"\x1b[1;31m2026-01-01 00:00:00 [E:onnxruntime:, kernel.cc:677 Run] idx=27219 must be within [-8448,8447]\x1b[m\n"
)


def test_an_error_line_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with (
        pytest.raises(RunnerError, match=r"ONNX Runtime reports an error.*\[E:.*idx=27219 must be within"),
        watched("ONNX Runtime"),
    ):
        os.write(2, b"before\n" + LINE)
    assert capfd.readouterr().err == "before\n"


def test_other_lines_are_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with watched("ONNX Runtime"):
        os.write(2, b"[W:onnxruntime:, x.cc:1] a warning\n")
    assert capfd.readouterr().err == "[W:onnxruntime:, x.cc:1] a warning\n"


def test_an_exception_of_the_run_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    def failing() -> None:
        with watched("ONNX Runtime"):
            os.write(2, LINE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    with watched("ONNX Runtime"):  # standard error is itself again, and free
        os.write(2, b"after\n")
    assert "after\n" in capfd.readouterr().err


def test_a_second_thread_does_not_wait() -> None:
    done = threading.Event()

    def second() -> None:
        with watched("ONNX Runtime"):
            done.set()

    with watched("ONNX Runtime"):
        thread = threading.Thread(target=second)
        thread.start()
        assert done.wait(30)
        thread.join()
