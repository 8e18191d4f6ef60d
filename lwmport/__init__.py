"""Port LWM (Large World Model) from JAX to other runtimes, and prove that the numbers hold.

The Python API is `__all__`. Each part is loaded on first use, so that importing this package loads no framework:

- `convert` makes artifacts, a manifest and a report; `validate` judges them again;
- `check` holds a model file against a target's rules; `compile` compiles it with the vendor's tool;
- `compare` shows how the structures of two models differ, and what that means for each target;
- `plan` tells what a model takes of a device's memory, and which devices have room for it;
- `bench` measures how fast a model is on this machine;
- `perplexity` and `agreement` say how far a converted language model is from another one; `needle` tests long contexts;
- `captions` judges the captions of two devices by how well they fit their pictures; `likeness` compares pictures;
- `bundle` packs converted models for a vendor's engineer; `verify` checks such a bundle;
- `port` does all of this for one device;
- `load` opens one artifact and runs it on numpy arrays;
- `generate` lets a language model go on from the tokens of a file;
- `Session` opens a language model and continues prompts token by token.

Each function but `load` takes its request, or the fields of it by name:
``convert(component="vqgan", format="onnx", out="out")``.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lwmport.errors import (
        ArtifactError,
        CheckpointError,
        ChildError,
        ConfigError,
        LostRankError,
        LoweringError,
        MissingExtraError,
        PortError,
        RunnerError,
        UnmendedError,
        UnusedOptionError,
        UsageError,
    )
    from lwmport.models.options import Options
    from lwmport.pipeline.bisect.request import BisectRequest
    from lwmport.pipeline.bisect.run import bisect
    from lwmport.pipeline.bundle.run import BundleOutcome, BundleRequest, bundle
    from lwmport.pipeline.bundle.verify import VerifyOutcome, VerifyRequest, verify
    from lwmport.pipeline.check import CheckOutcome, CheckRequest
    from lwmport.pipeline.check import check_models as check
    from lwmport.pipeline.compare.run import CompareRequest, compare
    from lwmport.pipeline.compile.run import CompileOutcome, CompileRequest
    from lwmport.pipeline.compile.run import compile_models as compile  # noqa: A004 - the word of the command line
    from lwmport.pipeline.convert.request import ConvertRequest, Outcome
    from lwmport.pipeline.convert.run import convert
    from lwmport.pipeline.evaluate.captions.request import CaptionsRequest
    from lwmport.pipeline.evaluate.captions.run import captions
    from lwmport.pipeline.evaluate.images.request import LikenessRequest
    from lwmport.pipeline.evaluate.images.run import likeness
    from lwmport.pipeline.evaluate.language.agreement import agreement
    from lwmport.pipeline.evaluate.language.perplexity import perplexity
    from lwmport.pipeline.evaluate.language.request import AgreementRequest, PerplexityRequest
    from lwmport.pipeline.evaluate.needle.request import NeedleRequest
    from lwmport.pipeline.evaluate.needle.run import needle
    from lwmport.pipeline.footprint.record import MemoryPlan
    from lwmport.pipeline.footprint.request import PlanRequest
    from lwmport.pipeline.footprint.run import plan
    from lwmport.pipeline.generate.request import GenerateRequest
    from lwmport.pipeline.generate.tokens import Generated, generate
    from lwmport.pipeline.model import Model, load
    from lwmport.pipeline.observer import Observer
    from lwmport.pipeline.port.run import PortOutcome, PortRequest, port
    from lwmport.pipeline.session import Session
    from lwmport.pipeline.speed.request import BenchRequest
    from lwmport.pipeline.speed.run import bench
    from lwmport.pipeline.validate.request import ValidateRequest
    from lwmport.pipeline.validate.run import validate
    from lwmport.reports.bisection import Bisection
    from lwmport.reports.captions.record import Captions
    from lwmport.reports.comparison.record import Comparison
    from lwmport.reports.evaluations.agreement import Agreement
    from lwmport.reports.evaluations.likeness import Likeness
    from lwmport.reports.evaluations.needle import Needle
    from lwmport.reports.evaluations.perplexity import Perplexity
    from lwmport.reports.speed.record import Bench
    from lwmport.types import Status

    Request = ConvertRequest
    Trial = ValidateRequest

__all__ = [
    "Agreement",
    "AgreementRequest",
    "ArtifactError",
    "Bench",
    "BenchRequest",
    "BisectRequest",
    "Bisection",
    "BundleOutcome",
    "BundleRequest",
    "Captions",
    "CaptionsRequest",
    "CheckOutcome",
    "CheckRequest",
    "CheckpointError",
    "ChildError",
    "CompareRequest",
    "Comparison",
    "CompileOutcome",
    "CompileRequest",
    "ConfigError",
    "ConvertRequest",
    "GenerateRequest",
    "Generated",
    "Likeness",
    "LikenessRequest",
    "LostRankError",
    "LoweringError",
    "MemoryPlan",
    "MissingExtraError",
    "Model",
    "Needle",
    "NeedleRequest",
    "Observer",
    "Options",
    "Outcome",
    "Perplexity",
    "PerplexityRequest",
    "PlanRequest",
    "PortError",
    "PortOutcome",
    "PortRequest",
    "Request",
    "RunnerError",
    "Session",
    "Status",
    "Trial",
    "UnmendedError",
    "UnusedOptionError",
    "UsageError",
    "ValidateRequest",
    "VerifyOutcome",
    "VerifyRequest",
    "__version__",
    "agreement",
    "bench",
    "bisect",
    "bundle",
    "captions",
    "check",
    "compare",
    "compile",
    "convert",
    "generate",
    "likeness",
    "load",
    "needle",
    "perplexity",
    "plan",
    "port",
    "validate",
    "verify",
]

_API = {
    "Agreement": "lwmport.reports.evaluations.agreement:Agreement",
    "AgreementRequest": "lwmport.pipeline.evaluate.language.request:AgreementRequest",
    "ArtifactError": "lwmport.errors:ArtifactError",
    "Bench": "lwmport.reports.speed.record:Bench",
    "BenchRequest": "lwmport.pipeline.speed.request:BenchRequest",
    "BisectRequest": "lwmport.pipeline.bisect.request:BisectRequest",
    "Bisection": "lwmport.reports.bisection:Bisection",
    "BundleOutcome": "lwmport.pipeline.bundle.run:BundleOutcome",
    "BundleRequest": "lwmport.pipeline.bundle.run:BundleRequest",
    "Captions": "lwmport.reports.captions.record:Captions",
    "CaptionsRequest": "lwmport.pipeline.evaluate.captions.request:CaptionsRequest",
    "CheckOutcome": "lwmport.pipeline.check:CheckOutcome",
    "CheckRequest": "lwmport.pipeline.check:CheckRequest",
    "CheckpointError": "lwmport.errors:CheckpointError",
    "ChildError": "lwmport.errors:ChildError",
    "CompareRequest": "lwmport.pipeline.compare.run:CompareRequest",
    "Comparison": "lwmport.reports.comparison.record:Comparison",
    "CompileOutcome": "lwmport.pipeline.compile.run:CompileOutcome",
    "CompileRequest": "lwmport.pipeline.compile.run:CompileRequest",
    "ConfigError": "lwmport.errors:ConfigError",
    "ConvertRequest": "lwmport.pipeline.convert.request:ConvertRequest",
    "GenerateRequest": "lwmport.pipeline.generate.request:GenerateRequest",
    "Generated": "lwmport.pipeline.generate.tokens:Generated",
    "Likeness": "lwmport.reports.evaluations.likeness:Likeness",
    "LikenessRequest": "lwmport.pipeline.evaluate.images.request:LikenessRequest",
    "LostRankError": "lwmport.errors:LostRankError",
    "LoweringError": "lwmport.errors:LoweringError",
    "MemoryPlan": "lwmport.pipeline.footprint.record:MemoryPlan",
    "MissingExtraError": "lwmport.errors:MissingExtraError",
    "Model": "lwmport.pipeline.model:Model",
    "Needle": "lwmport.reports.evaluations.needle:Needle",
    "NeedleRequest": "lwmport.pipeline.evaluate.needle.request:NeedleRequest",
    "Observer": "lwmport.pipeline.observer:Observer",
    "Options": "lwmport.models.options:Options",
    "Outcome": "lwmport.pipeline.convert.request:Outcome",
    "Perplexity": "lwmport.reports.evaluations.perplexity:Perplexity",
    "PerplexityRequest": "lwmport.pipeline.evaluate.language.request:PerplexityRequest",
    "PlanRequest": "lwmport.pipeline.footprint.request:PlanRequest",
    "PortError": "lwmport.errors:PortError",
    "PortOutcome": "lwmport.pipeline.port.run:PortOutcome",
    "PortRequest": "lwmport.pipeline.port.run:PortRequest",
    "Request": "lwmport.pipeline.convert.request:ConvertRequest",
    "RunnerError": "lwmport.errors:RunnerError",
    "Session": "lwmport.pipeline.session:Session",
    "Status": "lwmport.types:Status",
    "Trial": "lwmport.pipeline.validate.request:ValidateRequest",
    "UnmendedError": "lwmport.errors:UnmendedError",
    "UnusedOptionError": "lwmport.errors:UnusedOptionError",
    "UsageError": "lwmport.errors:UsageError",
    "ValidateRequest": "lwmport.pipeline.validate.request:ValidateRequest",
    "VerifyOutcome": "lwmport.pipeline.bundle.verify:VerifyOutcome",
    "VerifyRequest": "lwmport.pipeline.bundle.verify:VerifyRequest",
    "agreement": "lwmport.pipeline.evaluate.language.agreement:agreement",
    "bench": "lwmport.pipeline.speed.run:bench",
    "bisect": "lwmport.pipeline.bisect.run:bisect",
    "bundle": "lwmport.pipeline.bundle.run:bundle",
    "captions": "lwmport.pipeline.evaluate.captions.run:captions",
    "check": "lwmport.pipeline.check:check_models",
    "compare": "lwmport.pipeline.compare.run:compare",
    "compile": "lwmport.pipeline.compile.run:compile_models",
    "convert": "lwmport.pipeline.convert.run:convert",
    "generate": "lwmport.pipeline.generate.tokens:generate",
    "likeness": "lwmport.pipeline.evaluate.images.run:likeness",
    "load": "lwmport.pipeline.model:load",
    "needle": "lwmport.pipeline.evaluate.needle.run:needle",
    "perplexity": "lwmport.pipeline.evaluate.language.perplexity:perplexity",
    "plan": "lwmport.pipeline.footprint.run:plan",
    "port": "lwmport.pipeline.port.run:port",
    "validate": "lwmport.pipeline.validate.run:validate",
    "verify": "lwmport.pipeline.bundle.verify:verify",
}
"""Name -> where it is. ``Request`` and ``Trial`` are the names that two requests had before."""


def __getattr__(name: str) -> Any:
    """Return a part of the API, importing its module now.

    Raises:
        AttributeError: there is no such part; the message names the nearest one.
    """
    if name not in _API:
        import difflib

        near = difflib.get_close_matches(name, __all__, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"module 'lwmport' has no attribute {name!r}{hint}")
    import importlib

    module, _, attribute = _API[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    """Return the API: what `__all__` names, and what every module has."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
