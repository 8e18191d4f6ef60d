"""``[[exclude]]`` of ``jobs.toml``: which combinations of a matrix are left out."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lwmport.errors import UsageError
from lwmport.registry import check_known

LISTS: Final = frozenset({"set"})
"""Fields whose value is a list itself; a list of another field means any of its values."""

Values = Mapping[str, Any]


def left_out(jobs: Sequence[Values], rules: Sequence[Values], known: Collection[str], path: Path) -> list[bool]:
    """Return of each job whether a rule leaves it out: one that it has all values of.

    Args:
        jobs: every value that a job has, defaults among them.
        rules: the tables ``[[exclude]]``.
        known: the fields that a job can have.
        path: the file of the rules, for messages.

    Raises:
        UsageError: a rule has no fields or unknown ones, a list without values, or leaves nothing out.
    """
    found = [False] * len(jobs)
    for rule in rules:
        if not rule or [] in [value for name, value in rule.items() if name not in LISTS]:
            raise UsageError(f"{path}: expected fields with values in every [[exclude]], found none")
        for name in rule:
            check_known(f"field of an [[exclude]] in {path.name}", name, known)
        hits = [_has_all(job, rule) for job in jobs]
        if not any(hits):
            words = ", ".join(f"{name} = {value!r}" for name, value in rule.items())
            raise UsageError(f"{path}: expected every [[exclude]] to leave out a job, found none with {words}; fix it")
        found = [old or new for old, new in zip(found, hits, strict=True)]
    return found


def _has_all(job: Values, rule: Values) -> bool:
    return all(_has(job.get(name), value, name) for name, value in rule.items())


def _has(found: Any, value: Any, name: str) -> bool:
    """Return whether a job's value is the one of a rule, or among them; ``set = "a=1"`` is a list of one."""
    if name in LISTS:
        return _listed(found) == _listed(value)
    return any(type(one) is type(found) and one == found for one in _listed(value))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
