"""Alike neighbours told as one: 32 equal layers are one module, 32 times."""

import re
from collections.abc import Hashable
from dataclasses import replace
from typing import Final

from lwmport.reports.comparison.facts import Facts, sizes_of
from lwmport.reports.comparison.record import ModuleDiff

NUMBERED: Final = re.compile(r"^(.*?)(\d+)$")


def collapsed(module: ModuleDiff) -> ModuleDiff:
    """Return a module in which neighbours that differ in their number alone are one."""
    children: list[ModuleDiff] = []
    signatures: list[Hashable] = []
    for child in map(collapsed, module.children):
        signature = _signature(child)
        if children and _is_next(children[-1], child) and signatures[-1] == signature:
            first = children[-1]
            children[-1] = replace(first, numbers=(*(first.numbers or (first.path[-1],)), child.path[-1]))
        else:
            children.append(child)
            signatures.append(signature)
    return replace(module, children=tuple(children))


def _is_next(one: ModuleDiff, other: ModuleDiff) -> bool:
    """Return whether a module has the next number of the one before it."""
    last, own = NUMBERED.match((one.numbers or one.path)[-1]), NUMBERED.match(other.path[-1])
    return bool(last and own and last[1] == own[1] and int(last[2][:9]) + 1 == int(own[2][:9]))


def _signature(module: ModuleDiff) -> Hashable:
    """Return all that two modules must share to be told as one: but for their own names, everything."""
    return (
        module.status,
        module.matched_by,
        len(module.numbers),
        tuple((change.what, change.a, change.b) for change in module.changes),
        _of_facts(module.facts_a),
        _of_facts(module.facts_b),
        tuple((child.path[-1], _signature(child)) for child in module.children),
    )


def _of_facts(facts: Facts) -> Hashable:
    tensors = sorted((sizes_of(tensor), tensor.dtype) for tensor in facts.parameters)
    return tuple(tensors), tuple(sorted(facts.operators.items())), facts.flop
