"""``lwmport chat``."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lwmport.cli.completion import names
from lwmport.cli.drawing import drawing
from lwmport.cli.guessing import NAMES, facts_of, guessing, words_of
from lwmport.cli.output import print_json
from lwmport.cli.progress import progress
from lwmport.cli.script_flags import ScriptCommand
from lwmport.errors import UsageError
from lwmport.wording import printable

if TYPE_CHECKING:
    from lwmport.pipeline.talk.talk import Talk


@click.command(cls=ScriptCommand, short_help="Talk with an assembled model about texts, pictures and videos.")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("question", default="")
@click.option(
    "--image", type=click.Path(path_type=Path), metavar="F", help="A picture that the first question is about."
)
@click.option("--video", type=click.Path(path_type=Path), metavar="F", help="A video that the first question is about.")
@click.option("--max-frames", default=8, show_default=True, type=click.IntRange(1), help="Frames of a video at most.")
@drawing(temperature=0.2, top_k=50)
@click.option(
    "--new-tokens", default=512, show_default=True, type=click.IntRange(1), help="Tokens of an answer at most."
)
@click.option(
    "--chunk", type=click.IntRange(1), metavar="N", help="Tokens of the prompt to run at once. By default all."
)
@guessing
@click.option(
    "--runner", shell_complete=names("runner"), help="The runner, or jax for the reference. By default the usual one."
)
@click.option("--threads", type=click.IntRange(1), help="Threads of the runtime. By default one a processor.")
@click.option("--checkpoint", help="The weights that were converted; --runner jax needs them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output; needs a question.")
def chat(as_json: bool, **options: Any) -> int:  # noqa: FBT001 - a flag
    """Answer QUESTION by MODEL, a folder that 'lwmport assemble' made; without a question, talk.

    In a talk an empty line or the end of the input ends it, and Ctrl-C ends an answer.

    Exit codes: 0 answered, 2 usage, 3 the model cannot be opened or run.
    """
    from lwmport.generation.choosing import Choosing
    from lwmport.pipeline.assemble.untouched import open_untouched
    from lwmport.pipeline.generate.guessing import Guessing
    from lwmport.pipeline.talk.pictures import Pictures
    from lwmport.pipeline.talk.talk import Talk

    question, image, video = options["question"], options["image"], options["video"]
    if image and video:
        raise UsageError("expected a picture or a video, found both; ask about one")
    if as_json and not question:
        raise UsageError("expected a question beside --json, found none")
    choosing = Choosing(**{name: options[name] for name in ("temperature", "top_k", "top_p", "seed")})
    asked = {"chunk": options["chunk"], "choosing": choosing, "most": options["new_tokens"]}
    guessed = Guessing(**{name: options[name] for name in NAMES})
    opened = {name: options[name] for name in ("runner", "threads", "checkpoint")}
    with progress() as observer:
        package = open_untouched(options["model"], observer)
        frames = []
        if image or video:
            observer.phase(f"read {image or video}")
            frames = Pictures(package).codes(_frames(image, video, options["max_frames"]))
        observer.phase(f"open {package.language}")
        talk = Talk(package, **opened, guessing=guessed)
    with talk:
        if question:
            return _answer(talk, question, frames, asked, as_json=as_json)
        return _talk(talk, frames, asked)


def _frames(image: Path | None, video: Path | None, most: int) -> list[Any]:
    from lwmport.generation.video import frames_of

    return [image] if image else frames_of(Path(str(video)), most)


def _answer(talk: "Talk", question: str, frames: Any, asked: dict[str, Any], *, as_json: bool) -> int:
    text = ""
    for piece in talk.ask(question, frames, **asked):
        text += piece
        if not as_json:
            click.echo(printable(piece), nl=False)
    if as_json:
        print_json({"answer": text, **_facts(talk)})
        return 0
    click.echo()
    _tell(talk)
    return 0


def _talk(talk: "Talk", frames: Any, asked: dict[str, Any]) -> int:
    """Answer lines of the input until one is empty; Ctrl-C ends an answer."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    while True:
        click.echo("> ", nl=False)
        try:
            question = sys.stdin.readline().strip()
        except KeyboardInterrupt:
            question = ""
        if not question:
            click.echo()
            return 0
        try:
            _answer(talk, question, frames, asked, as_json=False)
        except KeyboardInterrupt:
            click.echo(" ...")
        frames = ()


def _facts(talk: "Talk") -> dict[str, Any]:
    from lwmport import memory

    found = talk.answered
    if found is None:
        return {}
    return {
        "prompt_tokens": found.prompt_tokens,
        "tokens": found.tokens,
        "first_token_seconds": found.first_seconds,
        "tokens_per_second": found.rate,
        "full": found.full,
        "peak_bytes": memory.peak_bytes(),
        "runner": talk.session.runner,
        **facts_of(found.guessed),
    }


def _tell(talk: "Talk") -> None:
    from lwmport.reports import numbers

    facts, found = _facts(talk), talk.answered
    if found is None:
        return
    full = ", no room for more" if facts["full"] else ""
    rate = "" if facts["tokens_per_second"] is None else f", {facts['tokens_per_second']:.1f} tokens/s"
    click.echo(
        printable(
            f"[{facts['prompt_tokens']} tokens read, first after {facts['first_token_seconds']:.2f} s, "
            f"{facts['tokens']} tokens{full}{rate}{words_of(found.guessed)}, "
            f"peak memory {numbers.size(facts['peak_bytes'])}, {facts['runner']}]"
        ),
        err=True,
    )
