"""The targets: one record each, ours from the table here, those of others from the entry points of their packages."""

from collections.abc import Mapping
from typing import Final

from lwmport.converters.dialects import DIALECTS
from lwmport.entry_points import OpenRegistry
from lwmport.errors import UsageError
from lwmport.targets.target import Target
from lwmport.types import Dialect

GROUP: Final = "lwmport.targets"
"""The entry-point group of packages that have targets: ``name = "module:attribute"``."""


def _check(found: Target, known: Mapping[str, Target]) -> None:
    """Refuse a dialect of a name that is taken."""
    owners = {own.name: f"the target {target.name!r}" for target in known.values() for own in own_dialects(target)}
    owners.update(dict.fromkeys(DIALECTS, "lwmport"))
    for dialect in own_dialects(found):
        if dialect.name in owners:
            raise UsageError(
                f"expected another name for the dialect {dialect.name!r}, which {owners[dialect.name]} has"
            )


TARGETS: Final[OpenRegistry[Target]] = OpenRegistry(
    kind="target",
    table={
        "ascend": "lwmport.targets.ascend.target:ASCEND",
        "aipu": "lwmport.targets.aipu.target:AIPU",
        "migraphx": "lwmport.targets.migraphx.target:MIGRAPHX",
        "cpu": "lwmport.targets.cpu.target:CPU",
    },
    group=GROUP,
    record=Target,
    check=_check,
)
"""Name -> `lwmport.targets.target.Target`."""

THIS_MACHINE: Final = "cpu"
"""The target that is meant where none is named."""


def own_dialects(target: Target) -> tuple[Dialect, ...]:
    """Return the dialects that a target has of its own, besides those that are for anyone."""
    return tuple(dialect for dialect in target.dialects if DIALECTS.get(dialect.name) is not dialect)
