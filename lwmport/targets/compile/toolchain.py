"""Where a vendor's tool is: the folder that was named, the SDK's own variables, its usual places, the path."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lwmport.errors import UsageError

FOLDERS: Final = ("", "bin", "compiler/bin", "tools/bin", "latest/bin", "latest/compiler/bin")
"""Where an SDK keeps its executables, below its own folder."""


@dataclass(frozen=True, kw_only=True)
class Sdk:
    """How one vendor installs its tools.

    ``variables`` are those that its environment script sets to its folder; ``places`` are where it is usually
    installed; ``scripts`` are the environment scripts, relative to the folder, and ``after`` is what a shell does after
    them: a line that must not fail.
    """

    variables: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    after: str = ""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """An executable, and the script that has to be sourced before it runs, if it was found outside the path."""

    path: Path
    script: Path | None = None
    after: str = ""

    def words(self, options: tuple[str, ...]) -> list[str]:
        """Return the words to run: through bash where an environment script comes first."""
        if self.script is None and not self.after:
            return [str(self.path), *options]
        # The scripts read unset variables: never under `set -u`.
        line = f'[ -z "$1" ] || . "$1" >/dev/null; shift; {self.after or ":"}; exec "$@"'
        return ["bash", "-c", line, "bash", str(self.script or ""), str(self.path), *options]


def find(
    names: tuple[str, ...], sdk: Sdk, toolchain: Path | None, environment: Mapping[str, str] = os.environ
) -> Tool | None:
    """Return the first of some executables that is installed, or None.

    Raises:
        UsageError: a toolchain is named that does not exist.
    """
    if toolchain is not None:
        return _in_toolchain(names, sdk, toolchain)
    on_path = _first(shutil.which(name, path=environment.get("PATH")) for name in names)
    if on_path:
        return Tool(path=Path(on_path), after=sdk.after)
    homes = [environment[name] for name in sdk.variables if environment.get(name)]
    for home in map(Path, (*homes, *sdk.places)):
        found = _below(home, names)
        if found:
            return Tool(path=found, script=None if str(home) in homes else _script(home, sdk), after=sdk.after)
    return None


def _in_toolchain(names: tuple[str, ...], sdk: Sdk, toolchain: Path) -> Tool | None:
    if not toolchain.exists():
        raise UsageError(f"expected the toolchain's folder or one of its executables, found nothing at {toolchain}")
    if toolchain.is_file():
        named = toolchain if toolchain.name in names else _below(toolchain.parent, names)
        return Tool(path=named.absolute(), script=_script_above(named, sdk), after=sdk.after) if named else None
    found = _below(toolchain, names)
    if found is None:
        return None
    return Tool(path=found.absolute(), script=_script(toolchain, sdk) or _script_above(found, sdk), after=sdk.after)


def _below(home: Path, names: tuple[str, ...]) -> Path | None:
    candidates = (home / folder / name for name in names for folder in FOLDERS)
    return _first(path for path in candidates if path.is_file() and os.access(path, os.X_OK))


def _script(home: Path, sdk: Sdk) -> Path | None:
    return _first(home.absolute() / name for name in sdk.scripts if (home / name).is_file())


def _script_above(executable: Path, sdk: Sdk) -> Path | None:
    """Return the environment script of the SDK that an executable belongs to: one or two folders up."""
    return _first(script for home in list(executable.absolute().parents)[:3] if (script := _script(home, sdk)))


def _first(found: "Iterator[str | None] | Iterator[Path]") -> "Path | None":
    return next((Path(item) for item in found if item), None)
