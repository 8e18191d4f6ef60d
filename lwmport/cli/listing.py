"""``lwmport list``."""

from typing import TYPE_CHECKING, Any

import click

from lwmport.cli.output import print_json

if TYPE_CHECKING:
    from lwmport.entry_points import OpenRegistry
    from lwmport.runtime.spec import RunnerSpec


@click.command("list", short_help="List components, formats, dialects, targets, runners and what is installed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def list_(as_json: bool) -> None:  # noqa: FBT001 - flags are options
    """List the components, formats, dialects, targets and runners, and what is installed."""
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
    from lwmport.models.specs import FAMILIES
    from lwmport.runtime.registry import RUNNERS
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
        "families": {**{name: _package(FAMILIES, name) for name in FAMILIES}, **_left_out(FAMILIES)},
        "formats": {name: f"default dialect {DEFAULTS[name]}" for name in CONVERTERS},
        "dialects": {
            dialect.name: f"{dialect.format}: {dialect.summary}"
            for dialect in (*DIALECTS.values(), *ALL_DIALECTS.values())
        },
        "targets": {**{name: target.summary for name, target in TARGETS.items()}, **_left_out(TARGETS)},
        "runners": {**{name: _runner(spec) for name, spec in RUNNERS.items()}, **_left_out(RUNNERS)},
        "checkpoints": dict.fromkeys(FORMATS, "read"),
        "installed": {**versions, **missing},
    }


def _left_out(registry: "OpenRegistry[Any]") -> dict[str, str]:
    """Return what is wrong with records of other packages, under names that are none of a record that works."""
    return {f"{name} (left out)": fault for name, fault in registry.faults.items()}


def _package(registry: "OpenRegistry[Any]", name: str) -> str:
    """Return the name of the package that brings a record."""
    package = registry.provider(name)
    return package.name if package else "lwmport"


def _runner(spec: "RunnerSpec") -> str:
    """Return what a runner runs, and whether it can start here, or why not."""
    reason = spec.why_not()
    state = f"cannot start here: {reason}" if reason else "can start here"
    return f"{spec.title} ({', '.join(spec.suffixes)}): {state}"
