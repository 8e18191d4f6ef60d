"""``lwmport inspect``."""

import math
from typing import TYPE_CHECKING, Any

import click

from lwmport.cli.completion import files
from lwmport.cli.output import print_json, size
from lwmport.wording import printable

if TYPE_CHECKING:
    from lwmport.checkpoints.index import Checkpoint
    from lwmport.pipeline.inspected.record import Inspection, Part, Tensor

OPERATORS = 12
"""Operators that are shown; the others are counted."""


@click.command(short_help="Say what a model, a bundle or a checkpoint is, without loading it.")
@click.argument("path", shell_complete=files)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def inspect(path: str, as_json: bool) -> None:  # noqa: FBT001 - flags are options
    """Say what is at PATH, what it says of itself, and what can be done with it.

    PATH is an ONNX, TFLite or frozen graph, a SavedModel, a folder that 'lwmport convert' wrote, a bundle, a GGUF file,
    a LoRA adapter, or a checkpoint. The name, shape, dtype, bytes and offset of every tensor of a checkpoint are
    listed. A checkpoint may have one of LWM's prefixes: params::, flax_params:: or trainstate_params::. The tensors of
    a Hugging Face folder are shown by the names of their family.
    """
    from lwmport.checkpoints.description import sentences
    from lwmport.pipeline.inspection import inspect as look

    found = look(path)
    if as_json:
        print_json(_document(found))
        return
    if found.checkpoint is None:
        click.echo(click.style(printable(f"{found.path}: {found.kind}, {size(found.bytes)}"), bold=True))
    else:
        _print_tensors(found.checkpoint)
    width = max((len(name) for name in found.facts), default=0)
    for name, value in found.facts.items():
        click.echo(f"  {name:<{width}}  {printable(value)}")
    for sentence in sentences(found.known) if found.known else ():
        click.echo(printable(f"  {sentence}"))
    for part in found.parts:
        _print_part(part)
    for line in found.next:
        click.echo(printable(f"next: {line}"))


def _print_part(part: "Part") -> None:
    click.echo(click.style(printable(part.name), bold=True))
    for title, tensors in (("input", part.inputs), ("output", part.outputs)):
        for tensor in tensors:
            click.echo(printable(f"  {title:<7} {tensor.name}: {tensor.dtype or 'unknown'} {_shape(tensor)}"))
    if part.operators:
        named = [f"{name} {count}" for name, count in list(part.operators.items())[:OPERATORS]]
        rest = len(part.operators) - OPERATORS
        more = f" and {rest} more" if rest > 0 else ""
        click.echo(printable(f"  {sum(part.operators.values()):,} operators: {', '.join(named)}{more}"))


def _shape(tensor: "Tensor") -> str:
    return "of unknown shape" if tensor.shape is None else f"[{', '.join(map(str, tensor.shape))}]"


def _rows(found: "Checkpoint") -> list[dict[str, Any]]:
    places = {name: entry.pieces[0][0] if entry.pieces else None for name, entry in found.entries.items()}
    return [
        {
            "name": name,
            "shape": list(spec.shape),
            "dtype": spec.dtype,
            "bytes": spec.nbytes,
            "offset": places.get(name),
            "file": found.entries[name].file if name in found.entries else "",
        }
        for name, spec in found.specs.items()
    ]


def _print_tensors(found: "Checkpoint") -> None:
    rows = _rows(found)
    shown = [printable(row["name"]) for row in rows]
    width = max(map(len, shown))
    for name, row in zip(shown, rows, strict=True):
        shape = "x".join(map(str, row["shape"])) or "scalar"
        offset = "inline" if row["offset"] is None else printable(f"{row['file']}@{row['offset']}")
        click.echo(f"{name:<{width}}  {row['dtype']:<9} {shape:<18} {row['bytes']:>12,} {offset}")
    parameters = sum(math.prod(row["shape"]) for row in rows)
    click.echo(f"{len(rows)} tensors, {parameters:,} parameters, {size(found.total_bytes)} ({found.format})")


def _document(found: "Inspection") -> dict[str, Any]:
    from lwmport import plain

    told: dict[str, Any] = {
        "kind_of_file": found.kind,
        "path": str(found.path),
        "facts": dict(found.facts),
        "total_bytes": found.bytes,
        "models": plain.encode(found.parts),
        "next": list(found.next),
    }
    if found.checkpoint is None:
        return told
    rows = _rows(found.checkpoint)
    parameters = sum(math.prod(row["shape"]) for row in rows)
    more = {**found.known, "parameters": parameters, "config": dict(found.checkpoint.config), "tensor_list": rows}
    return {**found.checkpoint.source, **told, **more}
