"""A peer whose packages do not go together with the others' lives in an environment of its own.

Such an interpreter runs this folder's scripts with its own packages: what it is to import must not need ``lwmport``.
"""

import json
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tables import python_and_versions

OWN: Final = sys.executable
"""The interpreter that runs the benchmark."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What an interpreter is, which of the wanted modules it lacks, and the versions that a number may depend on."""

    python: str
    versions: dict[str, str]
    missing: list[str]


def named(word: str) -> tuple[str, str]:
    """Return the contender and the interpreter of a ``NAME=INTERPRETER``.

    Raises:
        ArgumentTypeError: it is none.
    """
    name, _, interpreter = word.partition("=")
    if not name or not Path(interpreter).is_file():
        raise ArgumentTypeError(f"expected NAME=INTERPRETER, a contender and a Python that is there, found {word!r}")
    return name, interpreter


def command(interpreter: str, script: Path, *arguments: str) -> list[str]:
    """Return what runs a script; the variables that add packages to this interpreter are not for another one."""
    return [interpreter, *([] if interpreter == OWN else ["-E"]), str(script), *arguments]


def environment(interpreter: str, modules: Sequence[str]) -> Environment:
    """Return what an interpreter says of itself.

    Args:
        interpreter: its path.
        modules: names of modules that it should have.

    Raises:
        RuntimeError: it does not run.
    """
    if interpreter == OWN:
        return _own(modules)
    asked = command(interpreter, Path(__file__), *modules)
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(f"{interpreter} does not run: {error}") from error
    return Environment(**json.loads(done.stdout))


def _own(modules: Sequence[str]) -> Environment:
    python, versions = python_and_versions()
    return Environment(python=python, versions=versions, missing=[name for name in modules if find_spec(name) is None])


if __name__ == "__main__":
    print(json.dumps(asdict(_own(sys.argv[1:]))))
