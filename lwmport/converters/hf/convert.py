"""Hugging Face: the weights of a whole model become the folder ``NAME.hf``. No program is lowered."""

from pathlib import Path

from lwmport import atomic
from lwmport.checkpoints.huggingface.marker import marked
from lwmport.checkpoints.writers.safetensors_folder import INDEX, write_sharded
from lwmport.choices import of_source
from lwmport.converters.hf.tensors import items
from lwmport.errors import LoweringError
from lwmport.models.huggingface import HuggingFace
from lwmport.models.specs import FAMILIES, spec_of
from lwmport.types import Artifact, Component, Dialect, Progress, Weights


def convert(component: Component, weights: Weights, dialect: Dialect, out: Path, progress: Progress) -> Artifact:
    """Write the component into the folder ``out / NAME.hf``, as its family says.

    Raises:
        LoweringError: the component is no whole model that such a folder can hold.
    """
    family, config = _family_of(component), component.config
    tensors = items(family, config, weights)
    dtype = tensors[0].spec.dtype
    folder = out / f"{component.name}.hf"
    folder.mkdir(exist_ok=True)
    total = sum(item.spec.nbytes for item in tensors)
    written = write_sharded(tensors, folder, progress=lambda name, done: progress(name, done, total))
    texts = marked(family.documents(config, dtype), of_source(weights.source), weights.source)
    for name, text in texts.items():
        with atomic.new_file(folder / name) as file:
            file.write(text.encode())
    return Artifact(
        component=component.name,
        format=dialect.format,
        dialect=dialect.name,
        path=folder,
        files=(*written, *(folder / name for name in texts)),
        signature=component.signature,
        details={"dtype": dtype, "tokens": family.tokens(config), "index": INDEX if len(written) > 1 else ""},
        sha256={path.name: sha256 for path, sha256 in written.items() if sha256},
    )


def _family_of(component: Component) -> HuggingFace:
    spec = spec_of(component.family)
    if spec is not None and spec.huggingface is not None and component.name in spec.huggingface.components:
        return spec.huggingface
    folders = (spec.huggingface for spec in FAMILIES.values() if spec.huggingface is not None)
    names = ", ".join(name for folder in folders for name in folder.components)
    raise LoweringError(f"expected one of {names} for the format hf, found {component.name}")
