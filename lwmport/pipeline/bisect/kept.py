"""What an unfinished search has found so far, in the folder of its report, for the run that goes on."""

import time
from pathlib import Path
from typing import Any, Final

from lwmport import parcel
from lwmport.errors import ArtifactError

EVERY: Final = 20.0
"""Seconds between two times that a search writes down how far it is."""


class Kept:
    """Values by name, as `lwmport.parcel` writes them, of one component; without a folder nothing is kept."""

    def __init__(self, folder: Path | None, component: str) -> None:
        self._folder, self._component = folder, component
        self._last = time.monotonic()

    def read(self, name: str) -> Any:
        """Return what was written under a name, None where nothing was."""
        path = self._path(name)
        if path is None or not path.is_file():
            return None
        try:
            with path.open("rb") as file:
                return parcel.read(file)
        except ArtifactError:
            return None

    def write(self, name: str, value: Any) -> None:
        """Write a value in the place of an earlier one of this name."""
        path = self._path(name)
        if path is not None:
            new = path.with_name(f"{path.name}.new")
            with new.open("wb") as file:
                parcel.write(file, value)
            new.replace(path)

    def is_due(self) -> bool:
        """Return whether it is time to write down how far the work is; it then is not again for a while."""
        due = self._folder is not None and time.monotonic() - self._last >= EVERY
        if due:
            self._last = time.monotonic()
        return due

    def _path(self, name: str) -> Path | None:
        return None if self._folder is None else self._folder / f".{self._component}.{name}.journal"
