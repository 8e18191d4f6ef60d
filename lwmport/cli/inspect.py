"""``lwmport inspect``."""

import math
from typing import Any

import click

from lwmport.cli.output import print_json, size
from lwmport.wording import printable


@click.command(short_help="List the tensors of a checkpoint without loading it.")
@click.argument("path")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def inspect(path: str, as_json: bool) -> None:  # noqa: FBT001 - flags are options
    """List the name, shape, dtype, bytes and offset of every tensor in the checkpoint at PATH.

    PATH may have one of LWM's prefixes: params::, flax_params:: or trainstate_params::. The tensors of a Hugging Face
    folder are shown by the names of their family.
    """
    from lwmport.checkpoints.opening import open_checkpoint

    found = open_checkpoint(path)
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "shape": list(entry.shape),
            "dtype": entry.dtype,
            "bytes": entry.nbytes,
            "offset": entry.pieces[0][0] if entry.pieces else None,
            "file": entry.file,
        }
        for name, entry in found.entries.items()
    ]
    parameters = sum(math.prod(entry.shape) for entry in found.entries.values())
    if as_json:
        whole = {"total_bytes": found.total_bytes, "parameters": parameters, "config": dict(found.config)}
        print_json({**found.source, **whole, "tensor_list": rows})
        return
    names = [printable(name) for name in found.entries]
    width = max(map(len, names))
    for name, row in zip(names, rows, strict=True):
        shape = "x".join(map(str, row["shape"])) or "scalar"
        offset = "inline" if row["offset"] is None else printable(f"{row['file']}@{row['offset']}")
        click.echo(f"{name:<{width}}  {row['dtype']:<9} {shape:<18} {row['bytes']:>12,} {offset}")
    click.echo(f"{len(rows)} tensors, {parameters:,} parameters, {size(found.total_bytes)} ({found.format})")
