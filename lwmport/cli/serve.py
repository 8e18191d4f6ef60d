"""``lwmport serve``."""

import signal
from pathlib import Path
from typing import Any

import click

from lwmport.cli.completion import names
from lwmport.cli.guessing import guessing
from lwmport.cli.progress import progress
from lwmport.wording import printable


@click.command(short_help="Serve an assembled model in OpenAI's form, with a page to chat.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="The port; 0 for a free one."
)
@click.option(
    "--token",
    default="",
    envvar="LWMPORT_TOKEN",
    show_envvar=True,
    help="The token that each request must bring; needed where others than this machine reach the address.",
)
@click.option("--name", default="", help="The model's name in requests. By default that of its folder.")
@click.option("--queue", default=16, show_default=True, help="Requests that wait behind the one that runs.")
@click.option("--max-seconds", default=600, show_default=True, help="Seconds of work on one request.")
@click.option(
    "--max-upload", default="32MiB", show_default=True, metavar="SIZE", help="The bytes of a request at most."
)
@click.option("--max-pixels", default=50_000_000, show_default=True, help="Pixels of a picture or a frame at most.")
@click.option("--max-frames", default=8, show_default=True, help="Pictures and frames of a request at most.")
@click.option("--max-tokens", default=1024, show_default=True, help="Tokens of an answer at most.")
@click.option("--chunk", default=512, show_default=True, help="Tokens of a prompt to run at once.")
@guessing
@click.option("--runner", shell_complete=names("runner"), help="The runner. By default the usual one.")
@click.option("--threads", type=click.IntRange(1), help="Threads of the runtime. By default one a processor.")
def serve(**options: Any) -> int:
    """Serve MODEL, a folder that 'lwmport assemble' made, until Ctrl-C.

    One request runs at a time, the others wait. The address shows a page to chat.

    Exit codes: 0 ended by Ctrl-C or SIGTERM, 2 usage, 3 the model cannot be opened.
    """
    from lwmport.pipeline.footprint.request import bytes_of
    from lwmport.pipeline.serve.limits import Limits
    from lwmport.pipeline.serve.run import Server, ServeRequest

    limits = Limits(
        queue=options.pop("queue"),
        upload=bytes_of(options.pop("max_upload")) or 0,
        **{name: options.pop(f"max_{name}") for name in ("seconds", "pixels", "frames", "tokens")},
    )
    with progress() as observer:
        server = Server(ServeRequest(limits=limits, **options), observer)
    _leave_signals_to_the_server()
    click.echo(printable(f"{server.url}: {options['model']}; Ctrl-C ends it"))
    server.run()
    return 0


def _leave_signals_to_the_server() -> None:
    """Let Ctrl-C and SIGTERM end the server in order; it raises them again at its end."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
