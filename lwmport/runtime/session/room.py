"""Caches of ONNX Runtime with room behind their tokens: new ones are written there, and what is held is not copied."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from lwmport.runtime.session.backend import first, growing
from lwmport.types import ROOM, Array, Signature, dtype_of

LEAST: Final = 256
"""Slots of the smallest cache."""

GROWTH: Final = 2
"""Slots of a new cache, in parts of the tokens that are to go in. Memory that nobody writes to is none."""

Value: TypeAlias = Callable[[Array], Any]
"""Makes a value of the runtime over the memory of an array."""


class Room:
    """Memory of the caches of some sequences: so many slots a token each, by input.

    Attributes:
        slots: tokens that there is room for.
        written: tokens up to which it is written. Who holds fewer goes on in a room of its own.
        shared: whether several hold it, so that tokens that one of them drops are still another's.
    """

    def __init__(self, signature: Signature, batch: int, slots: int, value: Value) -> None:
        self.slots, self.written, self.shared = slots, 0, False
        inputs = {spec.name: spec for spec in signature.inputs}
        self.arrays: dict[str, Array] = {}
        for state in signature.states:
            spec = inputs[state.input]
            shape = [batch, *spec.shape[1:]]
            shape[state.axis] = slots
            self.arrays[state.input] = np.empty([int(size) for size in shape], dtype_of(spec.dtype))
        self.values = {name: value(array) for name, array in self.arrays.items()}


@dataclass(frozen=True, kw_only=True)
class Held:
    """Caches of so many tokens: values by input, of just these tokens, or those of a room, which may have more."""

    values: Mapping[str, Any]
    tokens: int
    room: Room | None = None


class Rooms:
    """Says where the caches of a model lie, which grow along an axis.

    Args:
        session: ONNX Runtime's own, of the model.
        signature: of the model.
        value: makes a value of an array, over its memory.
    """

    def __init__(self, session: Any, signature: Signature, value: Value) -> None:
        self._signature, self._value = signature, value
        self._axes = growing(signature)
        told = session.get_modelmeta().custom_metadata_map
        self._takes = len(self._axes) == len(signature.states) > 0 and told.get(ROOM[0]) == ROOM[1]

    def tokens(self, values: Mapping[str, Any]) -> int:
        """Return how many tokens values are of that have no room behind them; 0 where caches do not grow."""
        return next((int(values[name].shape()[axis]) for name, axis in self._axes.items()), 0)

    def takes(self, mask: Array, new: int) -> bool:
        """Return whether a run may read and write a room: with a mask [batch, tokens], and as many new tokens."""
        return self._takes and bool(mask.all()) and (len(mask) == 1 or new == 1)

    def of(self, held: Held, batch: int, total: int) -> Room:
        """Return a room that holds the same tokens and has place for ``total``: its own, if that has."""
        room = held.room
        if room is not None and room.written == held.tokens and room.slots >= total:
            return room
        made = Room(self._signature, batch, max(LEAST, GROWTH * total), self._value)
        for name, array in made.arrays.items():
            np.copyto(first(array, self._axes[name], held.tokens), self._array(held, name))
        made.written = held.tokens
        return made

    def exact(self, held: Held) -> Mapping[str, Any]:
        """Return the values without any room behind their tokens."""
        if held.room is None:
            return held.values
        return {name: self._value(np.ascontiguousarray(self._array(held, name))) for name in held.values}

    def cut(self, held: Held, tokens: int) -> Held:
        """Return the first tokens of what is held; in a room that is shared with nobody, others are written over."""
        if not self._axes:
            return held
        if held.room is None:
            kept = {
                name: self._value(np.ascontiguousarray(first(own.numpy(), self._axes[name], tokens)))
                for name, own in held.values.items()
            }
            return Held(values=kept, tokens=tokens)
        if not held.room.shared:
            held.room.written = tokens
        return Held(values=held.values, tokens=tokens, room=held.room)

    def _array(self, held: Held, name: str) -> Array:
        whole = held.values[name].numpy() if held.room is None else held.room.arrays[name]
        found: Array = first(whole, self._axes[name], held.tokens)
        return found
