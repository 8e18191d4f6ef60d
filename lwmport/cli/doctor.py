"""``lwmport doctor``."""

from typing import TYPE_CHECKING

import click

from lwmport.cli.completion import names
from lwmport.cli.output import print_json, size, status_word

if TYPE_CHECKING:
    from lwmport.targets.doctor.examine import Examination

COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


@click.command(short_help="List what this machine has, and what is missing for a target.")
@click.option(
    "--target",
    shell_complete=names("target"),
    help="The target to check this machine for: see 'lwmport list'. By default no target in particular.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def doctor(*, target: str | None, as_json: bool) -> int:
    """List what is installed, which cards there are, and what is missing, each with the command that corrects it.

    Exit codes: 0 if the target (without one: this machine) can be used, 1 if something prevents that.
    """
    from lwmport import extras, plain
    from lwmport.targets.doctor.examine import examine
    from lwmport.targets.doctor.probe import probe
    from lwmport.targets.registry import TARGETS
    from lwmport.types import Status

    found = examine(probe(), None if target is None else TARGETS.name_of(target), extras.versions())
    if as_json:
        print_json(plain.encode(found))
    else:
        _print(found)
    return 1 if found.status is Status.FAILED else 0


def _print(found: "Examination") -> None:
    click.echo(click.style("installed", bold=True))
    width = max((len(name) for name in (*found.installed, *found.missing)), default=0)
    for name, version in found.installed.items():
        click.echo(f"  {name:<{width}}  {version}")
    for extra, line in found.missing.items():
        click.echo(f"  {extra:<{width}}  not installed: {line}")
    click.echo(click.style("cards", bold=True))
    for card in found.cards:
        memory = f", {size(card.memory)}" if card.memory else ""
        soc = f", --soc {card.soc}" if card.soc else ""
        click.echo(f"  {card.index}: {card.vendor} {card.name}{memory}{soc}, {card.health}")
    if not found.cards:
        click.echo("  none")
    if found.remarks:
        click.echo(click.style("findings", bold=True))
    for remark in found.remarks:
        word = click.style(remark.severity.upper(), fg=COLOURS[remark.severity])
        click.echo(f"  {word} {remark.check}: {remark.found}\n    {remark.fix}")
    click.echo(f"{status_word(found.status)}  {found.sentence}")
