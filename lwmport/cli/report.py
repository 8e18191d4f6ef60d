"""``lwmport report``."""

from pathlib import Path

import click


@click.command(short_help="Write the HTML and Markdown of a report again.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def report(folder: Path) -> int:
    """Check FOLDER/report.json, and write report.html and report.md from it.

    Exit code 1 means that the report's verdict is "failed".
    """
    from lwmport import atomic, owned
    from lwmport.reports.files import listed, read_report, write_report
    from lwmport.types import Status

    found = read_report(folder)
    with atomic.new_folder(folder, last="report.json", owned=owned.Earlier(listed)) as scratch:
        pictures = {
            picture.path: (folder / picture.path).read_bytes()
            for part in found.components
            for gallery in part.galleries
            for picture in gallery.pictures
        }
        write_report(found, scratch, pictures)
    click.echo(f"{found.status}: {found.sentence}")
    click.echo(f"report: {folder / 'report.html'}")
    return 1 if found.status is Status.FAILED else 0
