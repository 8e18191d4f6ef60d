"""The reference as operators: the lowering that this version makes of the component again, from the checkpoint.

It is the same graph as in the file that was converted, so that every tensor of the file has a right value by its name.
JAX proves it in the same run: at its taps, and at its outputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lwmport.checkpoints.model_weights import component_weights
from lwmport.converters import ROUTES, converter_for
from lwmport.converters.dialects import DIALECTS
from lwmport.errors import ArtifactError
from lwmport.graphs.trace import trace
from lwmport.manifest import ComponentEntry
from lwmport.pipeline.observer import Observer
from lwmport.pipeline.reopen import Converted
from lwmport.processors import processors
from lwmport.runtime.pieces.opening import open_pieces
from lwmport.runtime.pieces.spec import Pieces
from lwmport.targets.dialects import ALL_DIALECTS
from lwmport.types import Dialect, Weights


@dataclass(frozen=True, kw_only=True)
class Lowering:
    """The reference's operators.

    Attributes:
        pieces: the operators.
        sources: constant -> the weight of the checkpoint that it is made of, as far as that is known.
        is_current: whether the file was converted from the very same program.
        weights: of the component, in its dtypes.
    """

    pieces: Pieces
    sources: Mapping[str, str]
    is_current: bool
    weights: Weights


def lowering_of(converted: Converted, part: ComponentEntry, scratch: Path, observer: Observer) -> Lowering:
    """Return the lowering of a component again, in the dialect and the sizes that its artifact has.

    An ONNX model is not written: its weights are made when they are asked for. One of another format is written into
    the folder ``scratch``.

    Raises:
        ArtifactError: the artifact has no operators of its own.
        LoweringError: this version cannot lower it.
    """
    dialect = _dialect(converted, part)
    component = next(item for item in converted.family.components if item.name == part.name)
    weights = component_weights(converted.family, component, converted.weights)
    batch = part.signature.inputs[0].shape[0]
    observer.phase(f"{part.name}: lower it again in the dialect {dialect.name}")
    program = trace(component, batch if isinstance(batch, int) else "dynamic")
    current = program.digest == part.details.get("program", program.digest)
    if dialect.format == "onnx" and dialect.name not in ROUTES:
        from lwmport.converters.onnx.promised import promised
        from lwmport.runtime.pieces.onnx import OnnxPieces

        made = promised(program, weights, dialect)
        pieces: Pieces = OnnxPieces(made.model, made.constants, made.read, processors())
        return Lowering(pieces=pieces, sources=made.sources, is_current=current, weights=weights)
    artifact = converter_for(dialect)(program, weights, dialect, scratch, observer.progress)
    return Lowering(pieces=open_pieces(artifact.path, processors()), sources={}, is_current=current, weights=weights)


def _dialect(converted: Converted, part: ComponentEntry) -> Dialect:
    """Return the dialect of a converted folder, at the opset of the artifact."""
    known = {**DIALECTS, **ALL_DIALECTS}
    name = converted.manifest.dialect
    if name not in known or not known[name].lowered:
        raise ArtifactError(f"expected a model of operators, found {part.path} in the dialect {name!r}")
    opset = part.details.get("opset")
    return replace(known[name], opset=int(opset)) if opset is not None else known[name]
