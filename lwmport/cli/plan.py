"""``lwmport plan``."""

from typing import TYPE_CHECKING, Any, Final

import click

from lwmport.cli.completion import models, names
from lwmport.cli.output import print_json
from lwmport.cli.progress import progress
from lwmport.wording import printable

if TYPE_CHECKING:
    from lwmport.pipeline.footprint.record import Device, MemoryPlan

EXIT_CODES: Final = {"fits": 0, "does not fit": 1, "not known": 3}
COLOURS: Final = {"yes": "green", "no": "red", "with": "yellow", "not known": "yellow"}


@click.command(short_help="Tell what a model takes of a device's memory, and which devices have room for it.")
@click.argument("model", shell_complete=models)
@click.option(
    "--config",
    default="lwm",
    show_default=True,
    metavar="NAME|FILE.json",
    help="The configuration of a component.",
)
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="A change of the configuration.")
@click.option(
    "--precision",
    default="float16",
    show_default=True,
    help="The precision of weights: float32, float16, bfloat16, int8 (8bit), nf4 or nf4-double (4bit).",
)
@click.option(
    "--context",
    type=click.IntRange(1),
    help="Tokens of a sequence in all. By default 2048, or as many as the model has positions.",
)
@click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Sequences or pictures at once.")
@click.option(
    "--chunk", type=click.IntRange(1), help="Tokens of a prompt that are fed at once. By default the whole context."
)
@click.option(
    "--attention",
    default="",
    metavar="fused|full|loop",
    help="The form of attention: one operator, all scores at once, or blocks. By default what the target has.",
)
@click.option("--target", shell_complete=names("target"), help="The target whose runtime and devices are meant.")
@click.option("--soc", help="The one device of the target.")
@click.option("--memory", metavar="24GiB", help="The memory of a device of your own, in GiB, MiB, GB or MB.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def plan(as_json: bool, **options: Any) -> int:  # noqa: FBT001 - a flag
    """Show weights, KV cache, values and workspace of a model, the devices that it fits, and what to change.

    MODEL is a model of several components (llava-1.5-13b), a component, a configuration (lwm-text-1m), a config.json,
    a folder that holds one, or a checkpoint. Shapes alone are read, and no weight.

    Exit codes: 0 it fits one of the devices as it is, 1 it fits none, 2 usage, 3 their memory is not known, or the
    model cannot be read.
    """
    from lwmport.pipeline.footprint.document import document
    from lwmport.pipeline.footprint.request import PlanRequest
    from lwmport.pipeline.footprint.run import plan as run

    with progress() as observer:
        found = run(PlanRequest(**options), observer)
    if as_json:
        print_json(document(found))
    else:
        _print(found)
    return EXIT_CODES[found.status]


def _print(found: "MemoryPlan") -> None:
    from rich.console import Console
    from rich.table import Table

    from lwmport.reports import numbers

    click.echo(printable(f"{found.model}: {found.parameters:,} parameters; {found.case.words}"))
    terms = Table("what", "component", "bytes", "how")
    for term in found.terms:
        terms.add_row(
            term.name, term.of, f"{term.bytes:,}", printable(term.how) + (" (assumed)" if term.assumed else "")
        )
    terms.add_row("in all", "", f"{found.total:,}", f"{numbers.size(found.total)}, {found.total / 2**30:.2f} GiB")
    devices = Table("target", "device", "memory", "fits")
    for device in found.devices:
        devices.add_row(device.target, _names(device), _memory(device), _fits(device))
    console = Console()
    console.print(terms)
    console.print(devices)
    others = ", ".join(f"{name} {numbers.size(count)}" for name, count in found.precisions.items())
    click.echo(f"by precision: {others}")
    if found.attention:
        click.echo(
            "values by attention: "
            + ", ".join(f"{name} {numbers.size(count)}" for name, count in found.attention.items())
        )
    for line in (*found.advice, *found.notes):
        click.echo(printable(line))


def _names(device: "Device") -> str:
    return device.names[0] + (f" and {len(device.names) - 1} more" if len(device.names) > 1 else "")


def _memory(device: "Device") -> str:
    if device.memory is None:
        return "not known"
    usable = "" if device.usable is None else f", {device.usable / 2**30:.1f} usable"
    return f"{device.memory / 2**30:.0f} GiB{usable}"


def _fits(device: "Device") -> str:
    word = device.fits if device.change is None else f"{device.fits} {device.change.words}"
    return f"[{COLOURS[device.fits]}]{word}[/]"
