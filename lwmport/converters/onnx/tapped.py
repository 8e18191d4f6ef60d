"""The tapped model: ``NAME.taps.onnx`` beside ``NAME.onnx``, with more outputs and the same weights, stored once."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from lwmport.converters.onnx.convert import PRODUCER, artifact_of, build
from lwmport.converters.onnx.graph import GraphBuilder, Initializer
from lwmport.converters.onnx.writer import INLINE_BYTES, reference, write_model
from lwmport.graphs.program import Program
from lwmport.types import Artifact, Dialect, Progress, Weights


def convert_tapped(
    program: Program, tapped: Program, weights: Weights, dialect: Dialect, model: Path, progress: Progress
) -> Artifact:
    """Write the ``tapped`` program beside the ``model`` that `convert` has written of ``program``.

    Its large constants refer to the data files of that model. What those lack goes into ``NAME.taps.onnx.data``.

    Raises:
        LoweringError: the program holds an operation that the dialect cannot express.
    """
    untapped, *_ = build(program, weights, dialect)
    graph, inputs, outputs = build(tapped, weights, dialect)
    refer(graph, _placed(untapped, model), model.parent)
    path = model.with_name(f"{tapped.component}.onnx")
    files = write_model(graph, inputs, outputs, path, progress, PRODUCER)
    return artifact_of(tapped, weights, dialect, path, graph, files)


def refer(graph: GraphBuilder, placed: Mapping[str, tuple[Initializer, ir.ExternalTensor]], folder: Path) -> None:
    """Leave a reference in every large constant of a graph that lies in a data file already.

    A constant of the same form has the same bytes. One without a form is computed, and compared with what is there.
    """
    by_form = {item.form: tensor for item, tensor in placed.values() if item.form is not None}
    for item in graph.initializers.values():
        if item.nbytes >= INLINE_BYTES:
            found = by_form.get(item.form) or _equal(item, placed.values())
            if found is not None:
                item.value.const_value = reference(item, folder / found.location, found.offset or 0)


def _placed(graph: GraphBuilder, model: Path) -> dict[str, tuple[Initializer, ir.ExternalTensor]]:
    """Return the constants of a graph that its model, written before, keeps in data files, and where, by name."""
    stored = {name: value.const_value for name, value in ir.load(model).graph.initializers.items()}
    return {
        name: (item, tensor)
        for name, item in graph.initializers.items()
        if isinstance(tensor := stored.get(name), ir.ExternalTensor)
    }


def _equal(item: Initializer, placed: Iterable[tuple[Initializer, ir.ExternalTensor]]) -> ir.ExternalTensor | None:
    """Return where the bytes of a constant lie, and None if they do not."""
    alike = [tensor for other, tensor in placed if _facts(other) == _facts(item)]
    if not alike:
        return None
    values = np.ascontiguousarray(item.whole()).reshape(-1).view(np.uint8)
    return next((tensor for tensor in alike if np.array_equal(values, _bytes(tensor))), None)


def _facts(item: Initializer) -> Any:
    return item.source, item.dtype, item.shape


def _bytes(tensor: ir.ExternalTensor) -> Any:
    return np.memmap(tensor.path, np.uint8, "r", tensor.offset or 0, (tensor.length or 0,))
