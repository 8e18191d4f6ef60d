"""Which devices and options a target's tools can be asked for, known before anything is done for one."""

from collections.abc import Mapping
from typing import Any

from lwmport.errors import UsageError
from lwmport.registry import check_known
from lwmport.targets.compile.socs import chip_of
from lwmport.targets.registry import TARGETS


def check_options(target: str, given: Mapping[str, Any]) -> None:
    """Return if a target takes each option that was given, which is one that is not empty.

    Raises:
        UsageError: it does not; the message says which targets do.
    """
    taken = TARGETS[target].options
    for name, value in given.items():
        if value and name not in taken:
            word = "soc" if name == "chip" else name.replace("_", "-")
            takers = " or ".join(sorted(taker.name for taker in TARGETS.values() if name in taker.options))
            raise UsageError(f"expected --{word} with the target {takers}, found {target}; leave it out")


def check_calibration(target: str) -> None:
    """Return if a target's compiler quantises, so that it has a use for samples.

    Raises:
        UsageError: it does not; the message says which ones do.
    """
    if not TARGETS[target].quantises:
        takers = [taker.name for taker in TARGETS.values() if taker.quantises]
        verb = "quantises" if len(takers) == 1 else "quantise"
        raise UsageError(f"expected --calibration with the target {' or '.join(takers)}, which {verb}, found {target}")


def check_device(target: str, form: str, soc: str | None) -> None:
    """Return if a target has a device of this name, for artifacts of a format; None means the usual one.

    Raises:
        UsageError: it has none.
    """
    if soc is None:
        return
    asked = TARGETS[target]
    if asked.engines:
        check_known(f"device of the {target} for {form}", soc, asked.engine_names(form))
    else:
        chip_of(asked, soc, asked.precision)
