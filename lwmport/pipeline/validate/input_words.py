"""What a model was judged on, in the few words that a report's first screen has for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from lwmport.models.specs import spec_of
from lwmport.pipeline.validate.test_inputs import SEED, Sampling, Trial
from lwmport.types import Component, Kind

PHOTOGRAPHS = "scikit-image"
"""Where our own photographs come from."""

SHIPPED = "lwmport"
"""Where the text comes from."""


@dataclass(frozen=True, kw_only=True)
class InputWords:
    """What a model was judged on: in words, where that comes from, and how many runs it was."""

    words: str
    source: str
    samples: int


def input_words(component: Component, sampling: Sampling, trials: Sequence[Trial]) -> InputWords:
    """Return what the runs of a component are made of."""
    count = len(trials)
    if sampling.given is not None:
        return InputWords(words=sampling.given.words(count), source=sampling.given.source, samples=count)
    first = component.feeder or component
    if any(spec.kind is Kind.PICTURE for spec in first.signature.inputs):
        shown = len(dict.fromkeys(title for trial in trials for title in trial.made.titles))
        words = f"{shown} photograph{'' if shown == 1 else 's'}"
        return InputWords(words=words, source=PHOTOGRAPHS, samples=count)
    family = spec_of(first.family)
    tokens = "" if family is None else family.tokens
    specs = first.signature.outputs if tokens in {spec.name for spec in first.signature.inputs} else ()
    named = {tokens, *(spec.name for spec in specs)}  # of a feeder, what it makes of tokens
    read = [array for trial in trials for name, array in trial.made.inputs.items() if name in named]
    if read:
        words = f"a text, {max(array.shape[1] for array in read)} tokens at once"
        return InputWords(words=words, source=SHIPPED, samples=count)
    return InputWords(words="seeded numbers", source=f"seed {SEED}", samples=count)


def together(found: Sequence[InputWords]) -> InputWords | None:
    """Return what several models were judged on, each thing once; None where nothing was."""
    if not found:
        return None
    return InputWords(
        words=" and ".join(dict.fromkeys(one.words for one in found)),
        source=" and ".join(dict.fromkeys(one.source for one in found)),
        samples=max(one.samples for one in found),
    )
