"""A request to end is heard even where the exception that it raises was swallowed."""

import gc
import signal
import sys
from collections.abc import Iterator

import pytest

from lwmport.cli import interruption
from lwmport.cli.progress import BarProgress, PlainProgress


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    hook = sys.unraisablehook
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    interruption.listen()
    yield
    interruption.listen()
    sys.unraisablehook = hook
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", [PlainProgress, BarProgress])
def test_what_was_swallowed_is_raised_again_by_progress(
    number: int, kind: type[PlainProgress | BarProgress], capsys: pytest.CaptureFixture[str]
) -> None:
    observer = kind()
    observer.phase("work")
    observer.progress("weights", 1, 2)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    with pytest.raises(KeyboardInterrupt):
        observer.phase("more work")
    with pytest.raises(KeyboardInterrupt):
        observer.progress("weights", 2, 2)
    assert "more work" not in capsys.readouterr().err
    interruption.listen()
    observer.phase("another run")


class Swallowing:
    """An object whose end raises what Python prints and ignores."""

    def __init__(self, raised: BaseException) -> None:
        self.raised = raised

    def __del__(self) -> None:
        raise self.raised


@pytest.mark.parametrize(("raised", "said"), [(KeyboardInterrupt(), ""), (ValueError("odd"), "ValueError: odd")])
def test_only_a_lost_request_is_not_printed(
    raised: BaseException, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Swallowing(raised)
    gc.collect()
    found = capsys.readouterr().err
    assert (said in found) if said else not found
