"""Which channels of a component may be scaled, by how its weights are rounded.

A factor for each channel goes into the matrices behind it, and out of what makes it: the model stays the same but for
the rounding of float32. Nothing that is stored as it was may change, so all of these matrices have to be rounded by the
method that scales, and a matrix that makes the channels too: its scales take the factor then, and its codes stay.
"""

from collections.abc import Mapping

from lwmport.models.schemes import SCALED
from lwmport.types import Component, Fold, Scheme


def active_folds(component: Component, schemes: Mapping[str, Scheme]) -> tuple[Fold, ...]:
    """Return the folds of a component whose factors are free, by the scheme of each of its weights."""
    return tuple(fold for fold in component.folds if _is_free(fold, component, schemes))


def folded_vectors(component: Component, schemes: Mapping[str, Scheme]) -> tuple[str, ...]:
    """Return the vectors that are divided by factors."""
    names = (fold.source for fold in active_folds(component, schemes))
    return tuple(name for name in names if len(component.weights[name].shape) == 1)


def _is_free(fold: Fold, component: Component, schemes: Mapping[str, Scheme]) -> bool:
    is_vector = len(component.weights[fold.source].shape) == 1
    scaled = fold.targets if is_vector else (fold.source, *fold.targets)
    return all(name in schemes and schemes[name].method == SCALED for name in scaled)
