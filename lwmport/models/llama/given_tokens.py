"""Inputs of a language component whose tokens are a user's: what he left out follows from them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lwmport.errors import UsageError
from lwmport.models.llama.test_inputs import RING, SEED, array_for, mask_for, relevant_of
from lwmport.models.spec import CaseInputs
from lwmport.types import Array, Component, TensorSpec, size_of

IDS = "input_ids"
MASK = "attention_mask"
CODES = "vision_masks"


def completed(component: Component, given: Mapping[str, Array]) -> CaseInputs:
    """Return all inputs of a run on tokens [batch, tokens] (`lwmport.models.spec.Completer`).

    Where the component takes a fixed number of tokens, fewer have padding on the left. A decode takes the last ones,
    behind a seeded cache. A cache of any length is empty. Without ``vision_masks`` every token is a word.

    Raises:
        UsageError: there are more tokens than the component takes, or has positions for, or one is none of its own.
    """
    specs = {spec.name: spec for spec in component.signature.inputs}
    batch, count = given[IDS].shape
    fixed = specs[IDS].shape[1]
    length = fixed if isinstance(fixed, int) else count
    decodes = "cache_position" in specs
    if count < 1 or (count > length and not decodes):
        raise UsageError(f"expected 1 to {length} tokens for {component.name} (--sequence), found {count}")
    sizes = {**RING, "batch": batch, "sequence": length, "past": 0}
    shapes = {name: tuple(size_of(dim, sizes) for dim in spec.shape) for name, spec in specs.items()}
    fitted: dict[str, Any] = {name: _fitted(array, length) for name, array in given.items() if array.ndim == 2}
    if decodes:
        fitted.pop(MASK, None)
        mask = mask_for(shapes, padded=False)
        taken = min(count, length)
    else:
        shown = given.get(MASK, np.ones((batch, count), np.int64))
        mask, taken = _fitted(shown, length), count
    random = np.random.default_rng(SEED)
    inputs = {name: fitted[name] if name in fitted else array_for(specs[name], shapes[name], mask, random)
              for name in specs}  # fmt: skip
    if CODES in specs and CODES not in given:
        inputs[CODES] = np.zeros(shapes[CODES], bool)
    if MASK in specs and not decodes:
        inputs[MASK] = mask.astype(specs[MASK].dtype)
    _check(component, specs, inputs)
    counted = np.ones_like(mask) if decodes else mask
    left = f", {length - taken} tokens of padding on the left" if taken < length else ""
    return CaseInputs(
        inputs=inputs,
        relevant=relevant_of(component, sizes, counted),
        description=f"{batch} x {taken} tokens{' behind a seeded cache' if decodes else ''}{left}",
    )


def _fitted(array: Array, length: int) -> Array:
    """Return the last ``length`` entries of each row, with zeros on the left where there are fewer."""
    kept = array[:, max(array.shape[1] - length, 0) :]
    return np.pad(kept, ((0, 0), (length - kept.shape[1], 0)))


def _check(component: Component, specs: Mapping[str, TensorSpec], inputs: Mapping[str, Array]) -> None:
    """Return if every token is a row of its table, and every position one that the model has."""
    ids, codes = inputs[IDS], inputs.get(CODES)
    tables = {"word": ("vocab_size", ids if codes is None else ids[~codes])}
    tables |= {} if codes is None else {"code": ("vision_vocab_size", ids[codes])}
    for what, (field, found) in tables.items():
        rows = int(component.config[field])
        if found.size and (found.min() < 0 or found.max() >= rows):
            raise UsageError(
                f"expected each {what} of {component.name} from 0 to {rows - 1} ({field}), found "
                f"{int(found.min())} to {int(found.max())}"
            )
    limits = specs["position_ids"].value_range if "position_ids" in specs else None
    if limits and inputs["position_ids"].max(initial=0) > limits[1]:
        raise UsageError(
            f"expected at most {limits[1] + 1:.0f} tokens, which {component.name} has positions for, found "
            f"{ids.shape[1]}"
        )
