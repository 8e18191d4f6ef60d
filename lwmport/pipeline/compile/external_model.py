"""A model file to compile: one of ours as its manifest tells it, or any other as it is read from the file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lwmport.errors import ArtifactError
from lwmport.targets.compile.job import check_ranks
from lwmport.targets.compile.scales import output_scales
from lwmport.targets.graphs.record import Value
from lwmport.types import Preprocessing, Signature, TensorSpec, dtype_of

FORMATS: Final = {".onnx": "onnx", ".tflite": "tflite", ".pb": "frozen_graph", ".saved_model": "saved_model"}
"""Suffix of a model that no manifest describes -> its format."""

QUANTISED: Final = ("int4", "int8", "uint4", "uint8")
"""Dtypes of constants that only a quantised model has: its weights, or the zero points of its steps."""


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One model file and what is known of it; fields as in `lwmport.targets.compile.job.CompileJob`."""

    path: Path
    name: str
    format: str
    signature: Signature
    operators: Mapping[str, int]
    public: Mapping[str, str] = field(default_factory=dict)
    own: bool = True
    quantised: bool = False
    scales: Mapping[str, float] = field(default_factory=dict)
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict)


def read_foreign(path: Path, *, public_names: bool) -> ModelFile:
    """Return a model that is not ours: its own inputs and outputs are its signature.

    ``public_names`` is whether they are called as a runtime's callers call them: a vendor's parser knows tensors alone.

    Raises:
        ArtifactError: it is no model file, or an input is no tensor of numbers.
        UsageError: the number of axes of an input is not known.
    """
    from lwmport.targets.graphs.opening import open_graph

    graph = open_graph(path)
    _check_inputs(path, graph.inputs)
    check_ranks(path, graph.inputs)
    public = graph.public if public_names else {}
    specs = [
        tuple(
            TensorSpec(name=public.get(value.name, value.name), shape=value.shape or (), dtype=value.dtype)
            for value in values
        )
        for values in (graph.inputs, graph.outputs)
    ]
    return ModelFile(
        path=path,
        name=path.stem,
        format=FORMATS[path.suffix],
        signature=Signature(inputs=specs[0], outputs=specs[1]),
        operators={operator: count for (_, operator), count in graph.operators.items()},
        public=public,
        own=False,
        scales={public.get(name, name): scale for name, scale in output_scales(graph).items()},
        quantised=any(constant.dtype in QUANTISED for constant in graph.constants.values()),
    )


def _check_inputs(path: Path, inputs: Iterable[Value]) -> None:
    """Refuse a model with an input that is no tensor of numbers: no compiler takes it, and nothing can be fed."""
    for value in inputs:
        try:
            found = dtype_of(value.dtype) if value.dtype else None
        except TypeError:
            found = None
        if found is None or found.hasobject or found.kind in "SUMm":
            raise ArtifactError(
                f"{path}: expected inputs of numbers, found {value.name!r} of dtype {value.dtype or 'unknown'}; "
                f"give it a type, or cut the model behind it"
            )
