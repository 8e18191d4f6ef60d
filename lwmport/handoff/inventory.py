"""The operators of a model, each held against the vendor's own list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lwmport.manifest import ComponentEntry
from lwmport.targets.registry import TARGETS

NO_LIST: Final = "no list: this runtime is the reference for its format"


@dataclass(frozen=True, kw_only=True)
class OperatorFact:
    """One operator: how often it occurs, and what the vendor's list says. ``listed`` is None where there is no list."""

    operator: str
    count: int
    listed: bool | None
    note: str


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Every operator of one model against the list of one target."""

    component: str
    target: str
    source: str
    operators: tuple[OperatorFact, ...]


def inventory(target: str, form: str, part: ComponentEntry) -> Inventory:
    """Return the operators of a model, the most frequent first."""
    known = TARGETS[target].operator_list(form)
    source, look = (known.source, known.look) if known else ("", _unknown)
    opset = part.details.get("opset")
    counts = sorted(part.operators.items(), key=lambda item: (-item[1], item[0]))
    facts = tuple(_fact(name, count, look, opset if isinstance(opset, int) else 0) for name, count in counts)
    return Inventory(component=part.name, target=target, source=source, operators=facts)


def text(found: Inventory) -> str:
    """Return the inventory as a table for people."""
    title = f"Operators of {found.component}" + (f", against {found.source}" if found.source else "")
    width = max((len(fact.operator) for fact in found.operators), default=0)
    rows = (f"{fact.count:>6}  {fact.operator:<{width}}  {fact.note}".rstrip() for fact in found.operators)
    return "\n".join([title, "", *rows]) + "\n"


_Look = Callable[[str, str, int], tuple[bool | None, str]]


def _fact(name: str, count: int, look: _Look, opset: int) -> OperatorFact:
    domain, _, operator = name.rpartition(".")
    known, note = look(domain, operator, opset)
    return OperatorFact(operator=name, count=count, listed=known, note=note)


def _unknown(_domain: str, _operator: str, _opset: int) -> tuple[None, str]:
    return None, NO_LIST
