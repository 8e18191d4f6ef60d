"""Inputs that a model cannot take are refused in one line, and a video is folded into the batch."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from lwmport.errors import RunnerError
from lwmport.types import Array, Kind, Signature, TensorSpec, TwoTables
from lwmport.validators.promise import broken
from lwmport.wording import few

CODES: Final = "codebook_indices"
CODES_HINT: Final = "; end-of-frame tokens are no codes, take them out first"


def check_inputs(specs: tuple[TensorSpec, ...], inputs: Mapping[str, Array]) -> None:
    """Return if the inputs have the names, dtypes and shapes of the specifications, and indices lie in their range.

    Raises:
        RunnerError: they do not.
    """
    names = [spec.name for spec in specs]
    if sorted(inputs) != sorted(names):
        raise RunnerError(f"expected the inputs {few(names)}, found {few(inputs) or 'none'}")
    for spec in specs:
        _check(spec, inputs[spec.name])
        if spec.tables is not None and spec.tables.chosen_by in inputs:
            _check_tables(spec.name, spec.tables, inputs)


def _check(spec: TensorSpec, array: Array) -> None:
    reason = broken(spec, array)
    if reason:
        raise RunnerError(reason)
    if spec.kind is Kind.INDICES and spec.value_range and array.size:
        low, high = spec.value_range
        if array.min() < low or array.max() > high:
            raise RunnerError(
                f"expected {spec.name} between {low:.0f} and {high:.0f}, found {array.min()} to {array.max()}"
                f"{CODES_HINT if spec.name == CODES else ''}"
            )


def _check_tables(name: str, tables: TwoTables, inputs: Mapping[str, Array]) -> None:
    """Refuse an index that is no row of the table that it looks into."""
    chosen, array = inputs[tables.chosen_by], inputs[name]
    wrong = np.argwhere(array >= tables.least_above(chosen))
    if len(wrong):
        place = tuple(int(index) for index in wrong[0])
        rows = tables.rows[int(chosen[place] != 0)]
        raise RunnerError(
            f"expected {name} below {rows} where {tables.chosen_by} is {bool(chosen[place])}, found {array[place]} at "
            f"{list(place)}"
        )


def fold_video(
    signature: Signature, inputs: Mapping[str, Array]
) -> tuple[dict[str, Array], Callable[[dict[str, Array]], dict[str, Array]]]:
    """Return the inputs with frames folded into the batch, and what unfolds the outputs again.

    A video has one axis more than the signature, the second: [batch, frames, ...] becomes [batch * frames, ...].
    """
    ranks = {spec.name: len(spec.shape) for spec in signature.inputs}
    videos = {name: array for name, array in inputs.items() if array.ndim == ranks.get(name, -1) + 1}
    if not videos:
        return dict(inputs), lambda outputs: outputs
    frames = {array.shape[:2] for array in videos.values()}
    if len(frames) != 1 or len(videos) != len(inputs):
        shapes = {name: list(array.shape) for name, array in inputs.items()}
        raise RunnerError(f"expected all inputs as videos [batch, frames, ...] of one length, found {shapes}")
    (leading,) = frames
    folded = {name: array.reshape(-1, *array.shape[2:]) for name, array in videos.items()}
    return folded, lambda outputs: {name: array.reshape(*leading, *array.shape[1:]) for name, array in outputs.items()}


def spec_of(name: str, shape: list[Any], dtype: str) -> TensorSpec:
    """Return the specification of a tensor as a runtime tells it; unnamed dynamic sizes are called ``?``."""
    return TensorSpec(
        name=name, shape=tuple(dim if isinstance(dim, int) else str(dim or "?") for dim in shape), dtype=dtype
    )


def as_arrays(inputs: Mapping[str, Any]) -> dict[str, Array]:
    """Return the inputs as numpy arrays."""
    return {name: np.asarray(value) for name, value in inputs.items()}
