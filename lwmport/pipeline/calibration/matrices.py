"""Matrices of one component, rounded one after the other by what each is multiplied with in a run of the reference."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from lwmport.checkpoints.calibrated import Rounding, Roundings
from lwmport.checkpoints.layers import lazy_tensor
from lwmport.checkpoints.quantised import QuantisedTensor
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.errors import CheckpointError
from lwmport.models.folding import active_folds
from lwmport.models.schemes import SCALED, UNCALIBRATED
from lwmport.quantise.awq import Met, best_factors, met, product_error, widened
from lwmport.quantise.factor_bounds import Bounds, bounds_of, least_of
from lwmport.quantise.gptq import compensated, factor_of
from lwmport.quantise.packing import unpacked
from lwmport.quantise.rounding import Grid, codes_of, nearest_grid, values_of
from lwmport.types import Array, Component, Fold, Scheme
from lwmport.validators.ranges import limits_of

Made = TypeVar("Made")


@dataclass(kw_only=True)
class Matrices:
    """Rounds what a run of a component shows, and keeps it.

    Attributes:
        component: whose matrices they are.
        weights: its weights, the exact ones among them.
        kept: where roundings are kept.
    """

    component: Component
    weights: StoredWeights
    kept: Roundings
    _last: tuple[Sequence[Any], Any, Any] | None = None
    _folds: dict[str, Fold] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Note which fold each matrix is behind."""
        folds = active_folds(self.component, self.weights.stored)
        self._folds = {name: fold for fold in folds for name in fold.targets}

    def round(self, name: str, factors: Sequence[Any]) -> None:
        """Round one matrix by what it is multiplied with; to the nearest where it is in no plain product.

        Raises:
            CheckpointError: a number in it or in front of it is not finite.
        """
        scheme = self.weights.stored[name]
        if scheme.method == SCALED:
            self._scale(name, factors)
        if not factors:
            tensor = self._tensor(name, replace(scheme, method=UNCALIBRATED))
            found = np.concatenate(list(tensor.codes())), tensor.grid()
        elif scheme.method == SCALED:
            found = self._scaled(name, self._once(name, factors, met))
        else:
            found = self._compensated(name, self._once(name, factors, _factor))
        self.kept.put(name, *found, scheme.bits)

    def current(self, name: str) -> Array:
        """Return what a rounded matrix does in the run, whose channels are not scaled: its values over the factors."""
        found, scheme = self.kept.find(name), self.weights.stored[name]
        if found is None:
            raise CheckpointError(f"{name}: expected a rounding that was just made, found none")
        values = restored(found, scheme, self.weights.specs[name].shape)
        wide = self._wide(name)
        return values if wide is None else values / wide

    def _tensor(self, name: str, scheme: Scheme) -> QuantisedTensor:
        return QuantisedTensor(lazy_tensor(self.weights.exact, name), scheme, name, {})

    def _exact(self, name: str) -> Array:
        return np.array(self.weights.exact.read(name), np.float32)

    def _compensated(self, name: str, factor: Array) -> tuple[Array, Grid]:
        tensor = self._tensor(name, self.weights.stored[name])

        def grid_of(values: Array, costs: Array) -> Grid:
            return tensor.grid_of(values, 0, costs=costs)

        return compensated(self._exact(name), factor, tensor.group, tensor.scheme.bits, grid_of)

    def _scale(self, name: str, factors: Sequence[Any]) -> None:
        """Find the factors of the channels in front of a matrix, where they are free and not known yet."""
        fold = self._folds.get(name)
        if fold is None or self.kept.factors(fold.source) is not None:
            return
        count = self.component.weights[fold.source].shape[-1]
        if not factors:
            self.kept.put_factors(fold.source, np.ones(count, np.float32))
            return
        schemes = [self.weights.stored[target] for target in fold.targets]
        nearest = [lambda values, scheme=scheme: _nearest(values, scheme) for scheme in schemes]
        weights = [self._exact(target) for target in fold.targets]
        found = best_factors(weights, nearest, self._once(name, factors, met), fold, self._bounds(fold, weights))
        self.kept.put_factors(fold.source, found)

    def _bounds(self, fold: Fold, weights: Sequence[Array]) -> Bounds:
        """Return how large and how small factors may be, for the dtypes of all scales that take them in."""
        channels, behind = self.component.weights[fold.source].shape[-1], []
        for target, weight in zip(fold.targets, weights, strict=True):
            scheme = self.weights.stored[target]
            grid = nearest_grid(_grouped(weight, scheme), 1, scheme.bits, symmetric=scheme.symmetric)
            group = scheme.group or len(weight)
            behind.append(least_of(grid.scales[:, 0], group, _normal(scheme.scales), fold, channels))
        return bounds_of(*self._divided(fold.source), behind)

    def _divided(self, source: str) -> tuple[Array, float]:
        """Return what factors divide: a vector, or the scales of a matrix; and the least number with all digits."""
        scheme = self.weights.stored.get(source)
        if scheme is None or not scheme.scales:
            return self._exact(source), _normal(self.weights.specs[source].dtype)
        found = self.kept.find(source)
        if found is None:
            raise CheckpointError(f"{source}: expected it to be rounded in front of what reads it, found no rounding")
        return found.scales, _normal(scheme.scales)

    def _wide(self, name: str) -> Array | None:
        """Return the factors in front of a matrix, [inputs, 1]; None where there are none."""
        fold = self._folds.get(name)
        found = None if fold is None else self.kept.factors(fold.source)
        return None if fold is None or found is None else widened(found, fold)[:, None]

    def _scaled(self, name: str, inputs: Met) -> tuple[Array, Grid]:
        """Return the rounding of a scaled matrix: extremes drawn in where its products lose less by that."""
        scheme, weight, wide = self.weights.stored[name], self._exact(name), self._wide(name)
        wide = np.ones((len(weight), 1), np.float32) if wide is None else wide
        costs = inputs.squares[:, None] / np.square(wide)
        grouped, costs = (_grouped(each, scheme) for each in (weight * wide, costs))
        grids = (
            self._tensor(name, replace(scheme, method=UNCALIBRATED)).grid_of(grouped, 1),
            self._tensor(name, scheme).grid_of(grouped, 1, costs=costs),
        )
        codes = [_flat(codes_of(grouped, grid, scheme.bits), len(weight)) for grid in grids]
        made = [_flat(values_of(codes_of(grouped, grid, scheme.bits), grid), len(weight)) / wide for grid in grids]
        lost = [product_error(inputs.sample, weight, values) for values in made]
        best = int(lost[1] < lost[0])
        return codes[best], Grid(*(part[:, 0] for part in grids[best]))

    def _once(self, name: str, factors: Sequence[Any], make: Callable[[Array], Made]) -> Made:
        """Return what is made of what a matrix is multiplied with; the last one, where the last matrix met the same."""
        last = self._last
        if last is not None and last[1] is make and all(a is b for a, b in zip(last[0], factors, strict=True)):
            found: Made = last[2]
            return found
        self._last = last = None  # two of them need not be in memory
        rows = np.concatenate([np.asarray(each, np.float32).reshape(-1, each.shape[-1]) for each in factors])
        if not np.isfinite(rows).all():
            raise CheckpointError(f"{name}: expected finite numbers in front of it, found NaN or infinite ones")
        made = make(rows)
        self._last = list(factors), make, made
        return made


def restored(found: Rounding, scheme: Scheme, shape: tuple[int, ...]) -> Array:
    """Return the values of a rounding, float32 [inputs, outputs]."""
    codes = unpacked(found.codes, scheme.bits, shape[1])
    group = scheme.group or len(codes)
    wide = (np.repeat(part, group, axis=0)[: len(codes)] for part in (found.scales, found.zeros))
    return values_of(codes, Grid(*wide))


def _normal(dtype: str) -> float:
    """Return the least number of a dtype that has all its digits."""
    return float(limits_of(dtype).smallest_normal)


def _factor(rows: Array) -> Array:
    return factor_of(rows.T @ rows)


def _grouped(values: Array, scheme: Scheme) -> Array:
    """Return a matrix with an axis of groups, [groups, values, outputs], the last one filled up with zeros."""
    group = scheme.group or len(values)
    return np.pad(values, [(0, -len(values) % group), (0, 0)]).reshape(-1, group, values.shape[1])


def _nearest(values: Array, scheme: Scheme) -> Array:
    grouped = _grouped(values, scheme)
    grid = nearest_grid(grouped, 1, scheme.bits, symmetric=scheme.symmetric)
    found = values_of(codes_of(grouped, grid, scheme.bits), grid)
    return _flat(found, len(values))


def _flat(grouped: Array, rows: int) -> Array:
    """Return a matrix without the axis of groups, and without what filled the last one up."""
    return grouped.reshape(-1, grouped.shape[-1])[:rows]
