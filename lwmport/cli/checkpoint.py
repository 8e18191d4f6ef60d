"""``lwmport checkpoint``."""

from pathlib import Path
from typing import Any

import click

from lwmport.cli.completion import files, names
from lwmport.cli.output import size
from lwmport.cli.progress import progress

GIGABYTE = 1_000_000_000
FILES = "msgpack_stream, flax_msgpack, safetensors or pickle"
STACKED = "Write all layers as one tensor, or each layer as a tensor of its own."


@click.group(short_help="Make and convert checkpoints.")
def checkpoint() -> None:
    """Make checkpoints, and convert them between LWM's formats, safetensors and Hugging Face."""


@checkpoint.command(short_help="Write seeded weights in LWM's format.")
@click.option(
    "--component",
    shell_complete=names("component"),
    required=True,
    help="A component of the model. The weights of the whole model are written.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The seed of the random weights.")
@click.option(
    "--config",
    shell_complete=names("config"),
    default="lwm",
    show_default=True,
    metavar="NAME|FILE.json",
    help="The model's configuration.",
)
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a field of the configuration.")
@click.option(
    "--dtype",
    shell_complete=names("dtype"),
    default="float32",
    show_default=True,
    help="The dtype: float32, bfloat16 or float16.",
)
@click.option("--stacked/--unstacked", default=None, help=f"{STACKED} By default the configuration decides.")
@click.option(
    "--format",
    "form",
    shell_complete=names("form"),
    help=f"The format: {FILES}. By default the one in which the family is released.",
)
def make(out: Path, **options: Any) -> None:
    """Write random weights as a checkpoint. They are not trained. The same seed gives the same bytes."""
    from lwmport.pipeline.checkpoint.make import Recipe
    from lwmport.pipeline.checkpoint.make import make as run

    with progress() as observer:
        weights = run(Recipe(**options), out, observer)
    click.echo(f"{out}: {_told(weights)}, {weights.source['description']}")


@checkpoint.command(short_help="Write a checkpoint in another format.")
@click.argument("source", shell_complete=files)
@click.option(
    "--to",
    "form",
    shell_complete=names("form"),
    required=True,
    help=f"The format: {FILES}, or hf for a Hugging Face folder.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file to write; for hf the folder.")
@click.option(
    "--dtype",
    shell_complete=names("dtype"),
    help="The dtype: float32, bfloat16 or float16. By default each tensor keeps its own.",
)
@click.option(
    "--component",
    shell_complete=names("component"),
    help="The component that the checkpoint must fit. By default the names of its tensors tell it.",
)
@click.option(
    "--config",
    shell_complete=names("config"),
    metavar="NAME|FILE.json",
    help="The configuration, for what no shape tells: heads, rotary angles, epsilon.",
)
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a field of the configuration.")
@click.option(
    "--adapter",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of a LoRA adapter, which is merged into the model tensor by tensor.",
)
@click.option("--stacked/--unstacked", default=None, help=f"{STACKED} By default they stay as they are.")
@click.option(
    "--axis", type=click.IntRange(0, 1), help="The axis of the layers in stacked tensors. By default it stays as it is."
)
@click.option(
    "--shard-gb",
    type=click.FloatRange(0, min_open=True),
    default=4.0,
    show_default=True,
    help="For hf: the size of each file in GB.",
)
def convert(source: str, out: Path, shard_gb: float, **options: Any) -> None:
    """Write the checkpoint SOURCE in another format. Values keep every bit, unless --dtype changes them.

    SOURCE is a file, a Hugging Face folder or an Orbax folder. It may have one of LWM's prefixes: params::,
    flax_params:: or trainstate_params::. A LoRA adapter whose model lies on this machine may be the SOURCE too.
    """
    from lwmport.pipeline.checkpoint.convert import Conversion
    from lwmport.pipeline.checkpoint.convert import convert as run

    conversion = Conversion(shard_bytes=max(1, int(shard_gb * GIGABYTE)), **options)
    with progress() as observer:
        weights = run(source, out, conversion, observer)
    click.echo(f"{out}: {_told(weights)}, from {weights.source['description']}")


def _told(weights: Any) -> str:
    return f"{len(weights.specs)} tensors, {size(sum(spec.nbytes for spec in weights.specs.values()))}"
