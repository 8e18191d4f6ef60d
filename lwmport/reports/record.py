"""What a report says, as frozen records that are plain JSON: no times of day, so equal numbers give equal bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from lwmport import digest, plain
from lwmport.choices import Choice
from lwmport.types import ADDED, Preflight, Signature, Status, Validation
from lwmport.validators.accuracy import Accuracy, LayerLoss
from lwmport.validators.integers import Integers
from lwmport.validators.ranges import Ranges
from lwmport.verdicts import Fault, combined

CPU: Final = "a CPU"
"""Where a component was run, unless its runner is one of a device."""


@dataclass(frozen=True, kw_only=True)
class FileFact:
    """A file of the artifact."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A PNG beside the report. ``path`` is relative to its folder: ``pictures/NAME.png``."""

    path: str
    alt: str
    caption: str
    width: int
    height: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """The pictures of one item of the batch: what went in, what came out on both sides, and where they differ."""

    item: int
    title: str
    credit: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, kw_only=True)
class ArtifactFacts:
    """What was written. ``opset`` is None for formats that have none; ``operators`` counts nodes by type."""

    format: str
    dialect: str
    precision: str
    opset: int | None
    nodes: int
    operators: Mapping[str, int]
    files: tuple[FileFact, ...]


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What the conversion cost: wall-clock seconds, and the largest resident memory in bytes where it is known."""

    seconds: float
    peak_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Timing:
    """How fast a runner was: the median of ``runs`` wall-clock times of one call with ``batch`` items."""

    runner: str
    median_s: float
    runs: int
    batch: int
    threads: int
    cores: int


@dataclass(frozen=True, kw_only=True)
class Digest:
    """One link of the chain checkpoint -> program -> artifact -> validation."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ComponentReport:
    """One component: its verdict, what was written, what it cost and how it looks; ``notes`` are the runtime's.

    ``preflight`` is what the rules of the artifact's target say, None if it is for none in particular. ``faults`` are
    what is wrong with its files besides its numbers. ``where`` it was run, and whether that is the device that it is
    meant for. ``prepared`` says in words how a picture becomes each input that is one. ``accuracy`` is what its
    pictures and codes lose beside float32, where it is not float32 itself, and ``layers`` what each of its taps does,
    where it has some. ``ranges`` is whether a narrow dtype holds the values inside the model, where that was looked at,
    ``integers`` whether its integers hold what is computed with them.
    """

    validation: Validation
    signature: Signature
    artifact: ArtifactFacts
    conversion: Conversion
    timings: tuple[Timing, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    digests: tuple[Digest, ...] = ()
    notes: tuple[str, ...] = ()
    preflight: Preflight | None = None
    faults: tuple[Fault, ...] = field(default=(), metadata=ADDED)
    where: str = field(default=CPU, metadata=ADDED)
    on_device: bool = field(default=False, metadata=ADDED)
    prepared: Mapping[str, str] = field(default_factory=dict, metadata=ADDED)
    accuracy: tuple[Accuracy, ...] = field(default=(), metadata=ADDED)
    layers: tuple[LayerLoss, ...] = field(default=(), metadata=ADDED)
    ranges: Ranges | None = field(default=None, metadata=ADDED)
    integers: Integers | None = field(default=None, metadata=ADDED)

    @property
    def title(self) -> str:
        """The component, and where it was run if that was a device."""
        return f"{self.validation.component} on {self.where}" if self.on_device else self.validation.component

    @property
    def status(self) -> Status:
        """The verdict on the component: on its numbers and on its files."""
        return combined([self.validation.status, *(fault.status for fault in self.faults)])

    @property
    def reason(self) -> str:
        """Why it is so: what is wrong with the files goes before the numbers."""
        status = self.status
        faults = [fault.reason for fault in self.faults if fault.status == status]
        own = [self.validation.reason] if self.validation.status == status else []
        return "; ".join([*faults, *own])


@dataclass(frozen=True, kw_only=True)
class Destination:
    """The device that models are meant for, by the name that people know.

    ``compiled`` is whether they were compiled for it, ``ran`` whether what was compiled was run on it and is equal.
    """

    name: str
    compiled: bool = False
    ran: bool = False


@dataclass(frozen=True, kw_only=True)
class WeightsSource:
    """Where the weights come from. Seeded ones are random: every number then says so."""

    kind: Literal["seeded", "file"]
    description: str

    @property
    def note(self) -> str:
        """The words that stand beside every table of numbers."""
        return "Seeded random weights, not trained" if self.kind == "seeded" else f"Weights: {self.description}"

    @property
    def sentence(self) -> str:
        """The words that stand beside the verdict."""
        if self.kind == "seeded" and "not trained" in self.description:
            return f"{self.description[:1].upper()}{self.description[1:]}"
        return f"{self.note}: {self.description}" if self.kind == "seeded" else self.note


@dataclass(frozen=True, kw_only=True)
class InputsFact:
    """What the models were judged on: in a few words, where that comes from, and how many runs of each."""

    words: str
    source: str
    samples: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """The whole report. Build it with `lwmport.reports.answer.assemble`, which derives ``status`` and ``sentence``.

    ``choices`` are what the verdict depends on beside the tensors, and where each of it came from. ``inputs`` is what
    was judged on. ``destination`` is None where the models are for no device in particular. ``left_out`` are components
    of the same model that this report does not judge.
    """

    title: str
    status: Status
    sentence: str
    weights: WeightsSource
    components: tuple[ComponentReport, ...]
    versions: Mapping[str, str]
    machine: str
    commands: tuple[str, ...]
    choices: tuple[Choice, ...] = field(default=(), metadata=ADDED)
    inputs: InputsFact | None = field(default=None, metadata=ADDED)
    destination: Destination | None = field(default=None, metadata=ADDED)
    left_out: tuple[str, ...] = field(default=(), metadata=ADDED)


def validation_digest(validation: Validation) -> str:
    """Return the last link of the chain: the SHA-256 of a validation as canonical JSON."""
    return digest.of_json(plain.encode(validation))
