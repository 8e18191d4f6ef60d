"""Which devices a target's compiler can be asked for, known before anything is done for one."""

from lwmport.registry import check_known
from lwmport.targets.compile import PRECISIONS
from lwmport.targets.compile.cpu import ENGINES
from lwmport.targets.compile.socs import chip_of


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
