"""GGUF: the weights of a whole language model become the file ``NAME.gguf``. No program is lowered."""

from collections import Counter
from pathlib import Path
from typing import Any, Final

from lwmport.checkpoints.block_workers import block_workers
from lwmport.checkpoints.gguf_model import SEED
from lwmport.checkpoints.stored_weights import StoredWeights
from lwmport.checkpoints.writers.safetensors_folder import checked_pieces
from lwmport.choices import RANDOM, is_random
from lwmport.converters.gguf.header import ALIGNMENT, header
from lwmport.converters.gguf.tensors import GgufItem, items
from lwmport.converters.gguf.tokenizer_files import read_vocabulary
from lwmport.converters.gguf.vocabulary import NONE, Vocabulary, fillers, fitted
from lwmport.converters.stored_details import stored_details
from lwmport.errors import LoweringError, UsageError
from lwmport.journal import new_stream
from lwmport.models.block_mixes import MIXES
from lwmport.models.gguf import GgufModel
from lwmport.models.specs import FAMILIES, spec_of
from lwmport.types import Artifact, Component, Dialect, Progress, Weights

FILE_TYPES: Final = {"F32": 0, "F16": 1, "BF16": 32}
"""Kind of the tensors -> what a file of it is called (``llama_ftype`` in llama.h)."""

BLOCKS_VERSION: Final = 2
"""How blocks are laid out (``GGML_QNT_VERSION`` in ggml.h)."""


def convert(
    component: Component, weights: Weights, dialect: Dialect, out: Path, progress: Progress, vocabulary: Vocabulary
) -> Artifact:
    """Write the component into the file ``out / NAME.gguf``, as its family says.

    Raises:
        LoweringError: the component is no whole model that such a file can hold.
    """
    model, config = model_of(component), component.config
    written = items(model, config, weights)
    path = out / f"{component.name}.gguf"
    front = header(model.architecture, _keys(model, component, weights, written), vocabulary, written)
    sha256 = _write(path, front, written, progress)
    details = {
        "tensors": dict(Counter(item.kind for item in written)),
        "tokens": len(vocabulary.tokens),
        **stored_details(weights, [(item.name, item.kind, item.spec.nbytes) for item in written]),
    }
    return Artifact(
        component=component.name,
        format=dialect.format,
        dialect=dialect.name,
        path=path,
        files=(path,),
        signature=component.signature,
        details=details,
        sha256={path.name: sha256} if sha256 else {},
    )


def vocabulary_of(component: Component, tokenizer: str | None) -> Vocabulary:
    """Return the tokens of a component's file: those of a tokenizer, and one for each code.

    Args:
        component: a whole language model.
        tokenizer: a folder or a file, or `NONE` for fillers.

    Raises:
        LoweringError: the component is no whole model that such a file can hold.
        UsageError: no tokenizer is named, it cannot be read, or it has more tokens than the model has rows.
    """
    model, config = model_of(component), component.config
    codes = model.codes(config)
    rows = model.keys(config)[f"{model.architecture}.vocab_size"] - codes
    if tokenizer is None:
        raise UsageError(
            "expected --tokenizer DIR with tokenizer.model or tokenizer.json for the format gguf, found none: "
            f"no engine loads a file without one; --tokenizer {NONE} puts made-up tokens in its place"
        )
    found = fillers(rows) if tokenizer == NONE else read_vocabulary(Path(tokenizer))
    return fitted(found, rows, codes)


def model_of(component: Component) -> GgufModel:
    """Return how the family of a whole language model tells its files.

    Raises:
        LoweringError: the component is none.
    """
    spec = spec_of(component.family)
    if spec is not None and spec.gguf is not None and component.name in spec.gguf.components:
        return spec.gguf
    names = ", ".join(name for one in FAMILIES.values() if one.gguf is not None for name in one.gguf.components)
    raise LoweringError(f"expected one of {names} for the format gguf, found {component.name}")


def _keys(model: GgufModel, component: Component, weights: Weights, written: list[GgufItem]) -> dict[str, Any]:
    found: dict[str, Any] = {"general.type": "model", "general.name": component.name}
    if is_random(weights.source):
        found["general.description"] = weights.source["description"]
    seed = weights.source.get(RANDOM, weights.source.get("seed"))
    found |= {} if seed is None else {SEED: int(seed)}
    found |= {"general.file_type": _file_type(weights, written)}
    if any(item.kind not in FILE_TYPES for item in written):
        found["general.quantization_version"] = BLOCKS_VERSION
    return {**found, **model.keys(component.config)}


def _file_type(weights: Weights, written: list[GgufItem]) -> int:
    if isinstance(weights, StoredWeights) and weights.scheme.name in MIXES:
        return MIXES[weights.scheme.name].file_type
    kinds = Counter(item.kind for item in written if len(item.shape) > 1)
    return FILE_TYPES[kinds.most_common(1)[0][0]]


def _write(path: Path, front: bytes, written: list[GgufItem], progress: Progress) -> str:
    """Return the digest of the file that was written, empty where an earlier run has."""
    total, done = sum(item.spec.nbytes for item in written), 0
    with block_workers(), new_stream(path, front.decode("latin-1")) as file:
        file.write(front)
        file.align(ALIGNMENT)
        for item in written:
            if file.skips(item.spec.nbytes):
                done += item.spec.nbytes
                progress(item.name, done, total)
            else:
                for piece in checked_pieces(item.name, item.spec, item.pieces()):
                    file.write(piece)
                    done += len(piece)
                    progress(item.name, done, total)
            file.align(ALIGNMENT)
            file.mark()
    return file.sha256
