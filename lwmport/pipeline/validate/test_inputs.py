"""The one maker of inputs: to judge on, for golden samples and for calibration.

The family of a component makes them (`lwmport.models.spec.InputMaker`). Where it says nothing, a picture is a
photograph, and every other input is made of seeded numbers. A component that another one feeds gets what the reference
of that one gives.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np

from lwmport.models.spec import CaseInputs, InputMaker
from lwmport.models.specs import owner_of, spec_of
from lwmport.registry import load
from lwmport.runtime.runners.jax import reference
from lwmport.types import Array, Component, Kind, Normalisation, Runner, TensorSpec, Weights, size_of, within_tables
from lwmport.validators.pictures import PHOTOGRAPHS, channels_last, pixels, scaled

SYMMETRIES: Final = 8
"""A photograph turned by 0, 90, 180 and 270 degrees, and each of these mirrored: so many pictures out of one."""

SEED: Final = 20

LENGTH: Final = 7
"""The size of a dynamic dimension that is not the batch."""

BATCH: Final = "batch"


class TestInputs:
    """Inputs of one component. ``weights`` are those of the component and of its feeder."""

    __test__ = False  # no class of tests

    def __init__(self, component: Component, weights: Weights) -> None:
        self._component, self._weights = component, weights
        self._first = component.feeder or component

    @property
    def cases(self) -> tuple[str, ...]:
        """The names of the cases that the component is judged on; ``("",)`` where there is one without a name."""
        return self._maker.cases(self._first)

    def make(self, batch: int, number: int = 0, case: str = "") -> CaseInputs:
        """Return the inputs of one run, in the dtypes of the reference. Each number gives other ones."""
        made = self._maker.make(self._first, batch, number, case)
        if self._feeder is None:
            return made
        outputs = self._feeder.run(made.inputs)
        return replace(
            made,
            inputs={spec.name: outputs[spec.name] for spec in self._component.signature.inputs},
            description=f"outputs of {self._first.name} for {made.description}",
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


class UsualInputs:
    """Photographs for pictures, seeded numbers for the rest (`lwmport.models.spec.InputMaker`)."""

    def __init__(self, preprocessing: Mapping[str, Normalisation]) -> None:
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
            spec.name: pictures(spec, items, self._preprocessing.get(spec.name))
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


def pictures(spec: TensorSpec, items: range, how: Normalisation | None = None) -> Array:
    """Return pictures in the layout of an input: every photograph, then every one turned, then mirrored.

    Other channel counts than 3 are filled with the mean of the channels.
    """
    height, width, channels = channels_last(spec)
    whole = pixels(min(items.stop, len(PHOTOGRAPHS)), (height, width))
    found = np.stack([_turned(whole[item % len(PHOTOGRAPHS)], _symmetry(item)) for item in items])
    if channels != found.shape[-1]:
        found = np.repeat(found.mean(axis=-1, keepdims=True, dtype=np.float32), channels, axis=-1)
    return scaled(found, spec, how)


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
