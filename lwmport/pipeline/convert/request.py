"""What is asked of a conversion, what comes of it, and the state in between."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from lwmport import manifest
from lwmport.choices import Choice
from lwmport.converters import CONVERTERS
from lwmport.converters.dialects import dialect_for
from lwmport.errors import UsageError
from lwmport.models.families import is_file
from lwmport.models.options import EMBEDDED, Options
from lwmport.options import Place, check_values, values_of, words
from lwmport.pipeline.convert.plan import ConversionPlan
from lwmport.pipeline.names import settle
from lwmport.registry import check_known
from lwmport.reports.record import Report
from lwmport.requests import check_types
from lwmport.targets.dialects import ALL_DIALECTS
from lwmport.types import ADDED, Dialect, Status

RECIPE: Final = "recipe.toml"
"""The recipe that a budget has led to, beside the model."""

SUFFIXES: Final = {"frozen_graph": ".pb"}
"""Format -> suffix of its files, where that is not its name."""


@dataclass(frozen=True, kw_only=True)
class ConvertRequest:
    """What to convert, into what, from which weights, and where to put it.

    ``taps`` is one of `lwmport.types.TAPS`: which values inside each model a second file beside it gives as outputs.
    ``resume`` is whether to go on with what an interrupted run of the same request has left, rather than delete it.
    ``runner`` is what runs the artifacts when they are judged, by default the usual one of their suffix. ``choices``
    are what is to be done with the artifacts behind the conversion, for manifest and report to name. ``inputs`` is a
    .npz, a .jsonl or a folder of pictures to judge on (`lwmport.runtime.given_inputs`), by default our own; ``samples``
    is how many runs. The word ``embeds`` in its place, where no file has that name, is the ``input_form`` of
    ``options``. ``tokenizer`` is the folder or the file of a tokenizer, for a format whose files hold one, or ``none``.
    ``adapter`` is the folder of a LoRA adapter that is merged into the checkpoint while it is read. ``calibrate_on`` is
    the text that the reference runs on, for a method of quantisation that asks for it. ``budget_gb`` and ``budget_kl``
    are how many GB (10^9 bytes) the weights may take, or how many nats they may lose: the bits of each are chosen.
    """

    component: str
    format: str
    out: Path
    checkpoint: str | None = None
    config: str | Mapping[str, Any] = "lwm"
    dialect: str | None = None
    opset: int | None = None
    batch: int | str = 1
    seed: int = 0
    validate: bool = True
    options: Options = field(default_factory=Options)
    resume: bool = True
    runner: str | None = field(default=None, metadata=ADDED)
    taps: str | None = field(default=None, metadata=ADDED)
    choices: tuple[Choice, ...] = field(default=(), metadata=ADDED)
    inputs: Path | None = field(default=None, metadata=ADDED)
    samples: int | None = field(default=None, metadata=ADDED)
    adapter: Path | None = field(default=None, metadata=ADDED)
    tokenizer: str | None = field(default=None, metadata=ADDED)
    calibrate_on: Path | None = field(default=None, metadata=ADDED)
    budget_gb: float | None = field(default=None, metadata=ADDED)
    budget_kl: float | None = field(default=None, metadata=ADDED)

    @property
    def suffix(self) -> str:
        """How the files of the artifacts end that a runner opens."""
        return SUFFIXES.get(self.format, f".{self.format}")

    def __post_init__(self) -> None:
        """Refuse types and values that no conversion takes, and give everything that has a name its one name."""
        check_types(self)
        _settle_inputs(self)
        settle(self)
        check_values(self, Place.CONVERSION)

    @property
    def lowering(self) -> Dialect:
        """The dialect to convert in, at the opset that is asked for.

        Raises:
            UsageError: no such format, no such dialect of it, or an opset or a precision that it does not have.
        """
        check_known("format", self.format, CONVERTERS)
        dialect = dialect_for(self.format, self.dialect, self.opset, ALL_DIALECTS)
        precision = self.options.precision
        if precision in dialect.stores and precision not in dialect.precisions:
            raise UsageError(
                f"expected --store {precision} in the dialect {dialect.name!r}, whose readers compute in float32, "
                f"found --precision {precision}"
            )
        check_known(f"precision of {dialect.name}", precision, dialect.precisions)
        return dialect

    def commands(self) -> tuple[str, str]:
        """Return the command lines that convert and validate again, with the names of files and not their folders."""
        config = self.config if isinstance(self.config, str) else "config.json"
        checkpoint = {} if self.checkpoint is None else {"checkpoint": _beside(self.checkpoint)}
        checkpoint |= {} if self.adapter is None else {"adapter": self.adapter.name}
        calibrated = {} if self.calibrate_on is None else {"calibrate_on": self.calibrate_on.name}
        chosen = self.budget_gb is not None or self.budget_kl is not None
        budgeted = {"budget_gb": None, "budget_kl": None, "recipe": (RECIPE,)} if chosen else {}
        tokenizer = {} if self.tokenizer is None else {"tokenizer": Path(self.tokenizer).name}
        inputs = {} if self.inputs is None else {"inputs": self.inputs.name}
        values = {
            **values_of(self, Place.CONVERSION),
            **values_of(self.options, Place.MODEL),
            **checkpoint,
            **inputs,
            **tokenizer,
            **calibrated,
            **budgeted,
            "config": Path(config).name if is_file(config) else config,
            "resume": True,
            "out": "DIR",
        }
        runner = {"runner": self.runner, "samples": self.samples, **inputs}
        return (
            shlex.join(["lwmport", "convert", *words(values)]),
            shlex.join(["lwmport", "validate", "DIR", *words({**checkpoint, **runner})]),
        )


def _settle_inputs(request: ConvertRequest) -> None:
    """Make a form of inputs that stands in the place of a file an option of the model."""
    given = request.inputs
    if given is not None and str(given) == EMBEDDED and not given.exists():
        object.__setattr__(request, "options", replace(request.options, input_form=EMBEDDED))
        object.__setattr__(request, "inputs", None)


def _beside(checkpoint: str) -> str:
    """Return a checkpoint by its name alone, with the prefix that says how to read it."""
    prefix, separator, path = checkpoint.rpartition("::")
    return f"{prefix}{separator}{Path(path).name}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came out: manifest, report unless validation was left out, cost, and what failed besides the numbers.

    ``own_peak_bytes`` is the largest anonymous memory during the conversion, where it is known; ``plan`` is what was
    expected of it.
    """

    out: Path
    manifest: manifest.Manifest
    report: Report | None
    seconds: float
    peak_bytes: int
    status: Status
    failures: tuple[str, ...] = ()
    own_peak_bytes: int | None = None
    plan: ConversionPlan | None = None
