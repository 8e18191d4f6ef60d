"""A user's inputs for a model file: one of ours by its family's record, any other by what its inputs look like."""

from collections.abc import Mapping
from dataclasses import replace

from lwmport.models.spec import FamilySpec
from lwmport.runtime.given.wanted import Wanted
from lwmport.runtime.given_inputs import GivenInputs
from lwmport.types import Array, TensorSpec
from lwmport.validators.drawn import SIDE, as_picture


def feeds_of(
    given: GivenInputs, specs: tuple[TensorSpec, ...], family: FamilySpec | None = None, count: int | None = None
) -> tuple[Mapping[str, Array], ...]:
    """Return the inputs of each run of a model with these inputs: every sample that is given, or the first ``count``.

    Pictures in a folder become an input that looks like one: floats from -1 to 1, bytes from 0 to 255, 64 x 64 where
    its size is open. Of a model that wants others, a .npz has them ready.

    Raises:
        UsageError: the model does not take them.
    """
    if given.shows:
        specs = tuple(map(_picture, specs))
    first = specs[0].shape[0] if specs and specs[0].shape else 1
    wanted = Wanted(
        specs=specs,
        batch=first if isinstance(first, int) and first > 0 else 1,
        preprocessing={} if family is None else family.preprocessing,
    )
    return tuple(sample.inputs for sample in given.samples(wanted, count))


def _picture(spec: TensorSpec) -> TensorSpec:
    found = as_picture(spec)
    sizes = zip(found.layout, found.shape, strict=False) if found is not spec else ()
    sides = {dim: SIDE for axis, dim in sizes if axis in "HW" and isinstance(dim, str)}
    return replace(found, shape=tuple(sides.get(str(dim), dim) for dim in found.shape)) if sides else found
