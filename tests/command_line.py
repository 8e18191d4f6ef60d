"""The command line in this process: what a shell gets of it, without an interpreter that imports everything anew.

What only a process of its own can show (signals, what libraries print, memory, a fresh start) is tested in one.
"""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from lwmport.cli import interruption


def lwmport(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Return the exit code and the words of ``lwmport WORDS``, as `subprocess.run` tells them.

    It runs what the installed command runs, but does not take over signals.
    """
    from lwmport.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["lwmport", *map(str, words)])
        patch.setattr(interruption, "listen", lambda: None)
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as end:
            main()
    assert isinstance(end.value.code, int)
    return subprocess.CompletedProcess(sys.argv, end.value.code, out.getvalue(), err.getvalue())
