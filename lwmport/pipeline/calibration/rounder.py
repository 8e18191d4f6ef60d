"""Roundings that follow from runs of the reference: each layer sees what the ones before it have become."""

import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lwmport.checkpoints.calibrated import Rounding, Roundings
from lwmport.checkpoints.layers import lazy_tensor
from lwmport.checkpoints.model_weights import ModelWeights, component_weights
from lwmport.checkpoints.quantised import QuantisedTensor
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.errors import CheckpointError
from lwmport.manifest import CALIBRATION
from lwmport.models.families import Family
from lwmport.models.schemes import CALIBRATED
from lwmport.models.storage import schemes_of
from lwmport.pipeline.calibration.text import CalibrationText, tokens_of
from lwmport.pipeline.observer import Observer, Silent
from lwmport.pipeline.validate.test_inputs import Sampling, TestInputs
from lwmport.quantise.gptq import compensated, factor_of
from lwmport.quantise.rounding import Grid
from lwmport.runtime.given_inputs import GivenInputs
from lwmport.runtime.runners.jax_matrices import MatrixRunner
from lwmport.types import Array, Component, Scheme


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
    _factor: tuple[Sequence[Any], Array] | None = None

    def rounding(self, name: str) -> Rounding:
        """Return the rounding of a matrix; the component that it belongs to is run where that is not known yet.

        Raises:
            CheckpointError: the numbers inside of the model are not finite, or the digest is another one.
        """
        found = self._find(name)
        if found is None:
            with self._lock:  # who asks for a rounding that there is must not wait: a run does, from threads of its own
                if self._find(name) is None:
                    self.run(next(part for part in self.family.references if name in self.names(part)))
            found = self._find(name)
        if found is None:
            raise CheckpointError(f"{name}: expected a rounding behind a run of the model, found none")
        return found

    def _find(self, name: str) -> Rounding | None:
        """Return a rounding that is kept; the last one is open still."""
        last = self._last
        if last is not None and last[0] == name:
            return last[1]
        found = self._kept.find(name)
        self._last = last if found is None else (name, found)
        return found

    def names(self, component: Component) -> list[str]:
        """Return the weights of a component that are rounded so."""
        found = schemes_of(component, self.family.options)
        return sorted(name for name, scheme in found.items() if scheme.method in CALIBRATED)

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
        total = sum(component.weights[name].nbytes for name in names)
        done = 0

        def look(name: str, factors: Sequence[Any]) -> Array:
            nonlocal done
            scheme = weights.stored.get(name)
            if scheme is not None and scheme.method in CALIBRATED:
                if self._kept.find(name) is None:
                    self._round(name, scheme, weights, factors)
                done += component.weights[name].nbytes
                self.observer.progress(name, done, total)
            return weights.read(name)

        MatrixRunner(without_states(component), weights).run_up_to(self.cases(component, weights), missing, look)
        self._factor = None
        self._check(component, names)

    def record(self, component: Component) -> dict[str, Any]:
        """Return what a manifest says of a component: the text, and the digest of its roundings."""
        return {CALIBRATION: {**self.text.to_json(), "sha256": self._kept.digest(self.names(component))}}

    @property
    def _kept(self) -> Roundings:
        return Roundings(self.folder)

    def _check(self, component: Component, names: Sequence[str]) -> None:
        wanted = self.expected.get(component.name)
        found = self._kept.digest(names) if wanted else ""
        if wanted and found != wanted:
            shutil.rmtree(self.folder, ignore_errors=True)  # nobody may read on
            self._last = None
            raise CheckpointError(
                f"expected {component.name} to be rounded here as it was when it was converted, sha256 {wanted}, found "
                f"{found}: this machine takes sums in another order; judge it where it was converted, or against "
                "another artifact"
            )

    def cases(self, component: Component, weights: StoredWeights) -> list[Mapping[str, Array]]:
        """Return the inputs to run on."""
        sampling, tokens = Sampling(), tokens_of(component)
        if self.text.ids:
            path = self.folder / "text.jsonl"
            self.folder.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{json.dumps(line)}\n" for line in self.text.lines(tokens)), encoding="utf-8")
            sampling = Sampling(given=GivenInputs(path))
        size = component.signature.inputs[0].shape[0]
        trials = TestInputs(component, weights, sampling).trials(size if isinstance(size, int) else 1)
        return [trial.made.inputs for trial in trials]

    def _round(self, name: str, scheme: Scheme, weights: StoredWeights, factors: Sequence[Any]) -> None:
        """Round one matrix by what it is multiplied with; to the nearest where it is in no plain product."""
        tensor = QuantisedTensor(lazy_tensor(weights.exact, name), scheme, name, {})
        if not factors:
            self._kept.put(name, np.concatenate(list(tensor.codes())), tensor.grid(), scheme.bits)
            return
        weight = np.array(weights.exact.read(name), np.float32)
        factor = self._factor_of(name, factors)

        def grid_of(values: Array, costs: Array) -> Grid:
            return tensor.grid_of(values, 0, costs=costs)

        found = compensated(weight, factor, tensor.group, scheme.bits, grid_of)
        self._kept.put(name, *found, scheme.bits)

    def _factor_of(self, name: str, factors: Sequence[Any]) -> Array:
        """Return the factor of what a matrix is multiplied with: the last one, where the last matrix met the same."""
        if self._factor is not None and all(a is b for a, b in zip(self._factor[0], factors, strict=True)):
            return self._factor[1]
        self._factor = None  # two of them need not be in memory
        rows = np.concatenate([np.asarray(each, np.float32).reshape(-1, each.shape[-1]) for each in factors])
        if not np.isfinite(rows).all():
            raise CheckpointError(f"{name}: expected finite numbers in front of it, found NaN or infinite ones")
        hessian = rows.T @ rows
        del rows
        self._factor = list(factors), factor_of(hessian)
        return self._factor[1]


def without_states(component: Component) -> Component:
    """Return a component that returns no cache: nothing of it need stay in memory behind its layer."""
    signature = component.signature
    outputs = tuple(spec for spec in signature.outputs if spec.name not in signature.caches) or signature.outputs
    return replace(component, signature=replace(signature, outputs=outputs, states=()))
