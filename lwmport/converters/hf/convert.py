"""Hugging Face: the weights of a whole model become the folder ``NAME.hf``. No program is lowered."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lwmport import atomic
from lwmport.checkpoints.huggingface.marker import marked
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.checkpoints.writers.safetensors_folder import INDEX, SHARD_BYTES, SINGLE, Item, write_sharded
from lwmport.choices import of_source
from lwmport.converters.hf.packings import FORMATS, Folder, Format
from lwmport.converters.hf.tensors import items, packed_items
from lwmport.converters.stored_details import stored_details
from lwmport.errors import LoweringError
from lwmport.models.huggingface import HuggingFace
from lwmport.models.specs import FAMILIES, spec_of
from lwmport.types import Artifact, Component, Dialect, Progress, Weights

CONFIG: Final = "config.json"


def convert(component: Component, weights: Weights, dialect: Dialect, out: Path, progress: Progress) -> Artifact:
    """Write the component into the folder ``out / NAME.hf``, as its family says.

    Raises:
        LoweringError: the component is no whole model that such a folder can hold.
    """
    family, config = _family_of(component), component.config
    packing: Format | None = None
    if isinstance(weights, StoredWeights):
        packing = FORMATS[dialect.packing]
        tensors = packed_items(family, config, weights, packing.pack)
    else:
        tensors = items(family, config, weights)
    dtype = weights.scheme.computed if isinstance(weights, StoredWeights) else tensors[0].spec.dtype
    folder = out / f"{component.name}.hf"
    folder.mkdir(exist_ok=True)
    kind = weights.scheme.name if isinstance(weights, StoredWeights) else ""
    written = _write(tensors, folder, packing.weights.format(kind) if packing is not None else "", progress)
    texts = marked(family.documents(config, dtype), of_source(weights.source), weights.source)
    if packing is not None and isinstance(weights, StoredWeights):
        texts = _told(texts, packing, _folder(family, config, weights, tensors))
    for name, text in texts.items():
        with atomic.new_file(folder / name) as file:
            file.write(text.encode())
    details = {"dtype": dtype, "tokens": family.tokens(config), "index": INDEX if len(written) > 1 else ""}
    return Artifact(
        component=component.name,
        format=dialect.format,
        dialect=dialect.name,
        path=folder,
        files=(*written, *(folder / name for name in texts)),
        signature=component.signature,
        details={
            **details,
            **stored_details(weights, [(one.name, one.spec.dtype, one.spec.nbytes) for one in tensors]),
        },
        sha256={path.name: sha256 for path, sha256 in written.items() if sha256},
    )


def _write(tensors: Sequence[Item], folder: Path, one: str, progress: Progress) -> dict[Path, str]:
    """Write tensors into the file ``one``, or into the usual ones."""
    total = sum(item.spec.nbytes for item in tensors)
    return write_sharded(
        tensors,
        folder,
        sys.maxsize if one else SHARD_BYTES,
        progress=lambda name, done: progress(name, done, total),
        single=one or SINGLE,
    )


def _folder(family: HuggingFace, config: Mapping[str, Any], weights: StoredWeights, tensors: Sequence[Item]) -> Folder:
    quantised, ignored = [], []
    for tensor in family.tensors(config):
        name, there = tensor.parts[0]
        module = tensor.name.removesuffix(".weight")
        if name in weights.stored and weights.stored[name].scales:
            quantised.append(module)
        elif there.transposed or module == "lm_head":
            ignored.append(module)
    return Folder(scheme=weights.scheme, quantised=tuple(quantised), ignored=tuple(ignored), items=tuple(tensors))


def _told(texts: Mapping[str, str], packing: Format, folder: Folder) -> dict[str, str]:
    """Return the texts of a folder with what its readers look for."""
    fields = {**json.loads(texts[CONFIG]), **packing.config(folder)}
    return {**texts, CONFIG: _json(fields), **{name: _json(value) for name, value in packing.files(folder).items()}}


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(sorted(value.items())), indent=2) + "\n"


def _family_of(component: Component) -> HuggingFace:
    spec = spec_of(component.family)
    if spec is not None and spec.huggingface is not None and component.name in spec.huggingface.components:
        return spec.huggingface
    folders = (spec.huggingface for spec in FAMILIES.values() if spec.huggingface is not None)
    names = ", ".join(name for folder in folders for name in folder.components)
    raise LoweringError(f"expected one of {names} for the format hf, found {component.name}")
