"""One conversion under way: what its stages hand to each other."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lwmport import manifest, owned, plain
from lwmport.checkpoints.model_weights import ModelWeights, open_model
from lwmport.choices import Choice, of_details
from lwmport.converters import WITH_TOKENIZER, shares
from lwmport.converters.gguf.convert import vocabulary_of
from lwmport.converters.gguf.vocabulary import Vocabulary
from lwmport.graphs.program import Program
from lwmport.manifest import ComponentEntry
from lwmport.models.families import Family
from lwmport.models.specs import versions_of
from lwmport.pipeline import cache_record
from lwmport.pipeline.calibration.attach import attach
from lwmport.pipeline.calibration.rounder import CalibratedRounder
from lwmport.pipeline.convert import resume
from lwmport.pipeline.convert.budgeted import Budgeted
from lwmport.pipeline.convert.request import ConvertRequest
from lwmport.pipeline.convert.sharing import shared_data
from lwmport.pipeline.convert.unused_options import check_unused
from lwmport.pipeline.observer import Observer
from lwmport.pipeline.validate.test_inputs import Sampling, sampling_for
from lwmport.reports import files
from lwmport.reports.record import Conversion
from lwmport.types import Component, Dialect, SharedData


@dataclass(kw_only=True)
class Work:
    """A request, and what its stages have made of it so far.

    Attributes:
        request: what was asked for.
        dialect: the dialect to convert in.
        family: the model, cut as the dialect wants it.
        weights: its weights.
        observer: told how the work goes.
        folder: the scratch folder that the stages write into.
        programs: the programs that were traced, by component and kind of taps.
        earlier: what an earlier conversion has left in the folder that is asked for.
        parts: the manifest's entries of the components that are converted.
        costs: what each of those took.
        budget: the bits of each tensor, where a budget decides on them.
    """

    request: ConvertRequest
    dialect: Dialect
    family: Family
    weights: ModelWeights
    observer: Observer
    folder: Path = Path()
    programs: dict[tuple[str, str], Program] = field(default_factory=dict)
    earlier: owned.Earlier = field(default_factory=lambda: owned.Earlier(manifest.listed, files.listed))
    parts: list[ComponentEntry] = field(default_factory=list)
    costs: list[Conversion] = field(default_factory=list)
    budget: Budgeted | None = None

    @property
    def runner(self) -> str | None:
        """The runner of the artifacts: the one that is asked for, else that of the dialect; None for the usual one."""
        return self.request.runner or self.dialect.runner or None

    @cached_property
    def sampling(self) -> Sampling:
        """What the models are judged on."""
        request = self.request
        return sampling_for(request.inputs, request.samples, request.checkpoint, self.family.references)

    @cached_property
    def identity(self) -> str:
        """The text that is the same for two runs if, and only if, they write the same bytes."""
        request = self.request
        facts: dict[str, Any] = {
            "component": request.component,
            "dialect": plain.encode(self.dialect),
            "batch": request.batch,
            "config": dict(self.family.config),
            "options": self.family.options.to_json(),
            "family": versions_of(self.family.spec),
            "taps": request.taps,
            "calibration": self.rounder.text.digest() if self.rounder else None,
            "tokens": self.vocabulary.digest() if self.vocabulary else None,
            "choices": plain.encode((*self.family.choices, *self.request.choices)),
            **{f"{one.name} rounds": plain.encode(one.rounded) for one in self.family.components if one.rounded},
            **cache_record.facts(self.family.components),
        }
        return resume.identity(facts, self.weights)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What the artifacts depend on beside their tensors: of the model, of whoever asked for them, of converters."""
        made = (choice for part in self.parts for choice in of_details(part.details))
        whose = "--tokenizer" if self.request.tokenizer else "--checkpoint"
        tokens = () if self.vocabulary is None else (Choice("tokenizer", self.vocabulary.source, whose),)
        text = "default" if self.request.calibrate_on is None else "--calibrate-on"
        run = () if self.rounder is None else (Choice("calibrated on", self.rounder.text.words, text),)
        asked = "--budget-kl" if self.request.budget_gb is None else "--budget-gb"
        bits = () if self.budget is None else (Choice("bits", self.budget.counts, asked),)
        return tuple(dict.fromkeys((*self.family.choices, *bits, *run, *tokens, *self.request.choices, *made)))

    @cached_property
    def rounder(self) -> CalibratedRounder | None:
        """What rounds the weights, where the method runs the model for it; the weights have it from now on.

        Raises:
            UsageError: there is no text to run on.
        """
        request = self.request
        return attach(self.family, self.weights, request.checkpoint, request.calibrate_on, self.observer)

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """The tokens for a format whose files hold a tokenizer: the user's, or those of a checkpoint that has them.

        Raises:
            PortError: there are none, or more than the model has rows; or the component is no whole model.
        """
        if self.dialect.format not in WITH_TOKENIZER:
            return None
        own = self.request.checkpoint if self.weights.source.get("format") == "gguf" else None
        return vocabulary_of(self.family.components[0], self.request.tokenizer or own)

    @cached_property
    def shared(self) -> SharedData | None:
        """The file for the weights of all components; None if each has its own."""
        return shared_data(self.request.component, self.family, self.dialect)

    @property
    def written(self) -> tuple[Component, ...]:
        """The components whose weights are written: one that has all where they are shared, all twice for own taps."""
        parts = self.family.components
        parts = parts if self.shared is None else (max(parts, key=lambda part: len(part.weights)),)
        return parts * 2 if self.request.taps and not shares(self.dialect) else parts


def open_request(request: ConvertRequest) -> tuple[Dialect, Family, ModelWeights]:
    """Return the dialect of a request, the model cut as the dialect wants it, and its weights; no tensor is read.

    Raises:
        PortError: no such model, an option that it does not take, or weights that cannot be read or do not fit.
    """
    dialect = request.lowering
    check_unused(request, dialect)
    options = request.options.completed(dialect)
    asked = (request.component, request.checkpoint, request.config, options, request.seed, request.adapter)
    return dialect, *open_model(*asked)
