"""The one gate for optional imports: a missing framework costs its user one line that names the extra."""

import importlib
import importlib.util
from importlib import metadata
from types import ModuleType
from typing import Final

from lwmport.errors import MissingExtraError

EXTRAS: Final = {
    "torch": "torch",
}
"""Import name of an optional module -> the extra of this package that installs it."""

DISTRIBUTIONS: Final = (
    "lwmport",
    "jax",
    "jaxlib",
    "flax",
    "numpy",
    "onnx",
    "onnx-ir",
    "onnxruntime",
    "onnxsim",
    "torch",
)
"""Distributions whose versions go into a manifest: those that can change a number or a byte."""


def require(module: str) -> ModuleType:
    """Return the imported optional module.

    Raises:
        MissingExtraError: the module is not installed; the message holds the line that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        extra = EXTRAS[module]
        raise MissingExtraError(
            f"expected the module {module!r}, found none in this environment; run: pip install 'lwmport[{extra}]'"
        ) from error


def installed(module: str) -> bool:
    """Return whether the module could be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def versions() -> dict[str, str]:
    """Return the installed version of every distribution that can change a number or a byte."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
