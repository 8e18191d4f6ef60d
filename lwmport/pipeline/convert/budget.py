"""Bits for each tensor within a budget of bytes or of loss: measured, chosen, written beside the model, and checked.

What is chosen becomes a recipe, so that the conversion behind it is one of ``--recipe`` and can be made again by it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from lwmport import atomic, manifest
from lwmport.checkpoints.model_weights import component_weights
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.errors import UsageError
from lwmport.models.families import Family
from lwmport.models.recipe import ruled, rules
from lwmport.models.schemes import CALIBRATED, SCHEMES
from lwmport.models.storage import schemes_of
from lwmport.pipeline.budget_record import GB, TABLE
from lwmport.pipeline.calibration.sensitivity import LEAST, Probe
from lwmport.pipeline.calibration.text import calibration_text, tokens_of
from lwmport.pipeline.convert.budget_words import table_of, toml_of
from lwmport.pipeline.convert.budgeted import Budgeted
from lwmport.pipeline.convert.forecast import forecast_bytes
from lwmport.pipeline.convert.request import RECIPE, ConvertRequest
from lwmport.pipeline.convert.work import Work
from lwmport.quantise.budget import Sensitivity, chosen, total_bytes, total_loss
from lwmport.types import Component, Scheme

TRIALS: Final = 4
"""Choices that are measured for a bound on the loss, at most: the forecast is corrected by each."""

CLOSE: Final = 0.8
"""A choice that loses this share of the bound or more is not made smaller."""

AIM: Final = 0.9
"""The share of the bound that the next choice aims at."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """What each tensor costs that a budget decides on, the schemes of each for its bits, and what measures a loss."""

    rows: Sequence[Sensitivity]
    schemes: Mapping[str, Mapping[int, Scheme]]
    probe: Probe

    def taken(self, bits: Mapping[str, int]) -> dict[str, Scheme]:
        """Return the scheme of each tensor."""
        return {name: self.schemes[name][own] for name, own in bits.items()}

    def trial(self, bits: Mapping[str, int]) -> float:
        """Return what a choice loses as a whole, nats."""
        self.probe.observer.phase(f"{self.probe.component.name}: measure what a choice loses")
        return self.probe.loss(self.probe.rounded(self.taken(bits)))


def with_budget(work: Work) -> tuple[ConvertRequest, Budgeted]:
    """Return the request with a recipe that keeps its budget, as far as is known before it is written.

    Raises:
        UsageError: no choice is as small, or no component gives logits of tokens.
    """
    if work.request.budget_gb is not None:
        check_least(forecast_bytes(work, {}), work.request.budget_gb)
    return within(work, measured(work))


def measured(work: Work) -> Table:
    """Return what each tensor costs that a budget decides on.

    Raises:
        UsageError: there is none, or no component gives logits of tokens.
    """
    request = work.request
    component, output = _language_model(work.family)
    weights = component_weights(work.family, component, work.weights)
    if not isinstance(weights, StoredWeights):
        raise UsageError("expected --quantize beside a budget, found none")
    text = calibration_text(work.family, work.weights, request.checkpoint, request.calibrate_on, component)
    probe = Probe(component=component, exact=weights.exact, output=output, text=text, observer=work.observer)
    schemes = _schemes(component, work.family)
    if not schemes:
        raise UsageError("expected tensors for a budget that --keep and --recipe leave to it, found none; leave it out")
    work.observer.phase(f"{component.name}: round each of {len(schemes)} tensors alone, and run the reference")
    return Table(rows=probe.table(schemes), schemes=schemes, probe=probe)


def within(work: Work, table: Table) -> tuple[ConvertRequest, Budgeted]:
    """Return the request with a recipe that keeps its budget by what tensors cost."""
    request = work.request
    if request.budget_gb is None:
        bits, trial = _within_loss(table, request.budget_kl or 0.0)
    else:
        bits = _within_bytes(work, table, request.budget_gb * GB)
        trial = table.trial(bits)
    made = replace(request.options, recipe=(*request.options.recipe, *_recipe(request.options.quantize, bits)))
    planned = forecast_bytes(work, table.taken(bits))
    found = Budgeted(rows=table.rows, bits=bits, planned=planned, trial=trial, probe=table.probe)
    return replace(request, options=made), found


def settle(work: Work) -> None:
    """Measure what the weights of a conversion lose, and write the table and the recipe beside them."""
    found = work.budget
    if found is None:
        return
    component, _ = _language_model(work.family)
    weights = component_weights(work.family, component, work.weights)
    lost, schemes = found.trial, schemes_of(component, work.family.options)
    if {*schemes} != {*found.bits} or any(own.method in CALIBRATED for own in schemes.values()):
        work.observer.phase(f"{component.name}: measure what its weights lose")
        lost = found.probe.loss(weights)
    work.budget = found = replace(found, measured=lost)
    texts = {TABLE: table_of(work, found), RECIPE: toml_of(work.request.options.recipe)}
    for name, content in texts.items():
        with atomic.new_file(work.folder / name) as file:
            file.write(content.encode())
    beside = tuple(manifest.file_entry(work.folder, work.folder / name) for name in texts)
    work.parts[0] = replace(work.parts[0], files=(*work.parts[0].files, *beside))


def _language_model(family: Family) -> tuple[Component, str]:
    """Return the component with the most weights that gives logits of tokens, and that output."""
    outputs = {
        component.name: next((spec.name for spec in component.signature.outputs if spec.name in family.spec.logits), "")
        for component in family.references
        if tokens_of(component) and component.feeder is None
    }
    fitting = [one for one in family.references if outputs.get(one.name)]
    if not fitting:
        names = ", ".join(component.name for component in family.references)
        raise UsageError(f"expected a model from tokens to logits for a budget, found {names}; leave it out")
    found = max(fitting, key=lambda one: len(one.weights))
    return found, outputs[found.name]


def _schemes(component: Component, family: Family) -> dict[str, dict[int, Scheme]]:
    """Return the schemes of each tensor that a budget decides on: none that a recipe of the user does."""
    said = [pattern for pattern, _ in rules(family.options.recipe)]
    wide = {"kind": _wide(family.options.quantize)}
    return {
        name: {LEAST: own, 8: ruled(own, wide) or own, 16: SCHEMES["float16"]}
        for name, own in schemes_of(component, family.options).items()
        if own.scales and own.bits == LEAST and not any(fnmatchcase(name, pattern) for pattern in said)
    }


def _wide(quantize: str) -> str:
    return f"w8{quantize[2:]}"


def check_least(least: int, most: float) -> None:
    """Return if the smallest choice is within a budget of GB, before anything is measured.

    Raises:
        UsageError: it is not.
    """
    if least > most * GB:
        raise UsageError(
            f"expected --budget-gb of more than {least / GB:.6g}, which the files take with all tensors in {LEAST} "
            f"bits, found {most:.6g}"
        )


def _within_bytes(work: Work, table: Table, most: float) -> dict[str, int]:
    """Return the best choice whose files have so many bytes at most.

    What stands beside tensors in the files is taken off what they may have. It is not the same for all choices.
    """
    bits = fewest = dict.fromkeys(table.schemes, LEAST)
    found = forecast_bytes(work, {})
    while True:
        beside = found - total_bytes(table.rows, bits)
        bits = chosen(table.rows, most_bytes=most - beside)
        found = forecast_bytes(work, table.taken(bits))
        if found <= most or bits == fewest:
            return bits


def _within_loss(table: Table, most: float) -> tuple[dict[str, int], float]:
    """Return the smallest choice that was measured within a bound, and its loss; the best one where none is."""
    tried: list[tuple[dict[str, int], float]] = []
    bound = most
    while len(tried) < TRIALS:
        bits = chosen(table.rows, most_loss=bound)
        if any(bits == before for before, _ in tried):
            break
        lost = table.trial(bits)
        tried.append((bits, lost))
        if CLOSE * most <= lost <= most or not lost:
            break
        bound = total_loss(table.rows, bits) * AIM * most / lost
    within = [one for one in tried if one[1] <= most]
    if within:
        return min(within, key=lambda one: total_bytes(table.rows, one[0]))
    return min(tried, key=lambda one: one[1])


def _recipe(quantize: str, bits: Mapping[str, int]) -> list[str]:
    """Return the rules for tensors of more than the fewest bits, as `lwmport.models.recipe` has them."""
    tables = {8: {"kind": _wide(quantize)}, 16: {"keep": "float16"}}
    return [json.dumps({name: tables[own]}) for name, own in sorted(bits.items()) if own in tables]
