"""Which programs compile for a target, and where they are on this machine."""

from pathlib import Path
from typing import Final

from lwmport.targets.compile import aipu, ascend, migraphx
from lwmport.targets.compile.toolchain import find

TOOLS: Final = {
    "aipu": (aipu.SDK, (*aipu.BUILD, *aipu.PARSE, "aipuopt", "aipugb")),
    "ascend": (ascend.SDK, ("atc",)),
    "migraphx": (migraphx.SDK, migraphx.TOOLS),
}
"""Target -> how its vendor installs, and every program that a plan may ask for. The cpu's engines are modules."""


def installed(target: str, toolchain: Path | None = None) -> dict[str, str] | None:
    """Return the path of each program of a target's compiler that is found here, by name; None where it has none.

    Raises:
        UsageError: a toolchain is named that does not exist.
    """
    if target not in TOOLS:
        return None
    sdk, names = TOOLS[target]
    found = {name: find((name,), sdk, toolchain) for name in names}
    return {name: str(tool.path) for name, tool in found.items() if tool}
