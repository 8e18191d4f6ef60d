"""The dialects that targets have of their own, read from the targets' records."""

from collections.abc import Iterator, Mapping

from lwmport.targets.registry import TARGETS, own_dialects
from lwmport.types import Dialect


class _Dialects(Mapping[str, Dialect]):
    """Name -> dialect, over all targets that are known when it is asked."""

    def __getitem__(self, name: str) -> Dialect:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, Dialect]:
        return {dialect.name: dialect for target in TARGETS.values() for dialect in own_dialects(target)}


ALL_DIALECTS: Mapping[str, Dialect] = _Dialects()
"""Dialect of a target by its name; give it to `lwmport.converters.dialects.dialect_for`."""


def target_of(dialect: str) -> str | None:
    """Return the name of the target that a dialect is for, None for the dialects of no target."""
    owners = (target.name for target in TARGETS.values() if dialect in {own.name for own in own_dialects(target)})
    return next(owners, None)
