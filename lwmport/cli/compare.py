"""``lwmport compare``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lwmport.cli.completion import Completer, names
from lwmport.cli.output import print_json
from lwmport.cli.progress import progress
from lwmport.wording import printable, told

if TYPE_CHECKING:
    from lwmport.reports.comparison.meaning import TargetMeaning
    from lwmport.reports.comparison.record import Comparison

FEW: Final = 40
"""Modules that differ, inputs and outputs, and operators that are shown; all are in --json and --out."""

FEW_OBJECTIONS: Final = 5
COLOURS: Final = {"same": "green", "changed": "yellow", "only in A": "red", "only in B": "green"}
MARKS: Final = {"changed": "≠", "only in A": "-", "only in B": "+"}
"""What begins a line, as the lines of diff do."""


def _side_names() -> Completer:
    """Return what completes a side: components, and files."""
    components = names("component")

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
        found = components(context, parameter, incomplete)
        return [*found, click.shell_completion.CompletionItem(incomplete, type="file")]

    return complete


@click.command(short_help="Show how the structures of two models differ, without loading a weight.")
@click.argument("a", shell_complete=_side_names())
@click.argument("b", shell_complete=_side_names())
@click.option(
    "--config",
    default="lwm",
    show_default=True,
    metavar="NAME|FILE.json",
    help="The configuration of the components that name none of their own.",
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="NAME=N",
    help="A dynamic size for which the cost is counted, such as sequence=1024. By default a batch is 1, any other 128. "
    "May be given several times.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for compare.html, with a drawing of the modules, and compare.json. By default nothing is written.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def compare(a: str, b: str, sizes: tuple[str, ...], as_json: bool, **options: Any) -> int:  # noqa: FBT001 - flags
    """Show what only A or B has, what differs in both, and what that means for each target.

    A and B are each a component, COMPONENT:OPTION=VALUE,OPTION=VALUE (options of 'lwmport convert' that change it,
    and config), an ONNX or TFLite file, a frozen graph, a SavedModel, a folder of models, or a checkpoint. Nothing in a
    file is executed and no weight is loaded.

    Exit codes: 0 the structures are the same, 1 they differ, 2 usage, 3 one cannot be read (one line says why).
    """
    from lwmport.pipeline.compare.run import CompareRequest
    from lwmport.pipeline.compare.run import compare as run
    from lwmport.reports.comparison.document import document

    with progress() as observer:
        found = run(CompareRequest(a=a, b=b, sizes=_sizes(sizes), **options), observer)
    if as_json:
        print_json(document(found))
    else:
        _print(found)
        if options["out"] is not None:
            click.echo(f"page: {options['out'] / 'compare.html'}")
        _print_answer(found)
    return 0 if found.same else 1


def _sizes(words: tuple[str, ...]) -> dict[str, int]:
    found = {}
    for word in words:
        name, separator, size = word.partition("=")
        if not separator or not name or not size.isdecimal() or len(size) > 9:
            raise click.UsageError(f"expected --size NAME=N, such as sequence=1024, found {word!r}")
        found[name] = int(size)
    return found


def _print(found: "Comparison") -> None:
    from lwmport.reports.comparison.facts import WITHIN
    from lwmport.reports.comparison.repeats import collapsed
    from lwmport.reports.comparison.rows import differing, operator_rows, totals

    for name, side in (("A", found.a), ("B", found.b)):
        sizes = ", ".join(f"{key} {size}" for key, size in side.sizes.items())
        click.echo(told(f"{name}  {side.text}: {side.kind}{f'; counted for {sizes}' if sizes else ''}"))
        for note in side.notes:
            click.echo(f"   {told(note)}")
    _print_table(("", "A", "B", "B beside A"), [(row.name, row.a, row.b, row.difference) for row in totals(found)])
    rows = differing(collapsed(found.root))
    for row in rows[:FEW]:
        more = f" and {row.left} more" if row.left else ""
        _print_line(row.status, f"{row.title}  {'; '.join(row.words)}{more}")
    _print_rest(len(rows), "modules that differ")
    for change in found.interface[:FEW]:
        status = "changed" if change.a and change.b else "only in A" if change.a else "only in B"
        _print_line(status, f"{change.what} {change.name}  {change.a or 'none'} → {change.b or 'none'}")
    _print_rest(len(found.interface), "inputs and outputs")
    operators = [(name, f"{a:,}", f"{b:,}") for name, a, b in operator_rows(found) if WITHIN not in name]
    if operators:
        word = "operator" if found.compared_by == "operators" else "kind of operator"
        _print_table((word, "A", "B"), operators[:FEW])
        _print_rest(len(operators), f"{word}s")
    for meaning in found.targets:
        _print_target(meaning)


def _print_line(status: str, text: str) -> None:
    mark = click.style(MARKS[str(status)], fg=COLOURS[str(status)], bold=True)
    click.echo(f"{mark} {told(text)}")


def _print_rest(count: int, what: str) -> None:
    if count > FEW:
        click.echo(f"  and {count - FEW:,} more {what}: --json and --out have all")


def _print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    cells = [head, *(tuple(map(printable, row)) for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(head))]
    for number, row in enumerate(cells):
        first = f"{row[0]:<{widths[0]}}"
        others = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        line = "  ".join(["", first, *others]).rstrip()
        click.echo(click.style(line, bold=True) if number == 0 else line)


def _print_target(meaning: "TargetMeaning") -> None:
    asked = f" (A {meaning.status_a or 'not asked'}, B {meaning.status_b or 'not asked'})"
    click.echo(f"{click.style(meaning.target, bold=True)}: {told(meaning.sentence)}{asked}")
    for note in meaning.notes:
        click.echo(f"    {told(note)}")
    for one in meaning.objections[:FEW_OBJECTIONS]:
        side = f"B ×{one.b}" if one.b else f"A ×{one.a}"
        what = f"{one.title}{f': {one.operator}' if one.operator else ''}"
        click.echo(told(f"    {one.rule} {one.severity}, {side}: {what}; {one.vendor}"))
    left = len(meaning.objections) - FEW_OBJECTIONS
    if left > 0:
        click.echo(f"    and {left} more: --json and --out have all")


def _print_answer(found: "Comparison") -> None:
    for note in found.notes:
        click.echo(told(note))
    word = click.style(found.status.upper(), fg="green" if found.same else "yellow", bold=True)
    click.echo(f"{word}  {told(found.sentence)}")
