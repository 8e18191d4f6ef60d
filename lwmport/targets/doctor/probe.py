"""The snapshot of this machine."""

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Final

from lwmport import memory
from lwmport.processors import described
from lwmport.targets.doctor.doctor import Doctor
from lwmport.targets.doctor.doctors import doctors
from lwmport.targets.doctor.machine import Machine

PATIENCE: Final = 20
"""Seconds that a card's tool may take: a hanging driver must not hang us."""

LARGEST: Final = 4096
"""Bytes of a file with a version that are read."""

DRIVERS: Final = ("/usr/local/sbin", "/usr/local/bin")
"""Where any vendor's tools may lie, behind the path."""

FOLDERS: Final = ("/lib64", "/usr/lib64", "/usr/local/lib", f"/usr/lib/{platform.machine()}-linux-gnu")


def probe() -> Machine:
    """Return what this machine is and has; nothing on it is changed, and nothing but the cards' tools is run."""
    asking = doctors()
    tools = {name: path for doctor in asking for name, path in _tools(doctor).items()}
    return Machine(
        system=platform.system(),
        processor=platform.machine(),
        python=(sys.version_info.major, sys.version_info.minor),
        libc=platform.libc_ver()[1] or "0",
        environment=dict(os.environ),
        distributions=_distributions(),
        said={
            name: said
            for doctor in asking
            for name, words in doctor.commands.items()
            if words[0] in tools and (said := _ask((tools[words[0]], *words[1:])))
        },
        tools=tools,
        files={path: text for doctor in asking for path, text in _files(doctor).items()},
        libraries=frozenset(name for doctor in asking for name in doctor.libraries if _loadable(name)),
        flags=_flags(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1),
        memory=memory.free_bytes() or 0,
        disk=shutil.disk_usage(Path.cwd()).free,
        processes=_processes(),
    )


def _distributions() -> dict[str, str]:
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    return found


def _tools(doctor: Doctor) -> dict[str, str]:
    """Return the place of each executable that is there. Those of a vendor's driver need not be on the path."""
    names = dict.fromkeys((*doctor.tools, *(words[0] for words in doctor.commands.values())))
    beside = ":".join((*DRIVERS, *doctor.folders))
    return {name: path for name in names if (path := shutil.which(name) or shutil.which(name, path=beside))}


def _ask(words: tuple[str, ...]) -> str:
    """Return what a tool prints, or nothing if it fails or hangs."""
    try:
        done = subprocess.run(words, capture_output=True, check=False, timeout=PATIENCE, stdin=subprocess.DEVNULL)  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def _files(doctor: Doctor) -> dict[str, str]:
    """Return the paths that exist, with the text of those that tell a version."""
    named = [os.environ[name] for name in doctor.variables if os.environ.get(name)]
    found = {path: "" for path in (*doctor.places, *named) if Path(path).exists()}
    for home in dict.fromkeys((*named, *doctor.homes)):
        for path in (path for pattern in doctor.versions for path in sorted(Path(home).glob(pattern))):
            with contextlib.suppress(OSError):
                found[str(path)] = path.read_bytes()[:LARGEST].decode(errors="replace")
    for home in named:
        found.update({str(path): "" for pattern in doctor.parts for path in Path(home).glob(pattern)})
    return found


def _loadable(name: str) -> bool:
    """Return whether the loader would find a library: by its path, in its usual folders, or in its cache."""
    folders = [*os.environ.get("LD_LIBRARY_PATH", "").split(":"), *FOLDERS]
    if any(folder and Path(folder, name).exists() for folder in folders):
        return True
    cache = Path("/etc/ld.so.cache")
    with contextlib.suppress(OSError):
        return name.encode() in cache.read_bytes()
    return False


def _flags() -> frozenset[str]:
    return frozenset((described("flags") or "").split())


def _processes() -> int | None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        return None if limit == resource.RLIM_INFINITY else limit
    return None
