"""Port LWM (Large World Model) from JAX to other runtimes, and prove that the numbers hold.

The Python API, loaded on first use:

- `convert(Request(...))` makes artifacts, a manifest and a report, as ``lwmport convert`` does;
- `validate(Trial(...))` judges them again;
- `load(path)` opens one artifact and runs it on numpy arrays, videos included.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lwmport.pipeline.convert import convert
    from lwmport.pipeline.model import Model, load
    from lwmport.pipeline.request import Request
    from lwmport.pipeline.validate import Trial, validate

__all__ = ["Model", "Request", "Trial", "__version__", "convert", "load", "validate"]

_API = {
    "Model": "lwmport.pipeline.model",
    "Request": "lwmport.pipeline.request",
    "Trial": "lwmport.pipeline.validate",
    "convert": "lwmport.pipeline.convert",
    "load": "lwmport.pipeline.model",
    "validate": "lwmport.pipeline.validate",
}


def __getattr__(name: str) -> Any:
    """Return a part of the API, importing its module now."""
    if name not in _API:
        raise AttributeError(f"module 'lwmport' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_API[name]), name)
