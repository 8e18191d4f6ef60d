"""What a runner needs in order to start, asked without importing it: modules, libraries, devices."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from lwmport import extras

Need: TypeAlias = Callable[[], str]
"""Returns what is missing and what to do, in one line; an empty text if nothing is."""


def module(*names: str, fix: str = "") -> Need:
    """Return the need of a Python module, or of any one of several.

    ``fix`` says what to do without it; for an extra of this package, the line that installs it.
    """
    extra = extras.EXTRAS.get(names[0])
    advice = fix or f"run: pip install 'lwmport[{extra}]'"

    def why_not() -> str:
        if any(extras.installed(name) for name in names):
            return ""
        return f"expected the module {' or '.join(names)}, found none in this environment; {advice}"

    return why_not


def library(package: str, name: str, fix: str) -> Need:
    """Return the need of a file in the folder of an installed package: a build of it for other hardware lacks it."""

    def why_not() -> str:
        found = importlib.util.find_spec(package) if extras.installed(package) else None
        places = (found.submodule_search_locations if found else None) or ()
        if any(Path(place, name).is_file() for place in places):
            return ""
        return f"expected {name} in the package {package}, found {'none' if places else f'no {package}'}; {fix}"

    return why_not


def device(pattern: str, fix: str) -> Need:
    """Return the need of a device file below /dev, by a pattern of its name."""

    def why_not() -> str:
        if any(Path("/dev").glob(pattern)):
            return ""
        return f"expected a device /dev/{pattern}, found none; {fix}"

    return why_not
