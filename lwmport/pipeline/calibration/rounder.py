"""Roundings that follow from runs of the reference: each layer sees what the ones before it have become."""

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lwmport.checkpoints.calibrated import Rounding, Roundings
from lwmport.checkpoints.model_weights import ModelWeights, component_weights
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.errors import CheckpointError
from lwmport.manifest import CALIBRATION
from lwmport.models.families import Family
from lwmport.models.folding import active_folds
from lwmport.models.schemes import CALIBRATED
from lwmport.models.storage import schemes_of
from lwmport.pipeline.calibration.cases import cases_of, without_states
from lwmport.pipeline.calibration.matrices import Matrices
from lwmport.pipeline.calibration.text import CalibrationText
from lwmport.pipeline.observer import Observer, Silent
from lwmport.runtime.runners.jax_matrices import MatrixRunner
from lwmport.types import Array, Component, Scheme

Found = TypeVar("Found")


@dataclass(kw_only=True)
class CalibratedRounder:
    """Rounds the matrices of a model when the first of them is asked for (`lwmport.checkpoints.calibrated.Rounder`).

    Attributes:
        family: the model.
        weights: the exact ones.
        text: what it runs on.
        folder: where roundings are kept; those that are there already are not made again.
        observer: told how the work goes.
        expected: component -> the digest that its roundings have to have, where that is known.
    """

    family: Family
    weights: ModelWeights
    text: CalibrationText
    folder: Path = Path()
    observer: Observer = field(default_factory=Silent)
    expected: Mapping[str, str] = field(default_factory=dict)
    _lock: Any = field(default_factory=threading.Lock)
    _last: tuple[str, Rounding] | None = None
    _known: dict[str, Mapping[str, Scheme]] = field(default_factory=dict)

    def rounding(self, name: str) -> Rounding:
        """Return the rounding of a matrix; the component that it belongs to is run where that is not known yet.

        Raises:
            CheckpointError: the numbers inside of the model are not finite, or the digest is another one.
        """
        return self._found(name, self._find)

    def factors(self, name: str) -> Array:
        """Return what a vector is divided by; the component that it belongs to is run where that is not known yet.

        Raises:
            CheckpointError: as `rounding` does.
        """
        return self._found(name, self._kept.factors)

    def _found(self, name: str, find: Callable[[str], Found | None]) -> Found:
        found = find(name)
        if found is None:
            with self._lock:  # who asks for a rounding that there is must not wait: a run does, from threads of its own
                if find(name) is None:
                    self.run(next(part for part in self.family.references if name in self._rounded_by(part)))
            found = find(name)
        if found is None:
            raise CheckpointError(f"{name}: expected a rounding behind a run of the model, found none")
        return found

    def _find(self, name: str) -> Rounding | None:
        """Return a rounding that is kept, over the factors of the channels that it makes; the last is open still."""
        last = self._last
        if last is not None and last[0] == name:
            return last[1]
        found = self._kept.find(name)
        for part in self.family.references:
            if found is not None and name in self._sources(part):
                found = _over(found, self._kept.factors(name), self._schemes(part)[name])
                break
        self._last = last if found is None else (name, found)
        return found

    def names(self, component: Component) -> list[str]:
        """Return the weights of a component that are rounded so."""
        return sorted(name for name, scheme in self._schemes(component).items() if scheme.method in CALIBRATED)

    def _rounded_by(self, component: Component) -> set[str]:
        return {*self.names(component), *self._sources(component)}

    def _sources(self, component: Component) -> list[str]:
        """Return the weights of a component that make channels which are scaled."""
        return [fold.source for fold in active_folds(component, self._schemes(component))]

    def _schemes(self, component: Component) -> Mapping[str, Scheme]:
        if component.name not in self._known:
            self._known[component.name] = schemes_of(component, self.family.options)
        return self._known[component.name]

    def run(self, component: Component) -> None:
        """Round every matrix of a component that is not rounded yet.

        Raises:
            CheckpointError: as `rounding` does.
        """
        names = self.names(component)
        missing = [name for name in names if self._kept.find(name) is None]
        if not missing:
            return
        weights = component_weights(self.family, component, self.weights)
        if not isinstance(weights, StoredWeights):
            raise CheckpointError(f"expected rounded weights of {component.name}, found exact ones")
        self.observer.phase(f"{component.name}: run the reference on {self.text.words}, and round each matrix")
        matrices = Matrices(component=component, weights=weights, kept=self._kept)
        total = sum(component.weights[name].nbytes for name in names)
        done, rounded = 0, {*names}

        def look(name: str, factors: Sequence[Any]) -> Array:
            nonlocal done
            if name not in rounded:  # factors of what makes a channel are found behind it: it is as it was
                return (weights.exact if name in weights.folded else weights).read(name)
            if self._kept.find(name) is None:
                matrices.round(name, factors)
            done += component.weights[name].nbytes
            self.observer.progress(name, done, total)
            return matrices.current(name)

        cases = cases_of(component, weights, self.text, self.folder)
        MatrixRunner(without_states(component), weights).run_up_to(cases, missing, look)
        self._check(component)

    def record(self, component: Component) -> dict[str, Any]:
        """Return what a manifest says of a component: the text, and the digest of its roundings."""
        return {CALIBRATION: {**self.text.to_json(), "sha256": self._digest(component)}}

    @property
    def _kept(self) -> Roundings:
        return Roundings(self.folder)

    def _digest(self, component: Component) -> str:
        return self._kept.digest(self.names(component), self._sources(component))

    def _check(self, component: Component) -> None:
        wanted = self.expected.get(component.name)
        found = self._digest(component) if wanted else ""
        if wanted and found != wanted:
            shutil.rmtree(self.folder, ignore_errors=True)  # nobody may read on
            self._last = None
            raise CheckpointError(
                f"expected {component.name} to be rounded here as it was when it was converted, sha256 {wanted}, found "
                f"{found}: this machine takes sums in another order; judge it where it was converted, or against "
                "another artifact"
            )


def _over(found: Rounding, factors: Array | None, scheme: Scheme) -> Rounding | None:
    """Return the rounding of a matrix that makes channels over their factors: its scales change, its codes do not."""
    if factors is None:
        return None
    scales = (found.scales / factors).astype(scheme.scales).astype(np.float32)
    return found._replace(scales=scales)
