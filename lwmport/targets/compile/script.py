"""The same commands as a script, for the machine that has the tools."""

import shlex
from collections.abc import Iterable
from typing import Final

from lwmport.targets.compile.plan import CompilePlan, Step
from lwmport.targets.compile.toolchain import Sdk

APART: Final = (
    "# The model's folder is the argument; without one the model lies beside this script.",
    'model="$(cd "${1:-$(dirname "$0")}" && pwd)"',
    'cd "$(dirname "$0")"',
    "links=()",
    """trap 'rm -f -- "${links[@]}"' EXIT""",
    'for file in "$model"/*; do',
    '  if [ ! -e "${file##*/}" ]; then ln -s "$file" .; links+=("${file##*/}"); fi',
    "done",
)
"""How a script finds a model whose place it does not know."""


def script(title: str, folder: str, plan: CompilePlan, sdk: Sdk) -> bytes:
    """Return a shell script that sources the SDK's environment where it is, goes to the folder and runs the steps.

    Where a plan has parts, they run on a machine without the one tool. ``folder`` is relative to where the script lies;
    an empty one says that the model lies apart: its folder is then the script's argument, and what is in it is linked
    to beside the script while the steps run.
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
    lines += ["set -eo pipefail", *(_beside(folder) if folder else APART), *_steps(plan)]
    return ("\n".join(lines) + "\n").encode()


def _beside(folder: str) -> tuple[str, ...]:
    return (f'cd "$(dirname "$0")"/{shlex.quote(folder)}',)


def _steps(plan: CompilePlan) -> Iterable[str]:
    if not plan.parts:
        yield from (_command(step, step.tools[0]) for step in plan.steps)
        return
    for number, tool in enumerate(plan.steps[0].tools):
        yield f"{'elif' if number else 'if'} command -v {tool} >/dev/null; then"
        yield from (f"  {_command(step, tool)}" for step in plan.steps)
    yield "else"
    for step in plan.parts:
        tool = step.tools[0]
        yield f'  command -v {tool} >/dev/null || {{ echo "no {tool} on the path: stopped before it" >&2; exit 127; }}'
        yield f"  {_command(step, tool)}"
    yield "fi"


def _command(step: Step, tool: str) -> str:
    return shlex.join([tool, *step.options])
