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
from lwmport.targets.ascend.compile import SDK as CANN
from lwmport.targets.doctor.machine import COMMANDS, LIBRARIES, TOOLS, Machine

PATIENCE: Final = 20
"""Seconds that a card's tool may take: a hanging driver must not hang us."""

PLACES: Final = (
    *("/dev/aipu", "/dev/davinci0", "/dev/davinci_manager", "/dev/dri", "/dev/kfd"),
    *("/opt/dtk", "/opt/hyhal", "/opt/rocm", "/usr/local/Ascend"),
    *(f"{place}/set_env.sh" for place in CANN.places),
)
VERSIONS: Final = ("/opt/dtk/.info/version", "/opt/rocm/.info/version")
LARGEST: Final = 4096
"""Bytes of a file with a version that are read."""

DRIVERS: Final = (
    *("/usr/local/sbin", "/usr/local/bin", "/usr/local/Ascend/driver/tools"),
    *("/opt/hyhal/bin", "/usr/local/hyhal/bin", "/opt/dtk/bin", "/opt/rocm/bin"),
)
"""Where the tools lie that ask the cards, and MIGraphX's, which `lwmport compile` finds there too; behind the path."""

FOLDERS: Final = ("/lib64", "/usr/lib64", "/usr/local/lib", f"/usr/lib/{platform.machine()}-linux-gnu")


def probe() -> Machine:
    """Return what this machine is and has; nothing on it is changed, and nothing but the cards' tools is run."""
    tools = {name: found for name in TOOLS if (found := shutil.which(name) or _beside_the_path(name))}
    return Machine(
        system=platform.system(),
        processor=platform.machine(),
        python=(sys.version_info.major, sys.version_info.minor),
        libc=platform.libc_ver()[1] or "0",
        environment=dict(os.environ),
        distributions=_distributions(),
        said={
            name: said
            for name, words in COMMANDS.items()
            if words[0] in tools and (said := _ask((tools[words[0]], *words[1:])))
        },
        tools=tools,
        files=_files(),
        libraries=frozenset(name for name in LIBRARIES if _loadable(name)),
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


def _beside_the_path(name: str) -> str | None:
    """Return where a vendor's driver puts a tool, if it is there: a shell without the SDK's script lacks it."""
    known = {"migraphx-driver", *(words[0] for words in COMMANDS.values())}
    return shutil.which(name, path=":".join(DRIVERS)) if name in known else None


def _ask(words: tuple[str, ...]) -> str:
    """Return what a tool prints, or nothing if it fails or hangs."""
    try:
        done = subprocess.run(words, capture_output=True, check=False, timeout=PATIENCE, stdin=subprocess.DEVNULL)  # noqa: S603 - fixed words
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def _files() -> dict[str, str]:
    home = os.environ.get("ASCEND_HOME_PATH", "")
    homes = [path for path in (home, os.environ.get("ROCM_PATH", "")) if path]
    found = {path: "" for path in (*PLACES, *homes) if Path(path).exists()}
    versions = [Path(path) for path in VERSIONS]
    for place in {*homes, *CANN.places}:
        versions += [*Path(place).glob("*_install.info"), *Path(place).glob("version.cfg")]
        versions += [*Path(place).glob(f"{platform.machine()}-linux/*_install.info")]
    for path in versions:
        with contextlib.suppress(OSError):
            found[str(path)] = path.read_bytes()[:LARGEST].decode(errors="replace")
    if home:
        found.update({str(path): "" for path in Path(home, "compiler/data/platform_config").glob("*.ini")})
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
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("flags"):
                return frozenset(line.partition(":")[2].split())
    return frozenset()


def _processes() -> int | None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        return None if limit == resource.RLIM_INFINITY else limit
    return None
