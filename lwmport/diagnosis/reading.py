"""An operator's type, settings and inputs, read alike whatever format it is written in."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from lwmport.diagnosis.evidence import Side
from lwmport.types import Array

REGION: Final = "region"
"""The type of an operator that stands for several."""

SAME_VALUE: Final = 1e-6
"""Relative difference of two settings that a float32 explains: eight times its unit in the last place."""


def plain(name: str) -> str:
    """Return a type or a setting's name without domain, case and underscores: ``CONV_2D`` and ``Conv2D`` alike."""
    return name.rpartition("::")[2].rpartition(".")[2].replace("_", "").lower()


def setting(side: Side, *names: str, default: Any = None) -> Any:
    """Return the setting that has one of these names (`plain`), or the default."""
    found = {plain(key): value for key, value in side.attributes.items()}
    return next((as_value(found[name]) for name in names if name in found), default)


def as_value(value: Any) -> Any:
    """Return a setting as a number, a text or a list of them."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return [as_value(one) for one in value] if isinstance(value, list | tuple) else value


def alike(one: Any, other: Any) -> bool:
    """Return whether two settings are the same, numbers up to the rounding of float32."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return bool(one == other or abs(one - other) <= SAME_VALUE * max(abs(one), abs(other)))
    return bool(one == other)


def given(side: Side, place: int) -> Array | None:
    """Return an input's value, None where it is left out or not known."""
    return side.inputs[place] if place < len(side.inputs) else None


def is_constant(side: Side, place: int) -> bool:
    """Return whether an input is a constant."""
    return place < len(side.constant) and side.constant[place]


def name_of(side: Side, place: int) -> str:
    """Return an input's name, or its place where it has none."""
    name = side.names[place] if place < len(side.names) else ""
    return f"'{name}'" if name else f"input {place}"


def is_named_after(name: str, other: str) -> bool:
    """Return whether a tensor has the name of another, or one that was made of it: ``kernel``, ``kernel/ohwi``."""
    return name == other or name.startswith(f"{other}/")


def with_input(place: int, value: Array | None) -> Callable[[Side], Side]:
    """Return what gives an operator's input another value."""
    return lambda side: replace(side, inputs=(*side.inputs[:place], value, *side.inputs[place + 1 :]))


def with_inputs(values: Sequence[Array | None]) -> Callable[[Side], Side]:
    """Return what gives an operator other inputs."""
    return lambda side: replace(side, inputs=tuple(values))


def with_setting(key: str, value: Any) -> Callable[[Side], Side]:
    """Return what gives a setting another value; the key is spelled as the operator has it, if it does."""

    def changed(side: Side) -> Side:
        spelled = next((name for name in side.attributes if plain(name) == plain(key)), key)
        return replace(side, attributes={**side.attributes, spelled: value})

    return changed


def with_type(name: str) -> Callable[[Side], Side]:
    """Return what makes another operator on the same inputs."""
    return lambda side: replace(side, type=name)


def as_float(value: Array) -> Array:
    """Return a value in float64; integers and truths stay what they are."""
    return value.astype(np.float64) if value.dtype.kind not in "biu" else value


def product(numbers: Iterable[int]) -> int:
    """Return the product of sizes."""
    return int(np.prod([int(one) for one in numbers], dtype=np.int64))
