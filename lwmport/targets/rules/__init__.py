"""The rules of every target: what a model file may hold, as a table that says what, why and how to mend it."""

from collections.abc import Mapping
from typing import Final

from lwmport.targets.aipu import rules as aipu
from lwmport.targets.ascend import rules as ascend
from lwmport.targets.cpu import rules as cpu
from lwmport.targets.migraphx import rules as migraphx
from lwmport.targets.rules.rule import Rule

RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "ascend": ascend.RULES,
    "aipu": aipu.RULES,
    "migraphx": migraphx.RULES,
    "cpu": cpu.RULES,
}
"""Target -> its rules, in the order of their ids."""
