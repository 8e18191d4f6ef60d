"""The device that a command names, out of the target's own table."""

import difflib
import re
from typing import Final

from lwmport.errors import UsageError
from lwmport.targets.chips import CHIPS, Chip

PART: Final = re.compile(r"vir0[1248]$")
"""The end of the name of a part of an Ascend chip, cut by virtualisation: ``Ascend310P3vir04``."""


def chip_of(target: str, soc: str | None, precision: str) -> Chip:
    """Return the chip that is named.

    Raises:
        UsageError: the target's compiler knows no such chip, none is named, or it does not compute in the precision.
    """
    known = CHIPS[target]
    found = known.get(PART.sub("", soc or ""))
    if found is None:
        near = difflib.get_close_matches(soc or "", known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"expected --soc out of {', '.join(known)}, found {soc or 'none'}{hint}; "
            f"'lwmport doctor --target {target}' names the card of this machine"
        )
    if precision == "bfloat16" and not found.bfloat16:
        raise UsageError(f"expected another precision for {soc}, which has no bfloat16, found bfloat16")
    return found
