"""``lwmport list``."""

from collections.abc import Mapping
from typing import Any

import click

from lwmport.cli.output import print_json


@click.command("list", short_help="List components, formats, dialects, targets, runners and what is installed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_(as_json: bool) -> None:  # noqa: FBT001 - flags are options
    """List what can be converted, into what, for whom, what can run it here, and what is installed."""
    found = catalogue()
    if as_json:
        print_json(found)
        return
    for title, items in found.items():
        click.echo(click.style(title, bold=True))
        width = max(len(name) for name in items)
        for name, text in items.items():
            click.echo(f"  {name:<{width}}  {text}")


def catalogue() -> dict[str, dict[str, Any]]:
    """Return title -> name -> text of all that ``lwmport list`` shows."""
    from lwmport import extras
    from lwmport.checkpoints.opening import FORMATS
    from lwmport.converters import CONVERTERS
    from lwmport.converters.dialects import DEFAULTS, DIALECTS
    from lwmport.models.families import GROUPS, SUMMARIES
    from lwmport.models.specs import found
    from lwmport.targets.dialects import ALL_DIALECTS
    from lwmport.targets.registry import TARGETS

    groups = {name: " and ".join(parts) for name, parts in GROUPS.items()}
    versions = extras.versions()
    missing = {
        module: f"not installed: pip install 'lwmport[{extra}]'"
        for module, extra in extras.EXTRAS.items()
        if not extras.installed(module)
    }
    return {
        "components": {**groups, **SUMMARIES},
        "families": {**found().providers, **found().refused},
        "formats": {name: f"default dialect {DEFAULTS[name]}" for name in CONVERTERS},
        "dialects": {
            dialect.name: f"{dialect.format}: {dialect.summary}"
            for dialect in (*DIALECTS.values(), *ALL_DIALECTS.values())
        },
        "targets": {**{name: target.summary for name, target in TARGETS.items()}, **_left_out(TARGETS.faults)},
        "runners": _runners(),
        "checkpoints": dict.fromkeys(FORMATS, "read"),
        "installed": {**versions, **missing},
    }


def _left_out(faults: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with the targets of other packages, under names that are none of a target that works."""
    return {f"{name} (left out)": fault for name, fault in faults.items()}


def _runners() -> dict[str, str]:
    """Return what each runner runs, and whether it can start here, or why not."""
    from lwmport.runtime.registry import all_runners

    known, broken = all_runners()
    found = {}
    for name, spec in known.items():
        reason = spec.why_not()
        state = f"cannot start here: {reason}" if reason else "can start here"
        found[name] = f"{spec.title} ({', '.join(spec.suffixes)}): {state}"
    left_out = {name if name not in known else f"{name} of others": reason for name, reason in broken.items()}
    return {**found, **left_out}
