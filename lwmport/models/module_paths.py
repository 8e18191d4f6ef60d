"""Module paths: where in a model an equation was written, as the weights tell it: ``transformer/h/0/attention``."""

import re
from collections.abc import Collection, Iterable, Mapping
from itertools import takewhile
from typing import Any, Final, TypeAlias

Path: TypeAlias = tuple[str, ...]
"""A module path in parts; the empty one is the model itself."""

PART: Final = re.compile(r"(\w[\w-]*)(\.\w+)?")
"""A module, and the method of it that is at work, if it has a name. A formula of an einsum on the stack is neither."""


def module_paths(equations: Iterable[Any], weight_names: Collection[str]) -> dict[int, Path]:
    """Return the ``id`` of each equation -> the path of the module that it was written in.

    It is the equation's name stack, without what names no module. A flax module that is applied on its own is on the
    stack by the name of its class (``Llama/transformer/h/0``, ``transformer/h/0/Block/attention``): that part is left
    out. A class that stands for the module of all weights (``Block/attention``, of one layer) becomes its path.
    """
    stacks = {id(equation): parts_of(equation) for equation in equations}
    tree: dict[str, Any] = {}
    for stack in stacks.values():
        node = tree
        for part in stack:
            node = node.setdefault(part, {})
    found: dict[Path, Path] = {}
    _settle(tree, (), (), _Modules(weight_names), found)
    return {number: found[stack] for number, stack in stacks.items()}


def parts_of(equation: Any) -> Path:
    """Return the parts of an equation's name stack that may be modules.

    A method called from outside stands for its module (``quantize.lookup``); one that the module itself calls comes
    behind it (``attention/attention._heads``).
    """
    found: list[str] = []
    for match in map(PART.fullmatch, str(equation.source_info.name_stack).split("/")):
        if match and not (match[2] and found[-1:] == [match[1]]):
            found.append(match[1])
    return tuple(found)


def module_of(weight: str) -> Path:
    """Return the path of the module that a weight belongs to."""
    return tuple(weight.split("/")[:-1])


class _Modules:
    """The modules that have weights, and the one that has all of them."""

    def __init__(self, weight_names: Collection[str]) -> None:
        owners = [module_of(name) for name in weight_names]
        self._known = {owner[:length] for owner in owners for length in range(1, len(owner) + 1)}
        pairs = zip(min(owners, default=()), max(owners, default=()), strict=False)
        self._root = tuple(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def place(self, path: Path, part: str, below: Mapping[str, Any]) -> Path:
        """Return the path of a part of a name stack under a path; ``below`` are the parts inside it."""
        if (*path, part) in self._known:
            return (*path, part)
        for outer in (path, () if path else self._root):
            if any((*outer, inner) in self._known for inner in below):
                return outer
        return (*path, part)


def _settle(node: Mapping[str, Any], stack: Path, path: Path, modules: _Modules, found: dict[Path, Path]) -> None:
    found[stack] = path
    for part, below in node.items():
        _settle(below, (*stack, part), modules.place(path, part, below), modules, found)
