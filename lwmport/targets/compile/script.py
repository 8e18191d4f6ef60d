"""The same commands as a script, for the machine that has the tools."""

import shlex
from collections.abc import Sequence

from lwmport.targets.compile.toolchain import Sdk


def script(title: str, folder: str, commands: Sequence[str], sdk: Sdk) -> bytes:
    """Return a shell script that sources the SDK's environment where it is, goes to the folder and runs the commands.

    ``folder`` is relative to where the script lies.
    """
    homes = [f'"${name}"' for name in sdk.variables] + [shlex.quote(place) for place in sdk.places]
    lines = ["#!/usr/bin/env bash", f"# {' '.join(title.split())}"]
    if sdk.scripts:
        lines += [
            "# The SDK's script reads unset variables and may end with an error: it comes before set -e.",
            f"for home in {' '.join(homes)}; do",
            f"  for file in {' '.join(sdk.scripts)}; do",
            '    if [ -f "$home/$file" ]; then . "$home/$file"; break 2; fi',
            "  done",
            "done",
        ]
    if sdk.after:
        lines.append(sdk.after)
    lines += ["set -eo pipefail", f'cd "$(dirname "$0")"/{shlex.quote(folder)}', *commands]
    return ("\n".join(lines) + "\n").encode()
