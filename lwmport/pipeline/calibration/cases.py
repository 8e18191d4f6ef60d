"""A text as inputs of the reference."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from lwmport.pipeline.calibration.text import CalibrationText, tokens_of
from lwmport.pipeline.validate.test_inputs import Sampling, TestInputs
from lwmport.runtime.given_inputs import GivenInputs
from lwmport.types import Array, Component, Weights


def cases_of(component: Component, weights: Weights, text: CalibrationText, folder: Path) -> list[Mapping[str, Array]]:
    """Return a component's inputs for each sample of a text; its own where that has none.

    ``folder`` is for a file that is read while this runs.
    """
    sampling = Sampling()
    if text.ids:
        path = folder / "text.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        lines = text.lines(tokens_of(component))
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
        sampling = Sampling(given=GivenInputs(path))
    size = component.signature.inputs[0].shape[0]
    trials = TestInputs(component, weights, sampling).trials(size if isinstance(size, int) else 1)
    return [trial.made.inputs for trial in trials]


def without_states(component: Component) -> Component:
    """Return a component that returns no cache: nothing of it need stay in memory behind its layer."""
    signature = component.signature
    outputs = tuple(spec for spec in signature.outputs if spec.name not in signature.caches) or signature.outputs
    return replace(component, signature=replace(signature, outputs=outputs, states=()))
