"""Names and layouts of torch's modules here: the same path, ``kernel`` of matrices, ``scale`` of norms."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from lwmport.models.huggingface import HfName

CONVOLUTION: Final = (2, 3, 1, 0)
"""Axes of torch's [out, in, height, width] in the order of ours."""

NORM: Final = "norm"
MATRIX: Final = "matrix"
CONV: Final = "convolution"
PLAIN: Final = "tensor"
"""What a module is, whose ``weight`` and ``bias`` are two tensors; or a tensor that is no module's."""

Tree = Mapping[str, str]
"""Path of a module or tensor there, ``*`` for the number of a layer -> what it is."""


def table(tree: Tree, ours: Callable[[str], str]) -> Callable[[str], HfName | None]:
    """Return what names a tensor of torch as one of ours, None for a tensor that is not in the tree.

    Args:
        tree: the modules.
        ours: path there with ``/`` -> path here.
    """
    known = {_pattern(path): kind for path, kind in tree.items()}

    def named(name: str) -> HfName | None:
        module, _, leaf = name.rpartition(".")
        if known.get(_pattern(name)) == PLAIN:
            return HfName(name=ours(name.replace(".", "/")))
        kind = known.get(_pattern(module), PLAIN)
        if kind == PLAIN or leaf not in {"weight", "bias"}:
            return None
        return _tensor(ours(module.replace(".", "/")), kind, leaf)

    return named


def _tensor(path: str, kind: str, leaf: str) -> HfName:
    if leaf == "bias":
        return HfName(name=f"{path}/bias")
    if kind == NORM:
        return HfName(name=f"{path}/scale")
    if kind == CONV:
        return HfName(name=f"{path}/kernel", axes=CONVOLUTION)
    return HfName(name=f"{path}/kernel", transposed=True)


def _pattern(path: str) -> str:
    return re.sub(r"(?<=\.)[0-9]+(?=\.|$)", "*", path)
