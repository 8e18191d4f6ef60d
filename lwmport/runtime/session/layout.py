"""What one phase of a language model takes, read off its signature: tokens at once, and the kind of its cache."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from lwmport.errors import ArtifactError
from lwmport.types import Array, Signature, TensorSpec, Update, dtype_of
from lwmport.wording import few

IDS: Final = "input_ids"
EMBEDS: Final = "inputs_embeds"
CODES: Final = "vision_masks"
MASK: Final = "attention_mask"
POSITIONS: Final = "position_ids"

ALONE: Final[Mapping[tuple[str, ...], bool]] = {("text_logits",): False, ("vision_logits",): True}
"""Results -> whether a token that is run alone is taken for a code, whatever ``vision_masks`` says.

LWM looks such a token up where its one head samples from, and a program of one token does the same."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The sizes of one phase; None stands for any.

    Attributes:
        batch: sequences at once.
        tokens: tokens at once.
        slots: tokens that the cache has room for; None for a cache that grows.
        positions: tokens of a sequence that the model has positions for.
        takes: the input that new tokens come in, `IDS` or `EMBEDS`.
        starts: whether it takes no cache and begins one.
        has_codes: whether it is told which tokens are codes.
        alone: whether each token is taken for a code (true) or a word (false) whatever it is told; None for neither.
    """

    batch: int | None
    tokens: int | None
    slots: int | None
    positions: int | None
    takes: str
    starts: bool
    has_codes: bool
    alone: bool | None


def layout_of(name: str, signature: Signature) -> Layout:
    """Return the layout of the component of that name.

    Raises:
        ArtifactError: it has no states, or is no whole language model.
    """
    if not signature.states:
        raise ArtifactError(f"expected the states of {name} in its manifest, found none; convert it again")
    specs = {spec.name: spec for spec in signature.inputs}
    _check_whole(name, set(specs), signature)
    takes = EMBEDS if EMBEDS in specs else IDS
    limits, tokens = specs[POSITIONS].value_range, _fixed(specs[takes].shape[1])
    results = tuple(spec.name for spec in signature.outputs if spec.name not in signature.caches)
    return Layout(
        batch=_fixed(specs[takes].shape[0]),
        tokens=tokens,
        slots=_slots(signature),
        positions=None if limits is None else int(limits[1]) + 1,
        takes=takes,
        starts=not any(state.input in specs for state in signature.states),
        has_codes=CODES in specs,
        alone=ALONE.get(results) if tokens == 1 and takes == IDS else None,
    )


def empty_states(signature: Signature, batch: int) -> dict[str, Array]:
    """Return what the states are before the first token, by input: no tokens in a cache that grows, else zeros."""
    names = {state.input for state in signature.states}
    return {spec.name: _empty(spec, batch) for spec in signature.inputs if spec.name in names}


def _check_whole(name: str, inputs: set[str], signature: Signature) -> None:
    fed = {input_ for state in signature.states for input_ in (state.input, state.position)}
    needed = {EMBEDS if EMBEDS in inputs else IDS, MASK, POSITIONS}
    strange = sorted(inputs - needed - fed - {CODES})
    if strange or not needed <= inputs:
        raise ArtifactError(
            f"expected a whole language model, which takes {IDS} or {EMBEDS}, {MASK}, {POSITIONS} and its states, "
            f"found {name}, which takes {few(strange) or 'not all of these'}; convert the whole model"
        )


def _slots(signature: Signature) -> int | None:
    specs = {spec.name: spec for spec in signature.outputs}
    found = [specs[state.output].shape[state.axis] for state in signature.states if state.update is Update.SLOT]
    return _fixed(found[0]) if found else None


def _fixed(size: int | str) -> int | None:
    return size if isinstance(size, int) else None


def _empty(spec: TensorSpec, batch: int) -> Array:
    sizes = tuple(size if isinstance(size, int) else 0 for size in spec.shape[1:])
    return np.zeros((batch, *sizes), dtype_of(spec.dtype))
