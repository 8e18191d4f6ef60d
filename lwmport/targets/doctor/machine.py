"""A snapshot of a machine: all that the checks look at. A test can make one up."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a machine is and has.

    What is looked for is what some `lwmport.targets.doctor.doctor.Doctor` asks for. ``said`` holds the answers of
    commands that are installed and succeeded, ``tools`` which tools there are and where. ``files`` are paths that
    exist, with the text of those that hold a version. ``libraries`` are those that the loader finds. Sizes are in
    bytes; ``processes`` is the limit on processes of this user.
    """

    system: str = "Linux"
    processor: str = "x86_64"
    python: tuple[int, int] = (3, 11)
    libc: str = "2.36"
    environment: Mapping[str, str] = field(default_factory=dict)
    distributions: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    libraries: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    cores: int = 1
    memory: int = 0
    disk: int = 0
    processes: int | None = None

    def has_file(self, prefix: str) -> bool:
        """Return whether a file or folder of this name, or beginning so, is there."""
        return any(path.startswith(prefix) for path in self.files)

    def version(self, distribution: str) -> tuple[int, ...] | None:
        """Return the version of an installed distribution as numbers, None if it is not installed."""
        return numbers(self.distributions[distribution]) if distribution in self.distributions else None


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: ``8.5.0.RC1`` is (8, 5, 0)."""
    return tuple(int(part) for part in re.match(r"\d*(?:\.\d+)*", version.strip()).group().split(".") if part)  # type: ignore[union-attr]
