"""Hugging Face: the weights of a whole language model become the folder ``NAME.hf``. No program is lowered."""

from pathlib import Path
from typing import Final

from lwmport import atomic
from lwmport.checkpoints.writers.safetensors_folder import INDEX, write_sharded
from lwmport.converters.hf import documents
from lwmport.converters.hf.tensors import items
from lwmport.errors import LoweringError
from lwmport.models.llama.config import LlamaConfig, VisionLlamaConfig
from lwmport.types import Artifact, Component, Dialect, Progress, Weights

CONFIGS: Final[dict[str, type[LlamaConfig]]] = {"llama": LlamaConfig, "vision-llama": VisionLlamaConfig}
"""Component -> what its configuration is read with."""


def convert(component: Component, weights: Weights, dialect: Dialect, out: Path, progress: Progress) -> Artifact:
    """Write the component as a ``LlamaForCausalLM`` into the folder ``out / NAME.hf``.

    Raises:
        LoweringError: the component is no whole language model.
    """
    if component.name not in CONFIGS:
        raise LoweringError(f"expected one of {', '.join(CONFIGS)} for the format hf, found {component.name}")
    config = CONFIGS[component.name].from_json(component.config)
    dtype = component.weights["transformer/wte/embedding"].dtype
    folder = out / f"{component.name}.hf"
    folder.mkdir(exist_ok=True)
    tensors = items(config, weights)
    total = sum(item.spec.nbytes for item in tensors)
    written = write_sharded(tensors, folder, progress=lambda name, done: progress(name, done, total))
    texts = documents.texts(config, dtype)
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
        details={"dtype": dtype, "tokens": documents.tokens(config), "index": INDEX if len(written) > 1 else ""},
        sha256={path.name: sha256 for path, sha256 in written.items() if sha256},
    )
