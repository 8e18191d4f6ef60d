"""The numbers that stand for dynamic sizes where the cost is counted."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from lwmport.types import Dim, Signature, size_of

USUAL: Final = 128
"""Tokens, and whatever else has a name and is no batch."""

NAME: Final = re.compile(r"[A-Za-z_]\w*")


def chosen_sizes(signature: Signature, asked: Mapping[str, int]) -> dict[str, int]:
    """Return each size that a signature names -> the number asked for, else the usual one."""
    return sizes_among((dim for spec in (*signature.inputs, *signature.outputs) for dim in spec.shape), asked)


def sizes_among(dims: Iterable[Dim], asked: Mapping[str, int]) -> dict[str, int]:
    """Return each name among some sizes -> the number asked for, else 1 for a batch and `USUAL` for anything else."""
    names = dict.fromkeys(name for dim in dims if isinstance(dim, str) for name in NAME.findall(dim))
    return {name: asked.get(name, 1 if "batch" in name.lower() else USUAL) for name in names}


def number_of(dim: Dim, sizes: Mapping[str, int]) -> int | None:
    """Return a size as a number, None where it is none and no sum of names that are known."""
    try:
        return size_of(dim, sizes)
    except (KeyError, ValueError):
        return None
