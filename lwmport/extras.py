"""The one gate for optional imports: a missing framework costs its user one line that names the extra."""

import contextlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from importlib import metadata
from types import ModuleType
from typing import Final

from lwmport.errors import MissingExtraError

EXTRAS: Final = {
    "ai_edge_litert": "tflite",
    "av": "chat",
    "fast_sugiyama": "draw",
    "fastapi": "serve",
    "flatbuffers": "tflite",
    "onnxsim": "tf",
    "openvino": "openvino",
    "prometheus_client": "serve",
    "ray": "ray",
    "tensorflow": "tf",
    "tensorstore": "orbax",
    "tf2onnx": "tf",
    "tokenizers": "chat",
    "torch": "torch",
    "transformers": "hf",
    "uvicorn": "serve",
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
    "ai-edge-litert",
    "flatbuffers",
    "openvino",
    "tensorflow",
    "tensorflow-cpu",
    "tf2onnx",
    "torch",
    "transformers",
)
"""Distributions whose versions go into a manifest: those that can change a number or a byte."""


QUIET: Final = {"tensorflow": {"TF_CPP_MIN_LOG_LEVEL": "3"}}
"""Modules that greet when imported -> settings that keep them quiet later; the user's own come first."""


def require(module: str) -> ModuleType:
    """Return the imported optional module.

    Raises:
        MissingExtraError: the module is not installed; the message holds the line that installs it.
    """
    try:
        with _silence(module):
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing(error) from error


@contextlib.contextmanager
def _silence(module: str) -> Iterator[None]:
    """Send what a module's libraries say while it is imported nowhere: TensorFlow greets before it reads a setting."""
    if module not in QUIET or module in sys.modules:
        yield
        return
    for name, value in QUIET[module].items():
        os.environ.setdefault(name, value)
    with silence():
        yield


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Send what libraries in C write to standard error nowhere."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def missing(error: ModuleNotFoundError) -> MissingExtraError | ModuleNotFoundError:
    """Return the error that names the extra, if the module that was not found is an optional one, else ``error``."""
    name = (error.name or "").split(".")[0]
    if name not in EXTRAS:
        return error
    return MissingExtraError(
        f"expected the module {name!r}, found none in this environment; run: pip install 'lwmport[{EXTRAS[name]}]'"
    )


def check_installed(*modules: str) -> None:
    """Return if some optional modules could be imported; none is.

    Raises:
        MissingExtraError: one is not installed; the message holds the line that installs it.
    """
    for module in modules:
        if not installed(module):
            raise missing(ModuleNotFoundError(name=module))


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
