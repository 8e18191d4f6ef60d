"""The one maker of inputs: to judge on, for golden samples and for calibration.

A user gives them (``--inputs``), or the family of the component makes them (`lwmport.models.spec.InputMaker`). Where it
says nothing, a picture is a photograph, and every other input is made of seeded numbers. A component that another one
feeds gets what the reference of that one gives.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from lwmport.errors import UsageError
from lwmport.models.spec import CaseInputs, Completer, FamilySpec, InputMaker
from lwmport.models.specs import owner_of, spec_of
from lwmport.registry import load
from lwmport.runtime.given.wanted import Sample, Wanted
from lwmport.runtime.given_inputs import GivenInputs
from lwmport.runtime.runners.jax import reference
from lwmport.types import (
    Array,
    Component,
    Dim,
    Kind,
    Preprocessing,
    Runner,
    TensorSpec,
    Weights,
    size_of,
    within_tables,
)
from lwmport.validators.pictures import PHOTOGRAPHS, channels_last, pixels, scaled, with_channels

USUAL: Final = Preprocessing()
"""How a picture becomes an input of which its family says nothing: as LWM's own do."""

SYMMETRIES: Final = 8
"""A photograph turned by 0, 90, 180 and 270 degrees, and each of these mirrored: so many pictures out of one."""

SEED: Final = 20

LENGTH: Final = 7
"""The size of a dynamic dimension that is not the batch."""

BATCH: Final = "batch"

SEQUENCE: Final = "sequence"

SHOWN: Final = 3
"""Photographs that a model is judged on where nobody says how many: runs behind the first serve to time it, so they
cost next to nothing."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """What models are run on: a user's file or none, how many samples, None for what is usual.

    ``others`` are the inputs of all models that are run on the file, for it may hold those of each. ``items`` is how
    many items the model takes in a run, None for any number.
    """

    given: GivenInputs | None = None
    count: int | None = None
    others: frozenset[str] = frozenset()
    items: int | None = None

    def of(self, batch: Dim) -> "Sampling":
        """Return the sampling of a model with this batch, a number or the name of a dynamic one."""
        return replace(self, items=batch if isinstance(batch, int) else None)


def sampling_for(
    inputs: Path | None, count: int | None, checkpoint: str | None, components: Iterable[Component]
) -> Sampling:
    """Return the sampling that a request asks for; the tokenizer of a text lies beside the checkpoint.

    Raises:
        UsageError: the file cannot be read.
    """
    if inputs is None:
        return Sampling(count=count)
    beside = None if checkpoint is None else Path(checkpoint.rpartition("::")[2])
    parts = [part for one in components for part in (one, one.feeder) if part is not None]
    names = frozenset(spec.name for part in parts for spec in part.signature.inputs)
    return Sampling(given=GivenInputs(inputs, beside), count=count, others=names)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run to judge on: its case, and its inputs."""

    case: str
    made: CaseInputs


class TestInputs:
    """Inputs of one component. ``weights`` are those of the component and of its feeder."""

    __test__ = False  # no class of tests

    def __init__(self, component: Component, weights: Weights, sampling: Sampling | None = None) -> None:
        self._component, self._weights = component, weights
        self._first = _with_feeder(component)
        self._sampling = sampling or Sampling()

    @property
    def cases(self) -> tuple[str, ...]:
        """The names of the cases that the component is judged on; ``("",)`` where there is one without a name."""
        return self._maker.cases(self._first)

    def make(self, batch: int, number: int = 0, case: str = "") -> CaseInputs:
        """Return the inputs of one run, in the dtypes of the reference. Each number gives other ones."""
        return self._fed(self._maker.make(self._first, batch, number, case))

    def check(self, batch: int) -> None:
        """Return if the component takes what the user gives; nothing is run.

        Raises:
            UsageError: it does not; see `lwmport.runtime.given_inputs.GivenInputs.samples`.
        """
        if self._sampling.given is not None:
            self._given(self._sampling.given, batch)

    def trials(self, batch: int) -> list[Trial]:
        """Return all runs that the component is judged on: the user's samples, or those of each case.

        Raises:
            UsageError: the component does not take what the user gives.
        """
        if self._sampling.given is None:
            numbers_ = range(self._sampling.count or self.usual(batch))
            return [Trial(case=case, made=self.make(batch, number, case)) for case in self.cases for number in numbers_]
        fed, found = self._given(self._sampling.given, batch)
        return [Trial(case="", made=self._fed(made) if fed else made) for made in found]

    def usual(self, batch: int) -> int:
        """Return how many runs are usual: as many as show `SHOWN` photographs, or one of what is no picture."""
        shown = any(spec.kind is Kind.PICTURE for spec in self._first.signature.inputs)
        return -(-SHOWN // batch) if shown else 1

    def _given(self, given: GivenInputs, batch: int) -> tuple[bool, list[CaseInputs]]:
        """Return whether the user's samples are for the feeder, and the samples."""
        own = [spec.name for spec in self._component.signature.inputs]
        shown = any(spec.kind is Kind.PICTURE for spec in self._component.signature.inputs)
        made = set(own) - {spec.name for spec in self._first.signature.inputs}
        fed = self._component.feeder is not None and not (shown if given.shows else given.names() & made)
        component = self._first if fed else self._component
        spec = spec_of(component.family)
        samples = given.samples(self._wanted(component, spec, given, batch), self._sampling.count)
        return fed, [_described(component, spec, given, sample, number) for number, sample in enumerate(samples)]

    def _wanted(self, component: Component, spec: FamilySpec | None, given: GivenInputs, batch: int) -> Wanted:
        """Return what the component takes; a number of tokens is open where the family fills in the rest."""
        specs, tokens = component.signature.inputs, "" if spec is None else spec.tokens
        tokens = tokens if tokens in {one.name for one in specs} else ""
        open_: frozenset[str] = frozenset()
        if spec is not None and spec.complete and tokens:
            open_ = frozenset(one.name for one in specs) - {tokens}
            if not given.names() >= open_:
                specs = tuple(
                    replace(one, shape=(BATCH, SEQUENCE)) if one.name not in component.signature.caches
                    and len(one.shape) == 2 else one for one in specs
                )  # fmt: skip
        items = self._sampling.items
        if items is not None:
            sizes = {BATCH: items}
            specs = tuple(replace(one, shape=tuple(sizes.get(str(dim), dim) for dim in one.shape)) for one in specs)
        return Wanted(
            specs=specs,
            batch=batch,
            preprocessing={} if spec is None else spec.preprocessing,
            tokens=tokens,
            open=open_,
            others=self._sampling.others,
        )

    def _fed(self, made: CaseInputs) -> CaseInputs:
        """Return the inputs of the component: what the feeder makes of its own, and those that it does not make."""
        feeder = self._component.feeder
        if feeder is None or self._feeder is None:
            return made
        found = {**made.inputs, **self._feeder.run({spec.name: made.inputs[spec.name] for spec in self._feeder.inputs})}
        return replace(
            made,
            inputs={spec.name: found[spec.name] for spec in self._component.signature.inputs},
            description=f"outputs of {feeder.name} for {made.description}",
            origin=made.inputs,
        )

    @cached_property
    def _maker(self) -> InputMaker:
        spec = spec_of(self._first.family)
        if spec is None or not spec.inputs:
            return UsualInputs({} if spec is None else spec.preprocessing)
        maker: InputMaker = load(spec.inputs, owner_of(spec))
        return maker

    @cached_property
    def _feeder(self) -> Runner | None:
        feeder = self._component.feeder
        return None if feeder is None else reference(feeder, self._weights)


def _with_feeder(component: Component) -> Component:
    """Return what inputs are made for: the component behind the one that feeds it, as one."""
    feeder = component.feeder
    if feeder is None:
        return component
    made = {spec.name for spec in feeder.signature.outputs}
    rest = (spec for spec in component.signature.inputs if spec.name not in made)
    signature = replace(component.signature, inputs=(*feeder.signature.inputs, *rest))
    return replace(feeder, name=component.name, signature=signature)


def _described(
    component: Component, spec: FamilySpec | None, given: GivenInputs, sample: Sample, number: int
) -> CaseInputs:
    """Return a user's sample as a run, with what its family fills in."""
    names = [one.name for one in component.signature.inputs]
    where = f"{given.source}: {', '.join(sample.titles)}" if sample.titles else f"{given.source}, sample {number}"
    if set(sample.inputs) >= set(names) or spec is None or not spec.complete:
        made = CaseInputs(inputs={name: sample.inputs[name] for name in names}, description=where)
    else:
        completer: Completer = load(spec.complete, owner_of(spec))
        try:
            made = completer(component, sample.inputs)
        except UsageError as error:
            raise UsageError(f"{given.path}, sample {number}: {error}") from error
        made = replace(made, description=f"{where}, {made.description}")
    return replace(made, titles=tuple((title, "") for title in sample.titles))


def described(trials: Sequence[Trial]) -> str:
    """Return what the runs are made of, each thing once; a case is named where there are several."""
    cases: dict[str, list[str]] = {}
    for trial in trials:
        cases.setdefault(trial.case, []).append(trial.made.description)
    told = {case: _joined(list(dict.fromkeys(found))) for case, found in cases.items()}
    return "; ".join(f"{case}: {words}" if case else words for case, words in told.items())


def _joined(found: list[str]) -> str:
    """Return descriptions of runs as one; what they have in common at the front is said once."""
    heads = {words.partition(": ")[0] for words in found}
    if len(found) > 1 and len(heads) == 1 and all(": " in words for words in found):
        return f"{heads.pop()}: {', '.join(words.partition(': ')[2] for words in found)}"
    return "; ".join(found)


class UsualInputs:
    """Photographs for pictures, seeded numbers for the rest (`lwmport.models.spec.InputMaker`)."""

    def __init__(self, preprocessing: Mapping[str, Preprocessing]) -> None:
        self._preprocessing = preprocessing

    def cases(self, component: Component) -> tuple[str, ...]:
        """Return the one case."""
        del component
        return ("",)

    def make(self, component: Component, batch: int, number: int, case: str) -> CaseInputs:
        """Return the inputs of one run: the next photographs, and numbers of another seed."""
        del case
        items, random = range(number * batch, (number + 1) * batch), np.random.default_rng(SEED + number)
        specs = component.signature.inputs
        shown = [spec for spec in specs if spec.kind is Kind.PICTURE]
        inputs = {
            spec.name: pictures(spec, items, self._preprocessing.get(spec.name, USUAL))
            if spec in shown
            else numbers(spec, batch, random)
            for spec in specs
        }
        words = [f"photographs: {', '.join(map(title_of, items))}"] if shown else []
        words += [f"seeded numbers (seed {SEED + number})"] if len(shown) < len(specs) else []
        credits_ = [PHOTOGRAPHS[item % len(PHOTOGRAPHS)].credit for item in items] if shown else []
        return CaseInputs(
            inputs=within_tables(specs, inputs),
            description=" and ".join(words),
            titles=tuple((title_of(item), credit) for item, credit in zip(items, credits_, strict=False)),
        )


def pictures(spec: TensorSpec, items: range, how: Preprocessing = USUAL) -> Array:
    """Return pictures in the layout of an input: every photograph, then every one turned, then mirrored.

    Other channel counts than 3 are filled with the mean of the channels.
    """
    height, width, channels = channels_last(spec)
    whole = pixels(min(items.stop, len(PHOTOGRAPHS)), (height, width), how.resizing)
    found = np.stack([_turned(whole[item % len(PHOTOGRAPHS)], _symmetry(item)) for item in items])
    return scaled(with_channels(found, channels), spec, how.normalisation)


def title_of(item: int) -> str:
    """Return the name of a picture: which photograph, and how it is turned."""
    name, symmetry = PHOTOGRAPHS[item % len(PHOTOGRAPHS)].name, _symmetry(item)
    turned = f" turned by {90 * (symmetry % 4)} degrees" if symmetry % 4 else ""
    return f"{name}{turned}{' mirrored' if symmetry >= 4 else ''}"


def _turned(picture: Array, symmetry: int) -> Array:
    """Return a picture [h, w, c] turned; one that is not square is turned upside down only."""
    square = picture.shape[0] == picture.shape[1]
    turned = np.rot90(picture, symmetry % 4 if square else 2 * (symmetry % 2))
    return np.ascontiguousarray(turned if symmetry < 4 else turned[:, ::-1])


def _symmetry(item: int) -> int:
    return item // len(PHOTOGRAPHS) % SYMMETRIES


def numbers(spec: TensorSpec, batch: int, random: np.random.Generator) -> Array:
    """Return seeded numbers: integers and truths in the input's range, other numbers of standard deviation 1."""
    names = {dim.strip() for size in spec.shape if isinstance(size, str) for dim in size.split("+")}
    sizes = {**dict.fromkeys(names, LENGTH), BATCH: batch}
    shape = tuple(size_of(dim, sizes) for dim in spec.shape)
    if spec.dtype == "bool":
        return random.integers(0, 2, shape).astype(spec.dtype)
    if np.issubdtype(np.dtype(spec.dtype), np.integer):
        low, high = spec.value_range or (0, 1)
        return random.integers(int(low), int(high) + 1, shape).astype(spec.dtype)
    if spec.value_range is not None:
        return random.uniform(*spec.value_range, shape).astype(spec.dtype)
    return random.standard_normal(shape).astype(spec.dtype)
