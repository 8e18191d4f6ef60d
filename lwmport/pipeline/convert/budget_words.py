"""What is told of a budget: a table and a recipe beside the model, and a report's notes and verdict."""

import json
from collections.abc import Sequence
from typing import Any

from lwmport.models.recipe import rules
from lwmport.pipeline.budget_record import TABLE, missed
from lwmport.pipeline.calibration.sensitivity import LEAST
from lwmport.pipeline.convert.budgeted import Budgeted
from lwmport.pipeline.convert.request import RECIPE
from lwmport.pipeline.convert.work import Work
from lwmport.reports import numbers
from lwmport.verdicts import Fault


def words(work: Work) -> tuple[tuple[str, ...], tuple[Fault, ...]]:
    """Return what a report says of the budget, and that it is missed, where it is."""
    found = work.budget
    if found is None or found.measured is None:
        return (), ()
    forecast, measured = numbers.number(found.predicted), numbers.number(found.measured)
    lost = (
        f"KL divergence from exact weights: forecast {forecast} nats (the sum of tensors rounded one by one, on "
        f"{found.probe.table_on}), measured {measured} nats (mean, in JAX, on {found.probe.measured_on})."
    )
    notes = (f"Budget: {found.counts}; {TABLE} has what each costs, {RECIPE} makes the same bytes again.", lost)
    return notes, missed(_told(work, found))


def toml_of(recipe: Sequence[str]) -> str:
    """Return rules as a file."""
    parts = [
        f"[{json.dumps(pattern)}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        for pattern, table in rules(recipe)
    ]
    return "\n".join(parts)


def table_of(work: Work, found: Budgeted) -> str:
    """Return the table as a file."""
    return json.dumps(_told(work, found), indent=1) + "\n"


def _told(work: Work, found: Budgeted) -> dict[str, Any]:
    return {
        "budget": {"gb": work.request.budget_gb, "kl": work.request.budget_kl},
        "bytes": {"forecast": found.planned, "written": _file_bytes(work)},
        "kl_nats": {"forecast": found.predicted, "trial": found.trial, "measured": found.measured},
        "forecast_on": found.probe.table_on,
        "measured_on": found.probe.measured_on,
        "how": f"Forecast: each tensor alone in {LEAST} bits, all others exact, and the losses summed; with more bits, "
        "less by as much as the squared error of the weights. The trial rounds the choice by a method that needs no "
        "run of the model; measured are the weights of the file. All in JAX.",
        "tensors": [
            {
                "name": row.name,
                "bits": found.bits[row.name],
                "bytes": {str(bits): count for bits, count in row.bytes.items()},
                "kl_nats": {str(bits): loss for bits, loss in row.loss.items()},
            }
            for row in sorted(found.rows, key=lambda row: -row.loss[LEAST])
        ],
    }


def _file_bytes(work: Work) -> int:
    """Return the bytes of the models, without what is told beside them."""
    files = {file.name: file.bytes for part in work.parts for file in part.files}
    return sum(count for name, count in files.items() if name not in (TABLE, RECIPE))
