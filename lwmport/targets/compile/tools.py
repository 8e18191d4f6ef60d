"""Which programs compile for a target, and where they are on this machine."""

from pathlib import Path

from lwmport.errors import UsageError
from lwmport.targets.compile.toolchain import find
from lwmport.targets.compile.vendor import Vendor
from lwmport.targets.registry import TARGETS


def installed(target: str, toolchain: Path | None = None) -> dict[str, str] | None:
    """Return the path of each program of a target's compiler that is found here, by name; None where it has none.

    Raises:
        UsageError: a toolchain is named that does not exist, or in which none of the programs is.
    """
    vendor = TARGETS[target].compile_artifact
    if not isinstance(vendor, Vendor):
        return None
    found = {name: find((name,), vendor.sdk, toolchain) for name in vendor.programs}
    here = {name: str(tool.path) for name, tool in found.items() if tool}
    if toolchain is not None and not here:
        form = "a file of another name" if toolchain.is_file() else "a folder without one"
        raise UsageError(
            f"expected the toolchain's folder or one of its executables ({', '.join(vendor.programs)}) for the target "
            f"{target}, found {form} at {toolchain}; without --toolchain it is looked for where the SDK installs it"
        )
    return here
