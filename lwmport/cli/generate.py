"""``lwmport generate``."""

from pathlib import Path
from typing import Any

import click

from lwmport.cli.completion import names
from lwmport.cli.drawing import drawing, own_random
from lwmport.cli.guessing import facts_of, guessing, words_of
from lwmport.cli.output import print_json
from lwmport.cli.progress import progress
from lwmport.cli.script_flags import ScriptCommand
from lwmport.wording import printable


@click.group(short_help="Let a converted model generate, without JAX.")
def generate() -> None:
    """Let a converted model generate. What it was converted from, and JAX, are not needed."""


def _painting(command: Any) -> Any:
    """Return a command with the options of what makes pictures."""
    for option in reversed(
        (
            click.argument("model", type=click.Path(path_type=Path)),
            click.option("--prompt", required=True, metavar="TEXT", help="The description of what is to be seen."),
            click.option(
                "--out", required=True, type=click.Path(path_type=Path), metavar="F", help="The file to write."
            ),
            drawing(temperature=1.0, top_k=None),
            own_random,
            click.option("--strict-codes", is_flag=True, help="Draw codes of pictures alone, and no other index."),
            click.option("--runner", shell_complete=names("runner"), help="The runner. By default the usual one."),
            click.option(
                "--threads", type=click.IntRange(1), help="Threads of the runtime. By default one a processor."
            ),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output."),
        )
    ):
        command = option(command)
    return command


def _paint(*, as_json: bool, **options: Any) -> int:
    from lwmport.pipeline.talk.painting import PaintRequest, paint

    with progress() as observer:
        found = paint(PaintRequest(**options), observer)
    facts = {
        "out": str(found.out),
        "tokens": found.tokens.tolist(),
        "strange_codes": found.strange,
        "seconds": found.seconds,
        "runner": found.runner,
    }
    if as_json:
        print_json(facts)
        return 0
    strange = f", {found.strange} indices that are no codes became the last code" if found.strange else ""
    count = found.tokens.size
    click.echo(printable(f"{found.out}: {count} tokens by {found.runner} in {found.seconds:.1f} s{strange}"))
    return 0


@generate.command(cls=ScriptCommand, short_help="Make a picture from a description.")
@_painting
@click.option("--cfg-scale", default=1.0, show_default=True, help="Classifier-free guidance; LWM's script takes 5.")
def image(**options: Any) -> int:
    """Make a picture by MODEL, a folder that 'lwmport assemble' made.

    Exit codes: 0 written, 2 usage, 3 the model cannot be opened or run; nothing is written then.
    """
    return _paint(**options)


@generate.command(cls=ScriptCommand, short_help="Make a video from a description.")
@_painting
@click.option("--frames", default=8, show_default=True, type=click.IntRange(2), help="The frames of the video.")
@click.option("--cfg-scale", default=1.0, show_default=True, help="Classifier-free guidance.")
@click.option(
    "--first-cfg-scale",
    type=float,
    metavar="X",
    help="Guidance of the first frame; LWM's script takes 5. By default as the others.",
)
@click.option(
    "--first-temperature", type=float, metavar="X", help="The number that the logits of the first frame are divided by."
)
@click.option(
    "--first-top-k", type=click.IntRange(1), metavar="K", help="How many of the largest logits of the first frame stay."
)
def video(**options: Any) -> int:
    """Make a video by MODEL, a folder that 'lwmport assemble' made: 4 frames a second, as in LWM.

    Exit codes: 0 written, 2 usage, 3 the model cannot be opened or run; nothing is written then.
    """
    return _paint(**options)


@generate.command(short_help="Continue the tokens of a file.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--prompt",
    required=True,
    type=click.Path(path_type=Path),
    metavar="P.npz",
    help="The prompts: input_ids [rows, n]; where needed attention_mask, 0 for padding on the left, and vision_masks.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="O.npz", help="The file for tokens [rows, N]."
)
@click.option("--new-tokens", required=True, type=int, metavar="N", help="How many.")
@click.option("--mode", default="", metavar="text|vision", help="The kind of the new tokens. By default text.")
@click.option(
    "--cfg-scale",
    type=float,
    metavar="X",
    help="Classifier-free guidance: the first half of the rows has the prompts, the second half none.",
)
@drawing(temperature=0.0, top_k=0)
@own_random
@click.option("--stop", type=int, multiple=True, metavar="ID", help="An id that ends a row. Several times for several.")
@click.option("--chunk", type=int, metavar="N", help="Tokens of the prompt to run at once. By default all.")
@guessing
@click.option(
    "--runner", shell_complete=names("runner"), help="The runner, or jax for the reference. By default the usual one."
)
@click.option("--threads", type=click.IntRange(1), help="Threads of the runtime. By default one a processor.")
@click.option("--checkpoint", help="The weights that were converted; --runner jax needs them.")
@click.option(
    "--ranks",
    type=click.IntRange(1),
    metavar="N",
    help="Processes that share out the tokens, for a model in parts. By default those of torchrun, or 1.",
)
@click.option(
    "--on",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="The starter of the other ranks: this command, on this machine, or Ray, as actors.",
)
@click.option(
    "--address",
    default="",
    metavar="HOST:PORT",
    help="The cluster for --on ray, or auto; this machine is one of it. By default Ray starts here.",
)
@click.option(
    "--ring-backend",
    type=click.Choice(["gloo", "nccl", "hccl"]),
    default="gloo",
    show_default=True,
    help="How the ranks send to each other.",
)
@click.option(
    "--rank-timeout",
    "rank_seconds",
    type=float,
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an answer of a rank may take.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def tokens(as_json: bool, **options: Any) -> int:  # noqa: FBT001 - a flag
    """Continue the tokens of a file by MODEL, a folder that 'lwmport convert' or 'lwmport assemble' wrote.

    Exit codes: 0 written, 2 usage, 3 the model cannot be opened or run, or a rank is lost; nothing is written then.
    """
    from lwmport.pipeline.generate.request import GenerateRequest
    from lwmport.pipeline.generate.tokens import generate as run
    from lwmport.pipeline.ring.follower import followed

    request = GenerateRequest(**options)
    if followed(request):
        return 0
    with progress() as observer:
        found = run(request, observer)
    facts = {
        "out": str(found.out),
        "rows": found.tokens.shape[0],
        "tokens": found.tokens.shape[1],
        "runner": found.runner,
        "first_token_seconds": found.prefill_seconds,
        "tokens_per_second": found.rate,
        **facts_of(found.guessed),
    }
    if as_json:
        print_json(facts)
        return 0
    rate = "" if found.rate is None else f", {found.rate:.1f} tokens/s"
    click.echo(
        printable(
            f"{found.out}: {facts['rows']} x {facts['tokens']} tokens by {found.runner}, "
            f"first token after {found.prefill_seconds:.2f} s{rate}{words_of(found.guessed)}"
        )
    )
    return 0
