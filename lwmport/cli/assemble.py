"""``lwmport assemble``."""

import copy
from pathlib import Path
from typing import Any

import click

from lwmport.cli.options import shared, taken
from lwmport.cli.output import print_json
from lwmport.cli.progress import progress
from lwmport.cli.script_flags import ScriptCommand
from lwmport.errors import UsageError
from lwmport.options import Place
from lwmport.types import Status
from lwmport.wording import printable


class PartsCommand(ScriptCommand):
    """A command whose options for parts are also called by the families that have such parts."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the options, those of parts with all their names."""
        others = _other_names()
        return [_named(param, others.get(param.name or "", ())) for param in super().get_params(ctx)]


def _other_names() -> dict[str, tuple[str, ...]]:
    """Return the options of parts, and the families that have them."""
    from lwmport.models.specs import FAMILIES
    from lwmport.registry import load

    talked = {name: load(family.prompts) for name, family in FAMILIES.items() if family.prompts}
    seen = dict.fromkeys(prompts.pictures for prompts in talked.values())
    sides = [name for name, family in FAMILIES.items() if family.spliced_prompts]
    return {"language": tuple(talked), "pictures": (*seen, *sides)}


def _named(param: click.Parameter, names: tuple[str, ...]) -> click.Parameter:
    if not names:
        return param
    found = copy.copy(param)
    found.opts = [*param.opts, *(f"--{name}" for name in names)]
    return found


@click.command(cls=PartsCommand, short_help="Put converted parts and a tokenizer together as a model that runs.")
@click.option(
    "--language",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of a converted whole language model, or a checkpoint of one, which is converted first.",
)
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path),
    metavar="DIR|FILE",
    help="The folder with its tokenizer.json or tokenizer.model, or a GGUF file.",
)
@click.option(
    "--byte-tokenizer",
    is_flag=True,
    help="Make a tokenizer of one token a byte instead, for trials with seeded weights.",
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of what was converted to turn pictures into codes and back, or a checkpoint of that, or the "
    "folder of a whole image side. Without it, text alone.",
)
@click.option(
    "--embed",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The folder of what was converted to turn tokens into embeddings, for a language model of --inputs embeds.",
)
@click.option(
    "--for",
    "engine",
    type=click.Choice(["genai"]),
    help="Let another engine run the folder too: genai is onnxruntime-genai, which takes text alone, from --to onnx.",
)
@shared("config", "set", "precision", "store", "quantize", "validate")
@click.option(
    "--pictures-config",
    metavar="NAME|FILE.json",
    help="The configuration of a checkpoint of --pictures. By default the released one.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="MODEL", help="The folder to make.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def assemble(as_json: bool, byte_tokenizer: bool, pictures_config: str | None, **options: Any) -> int:  # noqa: FBT001
    """Make one folder of artifacts and tokenizer, for 'lwmport chat' and 'lwmport generate'.

    Files are linked where the disk allows it, and copied elsewhere. A checkpoint becomes ONNX at any length; --config,
    --set, --precision, --store and --quantize are those of 'lwmport convert' for the language model.

    Exit codes: 0 made, 1 made of a part whose verdict is failed, 2 usage, 3 a part cannot be read; nothing is written
    then.
    """
    if byte_tokenizer == (options["tokenizer"] is not None):
        given = "both" if byte_tokenizer else "neither"
        raise UsageError(f"expected --tokenizer DIR or --byte-tokenizer, found {given}")
    from lwmport.models.options import Options
    from lwmport.pipeline.assemble.making import CONFIG, Making
    from lwmport.pipeline.assemble.run import AssembleRequest
    from lwmport.pipeline.assemble.run import assemble as run

    making = Making(
        **taken(options, Place.CONVERSION, "config", "validate"),
        pictures_config=pictures_config or CONFIG,
        options=Options(**taken(options, Place.MODEL)),
    )
    with progress() as observer:
        found = run(AssembleRequest(making=making, **options), observer)
    verdicts = dict(found.record.verdicts)
    if as_json:
        print_json({"out": str(found.folder), "family": found.record.family, "verdicts": verdicts})
    else:
        told = ", ".join(f"{name} {verdict}" for name, verdict in verdicts.items())
        click.echo(printable(f"{found.folder}: {told}"))
    return int(Status.FAILED in verdicts.values())
