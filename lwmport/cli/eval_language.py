"""``lwmport eval perplexity`` and ``lwmport eval tokens``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lwmport.cli.completion import names
from lwmport.cli.output import print_json
from lwmport.cli.progress import progress
from lwmport.wording import printable

if TYPE_CHECKING:
    from lwmport.reports.evaluations.agreement import Continued
    from lwmport.reports.evaluations.perplexity import Perplexity
    from lwmport.validators.likelihood import Comparison, Estimate, Spread

VERSIONS = "versions"
PATH = click.Path(path_type=Path)

TEXT = (
    "The text: UTF-8, a .jsonl of {'text': ...} or {'input_ids': [...]}, or a .npz of input_ids. By default the one "
    "that comes with lwmport."
)


def running(command: Any) -> Any:
    """Return a command with the options of what runs a model."""
    for option in reversed(
        (
            click.option(
                "--tokenizer",
                type=PATH,
                metavar="DIR|FILE",
                help="The tokenizer: its folder, or a GGUF file. By default that of an assembled model.",
            ),
            click.option("--chunk", default=256, show_default=True, type=click.IntRange(1), help="Tokens run at once."),
            click.option(
                "--runner",
                shell_complete=names("runner"),
                help="The runner, or jax for the reference. By default the usual one.",
            ),
            click.option(
                "--threads", type=click.IntRange(1), help="Threads of the runtime. By default one a processor."
            ),
            click.option("--checkpoint", help="The weights that were converted; the runner jax needs them."),
            click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output."),
        )
    ):
        command = option(command)
    return command


@click.command(short_help="Say how well a language model expects a text, and how far it is from another one.")
@click.argument("model", type=PATH)
@click.option("--text", type=PATH, metavar="F", help=TEXT)
@click.option("--against", type=PATH, metavar="DIR", help="The folder of a reference, usually the float32 model.")
@click.option("--against-runner", shell_complete=names("runner"), help="The runner of the reference.")
@click.option(
    "--context", type=int, metavar="N", help="Tokens of a window. By default 512, or as many as the model takes."
)
@click.option(
    "--stride",
    type=int,
    metavar="N",
    help="Begin a window every N tokens, and count the last N of each. By default the second half of each counts.",
)
@click.option("--windows", type=click.IntRange(1), metavar="N", help="How many windows to run at most. By default all.")
@running
def perplexity(as_json: bool, **options: Any) -> int:  # noqa: FBT001 - a flag
    """Show the perplexity of MODEL, a folder of 'lwmport assemble' or 'lwmport convert', on a text.

    It is counted as llama-perplexity counts: in windows of --context tokens, of which the second half counts. With
    --against it also shows what llama-perplexity --kl-divergence shows.

    Exit codes: 0 measured, 2 usage, 3 a model cannot be opened or run.
    """
    from lwmport.pipeline.evaluate.language.perplexity import perplexity as run
    from lwmport.pipeline.evaluate.language.request import PerplexityRequest
    from lwmport.reports.evaluations import perplexity as record

    with progress() as observer:
        found = run(PerplexityRequest(**options), observer)
    if as_json:
        print_json(record.document(found))
        return 0
    _print(found)
    return 0


def _print(found: "Perplexity") -> None:
    click.echo(printable(f"{found.model}: {found.sentence}"))
    stride = "" if found.stride is None else f", stride {found.stride}"
    click.echo(f"{found.tokens} tokens in {found.windows} windows of {found.context}{stride}")
    _facts(found.facts)
    if found.comparison is not None:
        for name, told in _rows(found.perplexity, found.comparison):
            click.echo(f"{name:<34}: {told}")


def _facts(facts: Mapping[str, str]) -> None:
    """Print what the numbers depend on, but for the versions, which are in the document."""
    for name, value in facts.items():
        if name != VERSIONS:
            click.echo(printable(f"{name}: {value}"))


def _rows(model: "Estimate", found: "Comparison") -> list[tuple[str, str]]:
    """Return what ``llama-perplexity --kl-divergence`` prints, in its order and by its names."""
    correlation = "not defined" if found.correlation is None else f"{100 * found.correlation:.2f} %"
    return [
        ("Mean PPL(Q)", _told(model)),
        ("Mean PPL(base)", _told(found.reference)),
        ("Cor(ln(PPL(Q)), ln(PPL(base)))", correlation),
        ("Mean ln(PPL(Q)/PPL(base))", _told(found.log_ratio)),
        ("Mean PPL(Q)/PPL(base)", _told(found.ratio)),
        ("Mean PPL(Q)-PPL(base)", _told(found.difference)),
        *_spread("KLD", found.kl),
        *_spread("change of p", found.change, 100, " %"),
        ("RMS change of p", _told(found.change_rms, 100, " %")),
        ("Same top p", _told(found.same_top, 100, " %")),
        ("Greedy tokens that agree, a window", f"{found.greedy:.1f}"),
    ]


def _spread(what: str, found: "Spread", scale: float = 1.0, unit: str = "") -> list[tuple[str, str]]:
    parts = [
        ("Median" if part == "0.5" else f"{100 * float(part):g} %", value) for part, value in found.quantiles.items()
    ]
    return [
        (f"Mean {what}", _told(found.mean, scale, unit)),
        (f"Maximum {what}", f"{scale * found.largest:.6g}{unit}"),
        *((f"{name} {what}", f"{scale * value:.6g}{unit}") for name, value in reversed(parts)),
        (f"Minimum {what}", f"{scale * found.smallest:.6g}{unit}"),
    ]


def _told(found: "Estimate", scale: float = 1.0, unit: str = "") -> str:
    return f"{scale * found.value:.6g} +- {scale * found.error:.3g}{unit}"


@click.command(short_help="Say how far two language models choose the same tokens.")
@click.argument("a", type=PATH)
@click.argument("b", type=PATH)
@click.option("--text", type=PATH, metavar="F", help=f"{TEXT} Each sample of a .npz or a .jsonl is a prompt.")
@click.option("--prompts", default=8, show_default=True, type=click.IntRange(1), help="How many prompts.")
@click.option(
    "--prompt-tokens", default=32, show_default=True, type=click.IntRange(1), help="Tokens of a prompt out of a text."
)
@click.option(
    "--new-tokens", default=64, show_default=True, type=click.IntRange(1), help="New tokens behind a prompt at most."
)
@click.option("--mode", default="", metavar="text|vision", help="The kind of the new tokens. By default text.")
@click.option("--against-runner", shell_complete=names("runner"), help="The runner of B. By default that of A.")
@running
def tokens(as_json: bool, **options: Any) -> int:  # noqa: FBT001 - a flag
    """Continue the same prompts by A and B, the largest logit each time, until their tokens differ.

    Both are folders of 'lwmport assemble' or 'lwmport convert'; the same folder twice compares two runners. The logit
    gap at the first difference says whether it is a near tie.

    Exit codes: 0 compared, 2 usage, 3 a model cannot be opened or run.
    """
    from lwmport.pipeline.evaluate.language.agreement import agreement as run
    from lwmport.pipeline.evaluate.language.request import AgreementRequest
    from lwmport.reports.evaluations import agreement as record

    with progress() as observer:
        found = run(AgreementRequest(**options), observer)
    if as_json:
        print_json(record.document(found))
        return 0
    click.echo(printable(f"{found.a} and {found.b}: {found.sentence}"))
    _facts(found.facts)
    for number, one in enumerate(found.prompts):
        click.echo(printable(f"prompt {number}: {_prompt(one)}"))
    return 0


def _prompt(found: "Continued") -> str:
    other = found.difference
    if other is None:
        return f"all {found.agreeing} tokens agree"
    pairs = (other.a, other.a_text), (other.b, other.b_text)
    words = [f"{token} {text!r}" if text else str(token) for token, text in pairs]
    return (
        f"{found.agreeing} tokens agree, then {words[0]} in A and {words[1]} in B; logit gap {other.a_gap:.3g} in A, "
        f"{other.b_gap:.3g} in B"
    )
