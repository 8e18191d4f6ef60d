"""``--junit FILE``: what a command judged, for continuous integration; also where it ended with an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lwmport.errors import PortError, UsageError
from lwmport.types import Status

if TYPE_CHECKING:
    from lwmport.reports.junit import Result


@contextmanager
def junit(path: Path | None, suite: str) -> Iterator["list[Result]"]:
    """Yield a list for what is judged; it is written when the block ends, with the error if it ends with one.

    Raises:
        UsageError: a file that is no such document has the path; nothing was run.
        PortError: the file cannot be written.
    """
    results: list[Result] = []
    if path is None:
        yield results
        return
    from lwmport.pipeline.output_checks import check_free
    from lwmport.reports.junit import is_ours

    check_free(path, is_ours, "--junit")
    try:
        yield results
    except UsageError:
        raise
    except PortError as error:
        _write(path, suite, [_unjudged(suite, error)])
        raise
    _write(path, suite, results)


def _unjudged(suite: str, error: PortError) -> "Result":
    from lwmport.reports.junit import Result

    return Result(group=suite, name="verdict", status=Status.NOT_JUDGED, message=str(error))


def _write(path: Path, suite: str, results: "list[Result]") -> None:
    from lwmport import atomic
    from lwmport.reports.junit import document

    with atomic.new_file(path) as file:
        file.write(document(suite, results))
