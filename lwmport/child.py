"""Work on a stranger's model in a process of its own, which may take so much memory and time and no more.

A runtime is native code: a model can make it fill the memory, divide by zero, or never end. In a child that costs one
line. The child is a fresh interpreter that imports one module; values go there and back by `lwmport.parcel`, so that
nothing that the child sends can run here.
"""

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from lwmport import errors, memory, parcel
from lwmport.errors import ChildError, PortError, one_line
from lwmport.processors import processors
from lwmport.wording import shown

SECONDS: Final = "LWMPORT_SECONDS"
"""The variable of the environment that sets the seconds that a child has."""

BYTES: Final = "LWMPORT_BYTES"
"""The same for its bytes of memory."""

LEAST_SECONDS: Final = 45.0
"""What every child has; a model of kilobytes needs one second."""

BYTES_PER_SECOND: Final = 2 << 20
"""How fast weights and values have to be gone through: a hundred times slower than one core that multiplies them."""

LEAST_BYTES: Final = 3 << 29
"""What every child has: an interpreter with a runtime takes 200 MB of it, the threads of the runtime some more."""

THREAD_BYTES: Final = 16 << 20
"""The stack of a thread, of which a runtime has one for each processor, and what it takes beside it."""

COPIES: Final = 4
"""How often weights and values may be in memory: mapped, packed, folded, and on their way back."""

SPARED: Final = 1 << 29
"""What a child leaves free on the machine."""

LONGEST: Final = 1 << 16
"""Bytes of a child's own words that are kept, from the end."""

OUT_OF_MEMORY: Final = ("bad_alloc", "bad allocation", "Failed to allocate memory", "Unable to allocate", "MemoryError")
"""What runtimes say when they get no memory."""

LONG: Final = 10**6
"""Seconds that a process may work which is asked again and again."""

DEATHS: Final[dict[int, str]] = {
    signal.SIGFPE: "an integer division by zero in a runtime's own code",
    signal.SIGSEGV: "a runtime read where there is no memory",
    signal.SIGABRT: "a runtime gave up",
    signal.SIGBUS: "a file that is mapped was cut, or the disk failed",
    signal.SIGILL: "a runtime was built for another processor",
}


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a child may take: seconds by the clock, and bytes of memory beside the pages of files that are only read."""

    seconds: float
    nbytes: int

    @classmethod
    def of(cls, held: int, values: int = 0) -> "Bounds":
        """Return the bounds for a model of ``held`` bytes whose inputs, outputs and values take ``values`` bytes.

        The user's own, in the environment, come first. Memory is no more than what is free here.
        """
        need = LEAST_BYTES + THREAD_BYTES * processors() + COPIES * (held + values)
        free = memory.free_bytes()
        found = cls(
            seconds=LEAST_SECONDS + (held + values) / BYTES_PER_SECOND,
            nbytes=need if free is None else max(LEAST_BYTES, min(need, free - SPARED)),
        )
        return replace(found, seconds=_number(SECONDS) or found.seconds, nbytes=_number(BYTES) or found.nbytes)


class Answer(NamedTuple):
    """What a function returned in a child, and what the child printed, cut to the end of it."""

    value: Any
    said: str


def call(function: Callable[..., Any], arguments: Mapping[str, Any], bounds: Bounds, about: str) -> Answer:
    """Return what a function makes of its arguments in a process of its own.

    ``function`` stands at the top of a module. Arguments and result are what `lwmport.parcel` takes: JSON's kinds,
    arrays, paths, tuples. ``about`` says in messages what the work is: ``the trials of model.onnx``.

    Raises:
        ChildError: the child died, took more than its bounds, or raised what is no error of ours; ``cause`` says which.
        PortError: what the function raised, if it is an error of ours.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as said:
        name = f"{function.__module__}:{function.__qualname__}"
        parcel.write(given, {"function": name, "arguments": dict(arguments), "bytes": bounds.nbytes, "path": sys.path})
        code = _run([given.fileno(), answer.fileno()], said, bounds.seconds)
        words = _end_of(said)
        if code != 0:
            raise _death(code, about, bounds, words)
        found = parcel.read(answer)
    if "value" not in found:
        raise failure(str(found.get("kind")), str(found.get("error")), about, bounds)
    return Answer(found["value"], words)


class Server:
    """A function that stays in a process of its own, keeps what it has opened, and is asked again and again.

    ``function`` stands at the top of a module. It is called once, with ``arguments``, and returns what answers. A
    process that died is started anew by the next question.

    Args:
        function, arguments, about: as those of `call`.
        bounds: of memory for the whole life of the process, of time for each question.
    """

    def __init__(self, function: Callable[..., Any], arguments: Mapping[str, Any], bounds: Bounds, about: str) -> None:
        self._work = {
            "function": f"{function.__module__}:{function.__qualname__}",
            "arguments": dict(arguments),
            "bytes": bounds.nbytes,
            "path": sys.path,
        }
        self._bounds, self._about = bounds, about
        self._process: subprocess.Popen[bytes] | None = None
        self._files = contextlib.ExitStack()
        files = (self._files.enter_context(tempfile.TemporaryFile()) for _ in range(3))  # noqa: SIM115
        self._given, self._answer, self._said = files

    def ask(self, **arguments: Any) -> Any:
        """Return what the function makes of some arguments.

        Raises:
            ChildError: the process died, took more than its bounds, or raised what is no error of ours.
            PortError: what the function raised, if it is an error of ours.
        """
        process = self._process or self._started()
        self._send(arguments)
        if not self._is_answered(process):
            code = None if process.poll() is None else process.returncode
            words = _end_of(self._said)
            self._stop()
            raise _death(code, self._about, self._bounds, words)
        found = parcel.read(self._answer)
        if "value" not in found:
            raise failure(str(found.get("kind")), str(found.get("error")), self._about, self._bounds)
        return found["value"]

    def rest(self) -> None:
        """End the process, and give back its memory; the next question starts another one."""
        self._stop()

    def close(self) -> None:
        """End the process and give back its files. A second call does nothing."""
        self._stop()
        self._files.close()

    def _started(self) -> "subprocess.Popen[bytes]":
        files = [self._given.fileno(), self._answer.fileno()]
        words = [sys.executable, "-P", "-m", "lwmport.child", *map(str, files), str(os.getpid()), str(LONG), "serve"]
        path = os.pathsep.join(item or str(Path.cwd()) for item in sys.path)
        self._process = subprocess.Popen(  # noqa: S603 - our own module, in our own interpreter
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            pass_fds=files,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        _put(self._given, self._work)
        self._process.stdin.write(b".")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]
        return self._process

    def _send(self, arguments: Mapping[str, Any]) -> None:
        """Wait until the last message was taken, and put the next one in its place."""
        process = self._process
        if process is None or not self._is_answered(process):
            return
        _put(self._given, dict(arguments))
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b".")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]

    def _is_answered(self, process: "subprocess.Popen[bytes]") -> bool:
        """Return whether the process answers within the seconds that a question may take."""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
            if not selector.select(self._bounds.seconds):
                return False
        if os.read(process.stdout.fileno(), 1):  # type: ignore[union-attr]
            return True
        process.wait()
        return False

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _put(file: IO[bytes], value: Any) -> None:
    file.seek(0)
    file.truncate()
    parcel.write(file, value)


def _run(files: list[int], said: IO[bytes], seconds: float) -> int | None:
    """Return the exit code of a child, None if its time was up; it and what it started are gone then."""
    words = [sys.executable, "-P", "-m", "lwmport.child", *map(str, files), str(os.getpid()), str(int(seconds))]
    path = os.pathsep.join(item or str(Path.cwd()) for item in sys.path)
    process = subprocess.Popen(  # noqa: S603 - our own module, in our own interpreter
        words,
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        pass_fds=files,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _death(code: int | None, about: str, bounds: Bounds, words: str) -> PortError:
    """Return what to raise when a child ended with another exit code than 0; it is None where its time was up."""
    if code is None or -code == signal.SIGXCPU:
        return failure("TimeoutExpired", "", about, bounds)
    if -code == signal.SIGKILL or any(word in words for word in OUT_OF_MEMORY):
        return failure("MemoryError", "", about, bounds)
    if code > 0:
        return ChildError(f"expected {about} to end, found exit code {code}: {_last(words)}")
    known = {int(number): number.name for number in signal.Signals}
    told = f"; its last words: {_last(words)}" if words.strip() else ""
    return ChildError(
        f"expected {about} to end, found it killed by {known.get(-code, -code)}, {DEATHS.get(-code, 'from outside')}"
        f"{told}; this runtime cannot compute this model on these inputs",
        cause="signal",
    )


def failure(kind: str, text: str, about: str, bounds: Bounds) -> PortError:
    """Return what to raise for an exception of a child, by the name of its class and its text.

    A runtime's own error becomes one of memory where its text says so.
    """
    if kind == "MemoryError" or any(word in text for word in OUT_OF_MEMORY):
        return ChildError(
            f"expected {about} to take at most {bounds.nbytes:,} bytes of memory, found that it takes more; use "
            f"smaller inputs or a larger machine, or allow more: {BYTES}=N",
            cause="memory",
        )
    if kind == "TimeoutExpired":
        return ChildError(
            f"expected {about} to end within {bounds.seconds:,.0f} s, found it still at work; use smaller inputs, or "
            f"allow more: {SECONDS}=N",
            cause="time",
        )
    ours = getattr(errors, kind, None)
    if isinstance(ours, type) and issubclass(ours, PortError):
        return ours(text)
    return ChildError(f"expected {about} to end, found {shown(kind)}: {text[:1000]}")


def _number(variable: str) -> int:
    """Return a whole number out of the environment, 0 where there is none.

    Raises:
        UsageError: it is something else.
    """
    text = os.environ.get(variable, "")
    if text and not (text.isdecimal() and int(text)):
        raise errors.UsageError(f"expected a whole number above 0 in {variable}, found {shown(text)}")
    return int(text or 0)


def _end_of(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LONGEST))
    return file.read().decode("utf-8", "replace")


def _last(words: str) -> str:
    lines = [line for line in words.splitlines() if line.strip()]
    return shown(lines[-1].strip()) if lines else "nothing was said"


def main() -> int:
    """Do the work of the child: read what to call, call it, and write what came of it."""
    given, answer, parent, seconds = map(int, sys.argv[1:5])
    if sys.argv[5:] == ["serve"]:
        return _serve(given, answer, parent, seconds)
    with os.fdopen(given, "rb") as file:
        work = parcel.read(file)
    _obey(parent, seconds, work["bytes"])
    sys.path[:] = work["path"]
    found = _told(lambda: _called(work))
    with os.fdopen(answer, "wb") as file:
        parcel.write(file, found)
    sys.stdout.flush()
    os._exit(0)  # what a runtime does when it is unloaded is not our concern


def _serve(given: int, answer: int, parent: int, seconds: int) -> int:
    """Answer questions until there are no more; the first message says what answers them.

    A byte on standard input says that a message was written, one on the way out that it was read, or is answered.
    """
    ready, out = os.dup(1), os.fdopen(answer, "wb")
    os.dup2(2, 1)  # what a runtime prints is no answer
    sys.stdin.buffer.read(1)
    with os.fdopen(given, "rb", buffering=0) as file:
        work = parcel.read(file)
        _obey(parent, seconds, work["bytes"])
        sys.path[:] = work["path"]
        function: Any = None
        os.write(ready, b".")
        while sys.stdin.buffer.read(1):
            arguments = parcel.read(file)

            def answered(arguments: Mapping[str, Any] = arguments) -> Any:
                nonlocal function
                function = function or _called(work)
                return function(**arguments)

            _put(out, _told(answered))
            os.write(ready, b"..")
    os._exit(0)


def _called(work: Mapping[str, Any]) -> Any:
    """Return what the function that is named makes of its arguments."""
    module, _, name = work["function"].partition(":")
    return getattr(import_module(module), name)(**work["arguments"])


def _told(function: Callable[[], Any]) -> dict[str, Any]:
    """Return the value of a function, or the kind and the text of what it raised, as the parent reads it."""
    try:
        return {"value": function()}
    except MemoryError:
        return {"kind": "MemoryError", "error": ""}
    except Exception as error:  # noqa: BLE001 - the parent tells it
        text = str(error) if isinstance(error, PortError) else one_line(error)
        return {"kind": type(error).__name__, "error": text}


def _obey(parent: int, seconds: int, nbytes: int) -> None:
    """Bound this process: its memory, its time, its files; and let it end with its parent."""
    for kind, most in (
        (resource.RLIMIT_DATA, nbytes),  # Linux counts memory that can be written; weights that are mapped are not
        (resource.RLIMIT_FSIZE, nbytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, (seconds + 1) * processors()),
    ):
        with contextlib.suppress(ValueError, OSError):
            soft, hard = resource.getrlimit(kind)
            bounds = [bound for bound in (most, soft, hard) if bound != resource.RLIM_INFINITY]
            resource.setrlimit(kind, (min(bounds), hard))
    end_with(parent)


def end_with(parent: int) -> None:
    """Let this process end with the one that started it, at once if that is gone."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
