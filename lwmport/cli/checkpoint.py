"""``lwmport checkpoint``."""

from pathlib import Path
from typing import Any

import click

from lwmport.cli.output import size
from lwmport.cli.progress import progress

GIGABYTE = 1_000_000_000


@click.group(short_help="Make and convert checkpoints.")
def checkpoint() -> None:
    """Make checkpoints in LWM's formats, and convert between those, safetensors and Hugging Face."""


@checkpoint.command(short_help="Write seeded weights in LWM's format.")
@click.option("--component", required=True, help="Whose weights; the whole model's are written.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--config", default="lwm", show_default=True, metavar="NAME|FILE.json")
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a field of the configuration.")
@click.option("--dtype", default="float32", show_default=True, help="float32, bfloat16 or float16.")
@click.option("--stacked/--unstacked", default=None, help="Layers as one tensor, or one each; the configuration says.")
@click.option("--format", "form", help="By default the format in which the family is released.")
def make(out: Path, **options: Any) -> None:
    """Write seeded random weights, not trained, as a checkpoint: the same bytes for the same seed."""
    from lwmport.pipeline.checkpoint.make import Recipe
    from lwmport.pipeline.checkpoint.make import make as run

    with progress() as observer:
        weights = run(Recipe(**options), out, observer)
    click.echo(f"{out}: {_told(weights)}, {weights.source['description']}")


@checkpoint.command(short_help="Write a checkpoint in another format.")
@click.argument("source")
@click.option("--to", "form", required=True, help="msgpack_stream, flax_msgpack, safetensors, pickle or hf.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A file, or for hf a folder.")
@click.option("--dtype", help="float32, bfloat16 or float16; by default each tensor keeps its own.")
@click.option("--component", help="What the checkpoint must fit; by default what its tensors' names say.")
@click.option("--config", metavar="NAME|FILE.json", help="Where no shape tells: heads, angles, epsilon.")
@click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Change a field of the configuration.")
@click.option("--stacked/--unstacked", default=None, help="Layers as one tensor, or one each; by default as they are.")
@click.option("--axis", type=click.IntRange(0, 1), help="Of the layers in stacked tensors that are written.")
@click.option(
    "--shard-gb", type=click.FloatRange(0, min_open=True), default=4.0, show_default=True, help="Of hf: GB a file."
)
def convert(source: str, out: Path, shard_gb: float, **options: Any) -> None:
    """Write the checkpoint SOURCE, a file or a Hugging Face folder, in another format, bit for bit.

    SOURCE may carry LWM's prefixes: params::, flax_params:: and trainstate_params::.
    """
    from lwmport.pipeline.checkpoint.convert import Conversion
    from lwmport.pipeline.checkpoint.convert import convert as run

    conversion = Conversion(shard_bytes=max(1, int(shard_gb * GIGABYTE)), **options)
    with progress() as observer:
        weights = run(source, out, conversion, observer)
    click.echo(f"{out}: {_told(weights)}, from {weights.source['description']}")


def _told(weights: Any) -> str:
    return f"{len(weights.specs)} tensors, {size(sum(spec.nbytes for spec in weights.specs.values()))}"
