"""ONNX: a program and its weights become ``NAME.onnx`` and ``NAME.onnx.data``."""

from pathlib import Path

import lwmport
from lwmport.converters.onnx import control, convolution, elementwise, normalisation, reductions, shapes
from lwmport.converters.onnx.emitter import Emitter, Rule
from lwmport.converters.onnx.forms import FORMS
from lwmport.converters.onnx.writer import write_model
from lwmport.graphs.atoms import composite_name
from lwmport.graphs.blockwise import asks_for_one_operator, in_blocks
from lwmport.graphs.program import Program
from lwmport.types import Artifact, Dialect, Progress, Weights

PRIMITIVES: dict[str, Rule] = {
    **control.RULES,
    **convolution.RULES,
    **elementwise.RULES,
    **reductions.RULES,
    **shapes.RULES,
    **normalisation.RULES,
}


def convert(program: Program, weights: Weights, dialect: Dialect, out: Path, progress: Progress) -> Artifact:
    """Write the program as an ONNX model into the folder ``out``.

    Raises:
        LoweringError: the program holds an operation that the dialect cannot express.
    """
    rules = native_rules(dialect)
    expanded = program.expand(
        lambda equation: composite_name(equation) in rules and asks_for_one_operator(equation), in_blocks
    )
    emitter = Emitter(expanded, weights, dialect.opset, PRIMITIVES, rules)
    inputs, outputs = emitter.run()
    path = out / f"{program.component}.onnx"
    files = write_model(emitter.graph, inputs, outputs, path, progress, ("lwmport", lwmport.__version__))
    return Artifact(
        component=program.component,
        format="onnx",
        dialect=dialect.name,
        path=path,
        files=tuple(files),
        sha256={file.name: sha256 for file, sha256 in files.items()},
        signature=program.signature,
        operators=emitter.graph.operators(),
        details={"opset": dialect.opset, "program": program.digest},
    )


def native_rules(dialect: Dialect) -> dict[str, Rule]:
    """Return the rule of every composite that the dialect writes as operators of its own at its opset."""
    found: dict[str, Rule] = {}
    for composite, names in dialect.composites.items():
        usable = [FORMS[name] for name in names if FORMS[name].since <= dialect.opset]
        if usable:
            found[composite] = usable[0].rule
    return found
