"""Which programs compile for a target, and where they are on this machine."""

from pathlib import Path
from typing import Final

from lwmport.errors import UsageError
from lwmport.targets.aipu import compile as aipu
from lwmport.targets.ascend import compile as ascend
from lwmport.targets.compile.toolchain import find
from lwmport.targets.migraphx import compile as migraphx

TOOLS: Final = {
    "aipu": (aipu.SDK, (*aipu.BUILD, *aipu.PARSE, "aipuopt", "aipugb")),
    "ascend": (ascend.SDK, ("atc",)),
    "migraphx": (migraphx.SDK, migraphx.TOOLS),
}
"""Target -> how its vendor installs, and every program that a plan may ask for. The cpu's engines are modules."""


def installed(target: str, toolchain: Path | None = None) -> dict[str, str] | None:
    """Return the path of each program of a target's compiler that is found here, by name; None where it has none.

    Raises:
        UsageError: a toolchain is named that does not exist, or in which none of the programs is.
    """
    if target not in TOOLS:
        return None
    sdk, names = TOOLS[target]
    found = {name: find((name,), sdk, toolchain) for name in names}
    here = {name: str(tool.path) for name, tool in found.items() if tool}
    if toolchain is not None and not here:
        form = "a file of another name" if toolchain.is_file() else "a folder without one"
        raise UsageError(
            f"expected the toolchain's folder or one of its executables ({', '.join(names)}) for the target {target}, "
            f"found {form} at {toolchain}; without --toolchain it is looked for where the SDK installs it"
        )
    return here
