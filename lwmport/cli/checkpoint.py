"""``lwmport checkpoint``."""

from pathlib import Path

import click

from lwmport.cli.output import size
from lwmport.cli.progress import progress


@click.group(short_help="Make checkpoints.")
def checkpoint() -> None:
    """Make checkpoints in LWM's formats."""


@checkpoint.command(short_help="Write seeded weights in LWM's format.")
@click.option("--component", required=True, help="Whose weights; the whole model's are written.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--config", default="lwm", show_default=True, metavar="NAME|FILE.json")
@click.option("--format", "form", default="pickle", show_default=True, help="pickle is how LWM releases its VQGAN.")
def make(component: str, out: Path, seed: int, config: str, form: str) -> None:
    """Write seeded random weights, not trained, as a checkpoint: the same bytes for the same seed."""
    from lwmport.pipeline.checkpoints import make as run

    with progress() as observer:
        weights = run(component, out, seed=seed, config=config, form=form, observer=observer)
    total = sum(spec.nbytes for spec in weights.specs.values())
    click.echo(f"{out}: {len(weights.specs)} tensors, {size(total)}, {weights.source['description']}")
