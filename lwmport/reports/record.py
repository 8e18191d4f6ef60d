"""What a report says, as frozen records that are plain JSON: no times of day, so equal numbers give equal bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lwmport import digest, plain
from lwmport.choices import Choice
from lwmport.types import ADDED, Preflight, Signature, Status, Validation


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

    ``preflight`` is what the rules of the artifact's target say, None if it is for none in particular.
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
        return f"{self.note}: {self.description}" if self.kind == "seeded" else self.note


@dataclass(frozen=True, kw_only=True)
class Report:
    """The whole report. Build it with `assemble`, which derives ``status`` and ``sentence``.

    ``choices`` are what the verdict depends on beside the tensors, and where each of it came from.
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


def assemble(  # noqa: PLR0913 - the fields of the record
    *,
    title: str,
    weights: WeightsSource,
    components: tuple[ComponentReport, ...],
    versions: Mapping[str, str],
    machine: str,
    commands: tuple[str, ...],
    choices: tuple[Choice, ...] = (),
) -> Report:
    """Return the report with the verdict that its components add up to."""
    status, sentence = overall(components)
    return Report(
        title=title,
        status=status,
        sentence=sentence,
        weights=weights,
        components=components,
        versions=dict(versions),
        machine=machine,
        commands=commands,
        choices=choices,
    )


def overall(components: tuple[ComponentReport, ...]) -> tuple[Status, str]:
    """Return the verdict on all components, and one sentence for it."""
    if not components:
        return Status.FAILED, "There is nothing to judge."
    for status, words in ((Status.FAILED, "disagree with"), (Status.SKIPPED, "could not be compared with")):
        found = [part for part in components if part.validation.status is status]
        if found:
            parts = "; ".join(_blame(part, status) for part in found)
            return status, f"{_share(components, status)} {words} {_references(components)}: {parts}."
    agreed = f"{_share(components, Status.PASSED)} agree with {_references(components)}, every value within tolerance."
    return Status.PASSED, agreed


def _share(components: tuple[ComponentReport, ...], status: Status) -> str:
    """Return for example "2 of 3 outputs"; components where there was nothing to count outputs of."""
    every = [diff for part in components for diff in part.validation.diffs]
    found = sum(diff.status is status for diff in every)
    if found:
        return f"{found} of {len(every)} outputs"
    return f"{sum(part.validation.status is status for part in components)} of {len(components)} components"


def _blame(part: ComponentReport, status: Status) -> str:
    names = [diff.name for diff in part.validation.diffs if diff.status is status]
    return f"{part.validation.component} ({', '.join(names) or part.validation.reason})"


def _references(components: tuple[ComponentReport, ...]) -> str:
    return " and ".join(sorted({part.validation.reference for part in components}))


def validation_digest(validation: Validation) -> str:
    """Return the last link of the chain: the SHA-256 of a validation as canonical JSON."""
    return digest.of_json(plain.encode(validation))
