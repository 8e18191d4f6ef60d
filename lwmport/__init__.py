"""Port LWM (Large World Model) from JAX to other runtimes, and prove that the numbers hold.

The Python API, loaded on first use:

- `convert(ConvertRequest(...))` makes artifacts, a manifest and a report, as ``lwmport convert`` does;
- `validate(ValidateRequest(...))` judges them again;
- `load(path)` opens one artifact and runs it on numpy arrays, videos included;
- `Session(folder)` opens a language model and continues prompts token by token.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lwmport.pipeline.convert.request import ConvertRequest
    from lwmport.pipeline.convert.run import convert
    from lwmport.pipeline.model import Model, load
    from lwmport.pipeline.session import Session
    from lwmport.pipeline.validate.run import ValidateRequest, validate

    Request = ConvertRequest
    Trial = ValidateRequest

__all__ = [
    "ConvertRequest",
    "Model",
    "Request",
    "Session",
    "Trial",
    "ValidateRequest",
    "__version__",
    "convert",
    "load",
    "validate",
]

_API = {
    "ConvertRequest": "lwmport.pipeline.convert.request:ConvertRequest",
    "Model": "lwmport.pipeline.model:Model",
    "Request": "lwmport.pipeline.convert.request:ConvertRequest",
    "Session": "lwmport.pipeline.session:Session",
    "Trial": "lwmport.pipeline.validate.run:ValidateRequest",
    "ValidateRequest": "lwmport.pipeline.validate.run:ValidateRequest",
    "convert": "lwmport.pipeline.convert.run:convert",
    "load": "lwmport.pipeline.model:load",
    "validate": "lwmport.pipeline.validate.run:validate",
}
"""Name -> where it is. ``Request`` and ``Trial`` are the names that two requests had before."""


def __getattr__(name: str) -> Any:
    """Return a part of the API, importing its module now."""
    if name not in _API:
        raise AttributeError(f"module 'lwmport' has no attribute {name!r}")
    import importlib

    module, _, attribute = _API[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
