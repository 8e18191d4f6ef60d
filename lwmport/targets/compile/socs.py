"""The device that a command names, out of the target's own table."""

from lwmport.errors import UsageError
from lwmport.registry import unknown
from lwmport.targets.chip import Chip
from lwmport.targets.target import Target
from lwmport.wording import few


def chip_of(target: Target, soc: str | None, precision: str) -> Chip:
    """Return the chip that is named.

    Raises:
        UsageError: the target's compiler knows no such chip, none is named, or it does not compute in the precision.
    """
    found = target.chip(soc or "")
    if found is None:
        known = unknown(soc, target.chips) if soc else f"{few(target.chips)}, found none"
        raise UsageError(
            f"expected --soc out of {known}; 'lwmport list' has them all, and "
            f"'lwmport doctor --target {target.name}' names the card of this machine"
        )
    if precision == "bfloat16" and not found.bfloat16:
        raise UsageError(f"expected another precision for {soc}, which has no bfloat16, found bfloat16")
    return found
