"""Which devices and options a target's tools can be asked for, known before anything is done for one."""

from collections.abc import Mapping
from typing import Any, Final

from lwmport.errors import UsageError
from lwmport.registry import check_known
from lwmport.targets.compile import PRECISIONS
from lwmport.targets.compile.socs import chip_of
from lwmport.targets.cpu.compile import ENGINES

VENDORS: Final = ("aipu", "ascend", "migraphx")
"""Targets with a toolchain, and chips, of a vendor's own."""

TAKERS: Final[Mapping[str, tuple[str, ...]]] = {
    "cann": ("ascend",),
    "chip": VENDORS,
    "extra": VENDORS,
    "keep_float32": ("ascend",),
    "pictures_as_bytes": ("ascend",),
    "toolchain": VENDORS,
}
"""Option -> the targets for which it changes anything."""


def check_options(target: str, given: Mapping[str, Any]) -> None:
    """Return if a target takes each option that was given, which is one that is not empty.

    Raises:
        UsageError: it does not; the message says which targets do.
    """
    for name, value in given.items():
        if value and target not in TAKERS[name]:
            word = "soc" if name == "chip" else name.replace("_", "-")
            takers = " or ".join(TAKERS[name])
            raise UsageError(f"expected --{word} with the target {takers}, found {target}; leave it out")


def check_device(target: str, form: str, soc: str | None) -> None:
    """Return if a target has a device of this name, for artifacts of a format; None is whichever is usual.

    Raises:
        UsageError: it has none.
    """
    if soc is None:
        return
    if target == "cpu":
        check_known(f"device of the cpu for {form}", soc, ENGINES[form])
    else:
        chip_of(target, soc, PRECISIONS[target])
