"""The operators of a model, each held against the vendor's own list."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lwmport.manifest import ComponentEntry
from lwmport.targets.operators import (
    ascend_opsets,
    compass_tflite_version,
    compass_versions,
    listed,
    migraphx_dtypes,
)

NO_LIST: Final = "no list: this runtime is the reference for its format"
ABSENT: Final = "not listed"


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
    source, look = _LISTS.get((target, form), ("", _unknown))
    opset = part.details.get("opset")
    counts = sorted(part.operators.items(), key=lambda item: (-item[1], item[0]))
    facts = tuple(_fact(name, count, look, opset if isinstance(opset, int) else 0) for name, count in counts)
    return Inventory(
        component=part.name, target=target, source=str(listed(source)["source"]) if source else "", operators=facts
    )


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


def _ascend(domain: str, operator: str, opset: int) -> tuple[bool, str]:
    found = ascend_opsets(domain, operator)
    if found is None:
        return False, ABSENT
    if domain:  # its version is not that of the default domain
        return True, f"domain {domain}, version {found[0]}"
    return found[0] <= opset <= found[1], f"opsets {found[0]} to {found[1]}"


def _compass(domain: str, operator: str, _opset: int) -> tuple[bool, str]:
    found = compass_versions(domain, operator)
    return found is not None, ABSENT if found is None else f"versions {', '.join(map(str, found)) or 'any'}"


def _compass_tflite(_domain: str, operator: str, _opset: int) -> tuple[bool, str]:
    found = compass_tflite_version(operator)
    return found is not None, ABSENT if found is None else f"up to version {found}"


def _migraphx(domain: str, operator: str, _opset: int) -> tuple[bool, str]:
    found = None if domain else migraphx_dtypes(operator)
    return found is not None, ABSENT if found is None else ", ".join(found) or "parsed"


_LISTS: Final[Mapping[tuple[str, str], tuple[str, _Look]]] = {
    ("ascend", "onnx"): ("ascend_onnx", _ascend),
    ("aipu", "onnx"): ("compass_onnx", _compass),
    ("aipu", "tflite"): ("compass_tflite", _compass_tflite),
    ("migraphx", "onnx"): ("migraphx_onnx", _migraphx),
}
"""(target, format) -> its list, and how it is read."""
