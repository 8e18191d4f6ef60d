"""What a vendor's list of operators says. Our lists are generated: see ``tools/generate_target_data.py``."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, TypeAlias

ABSENT: Final = "not listed"

Look: TypeAlias = Callable[[str, str, int], tuple[bool, str]]
"""Returns whether an operator of a domain is on the list at an opset of the default domain, and what the list says."""


@dataclass(frozen=True, kw_only=True)
class OperatorList:
    """A vendor's own list of the operators that its tools take: where it is from, and how it is read."""

    source: str
    look: Look


@cache
def listed(name: str) -> Mapping[str, Any]:
    """Return one of the lists in ``data/``."""
    text = (resources.files("lwmport.targets") / "data" / f"{name}.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found
