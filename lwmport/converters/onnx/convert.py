"""ONNX: a program and its weights become ``NAME.onnx`` and ``NAME.onnx.data``, or a data file of several."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import onnx_ir as ir

import lwmport
from lwmport.choices import REFUSED, metadata, of_source
from lwmport.converters.onnx import control, convolution, elementwise, normalisation, reductions, shapes
from lwmport.converters.onnx.emitter import Emitter, Rule
from lwmport.converters.onnx.forms import ANY, FORMS, Form
from lwmport.converters.onnx.graph import GraphBuilder
from lwmport.converters.onnx.writer import write_model, write_shared
from lwmport.converters.stored_details import stored_details
from lwmport.graphs.atoms import composite_name
from lwmport.graphs.blockwise import asks_for_one_operator, in_blocks
from lwmport.graphs.program import Program
from lwmport.types import Artifact, Dialect, Progress, SharedData, Weights

PRIMITIVES: dict[str, Rule] = {
    **control.RULES,
    **convolution.RULES,
    **elementwise.RULES,
    **reductions.RULES,
    **shapes.RULES,
    **normalisation.RULES,
}

PRODUCER: Final = ("lwmport", lwmport.__version__)


def convert(
    program: Program,
    weights: Weights,
    dialect: Dialect,
    out: Path,
    progress: Progress,
    shared: SharedData | None = None,
) -> Artifact:
    """Write the program as an ONNX model into the folder ``out``, its weights into the file that is ``shared``, if any.

    Raises:
        LoweringError: the program holds an operation that the dialect cannot express.
    """
    graph, inputs, outputs = build(program, weights, dialect)
    path = out / f"{program.component}.onnx"
    common = write_shared(graph, out / shared.name, shared, progress) if shared else {}
    own = write_model(graph, inputs, outputs, path, progress, PRODUCER)
    return artifact_of(program, weights, dialect, path, graph, {**own, **common})


def build(program: Program, weights: Weights, dialect: Dialect) -> tuple[GraphBuilder, list[ir.Value], list[ir.Value]]:
    """Return the graph of a program, its inputs and its outputs; the values of its constants are still promises.

    Raises:
        LoweringError: the program holds an operation that the dialect cannot express.
    """
    forms = native_forms(dialect)
    several = {composite: _rule_of(tuple(found.values())) for composite, found in forms.items() if _is_limited(found)}
    rules = {**native_rules(dialect), **several}
    refused: dict[str, str] = {}
    expanded = program.expand(lambda equation: _stays(equation, forms, refused), in_blocks)
    emitter = Emitter(expanded, weights, dialect.opset, PRIMITIVES, rules)
    emitter.graph.refused = refused
    told = metadata(of_source(weights.source))
    emitter.graph.metadata = {f"lwmport.{name}": text for name, text in told.items()}
    return emitter.graph, *emitter.run()


def artifact_of(
    program: Program, weights: Weights, dialect: Dialect, path: Path, graph: GraphBuilder, files: Mapping[Path, str]
) -> Artifact:
    """Return the record of a model that was written; ``files`` are its files and their SHA-256."""
    return Artifact(
        component=program.component,
        format="onnx",
        dialect=dialect.name,
        path=path,
        files=tuple(files),
        sha256={file.name: sha256 for file, sha256 in files.items()},
        signature=program.signature,
        operators=graph.operators(),
        details={
            "opset": dialect.opset,
            "program": program.digest,
            **stored_details(weights, _constants(graph)),
            **({REFUSED: dict(graph.refused)} if graph.refused else {}),
        },
    )


def _constants(graph: GraphBuilder) -> Iterator[tuple[str | None, str, int]]:
    """Yield checkpoint name, dtype and bytes of every constant."""
    for item in graph.initializers.values():
        yield item.source, item.dtype.name, item.nbytes


def native_rules(dialect: Dialect) -> dict[str, Rule]:
    """Return the rule of the best form of every composite that the dialect has operators for at its opset."""
    return {composite: next(iter(forms.values())).rule for composite, forms in native_forms(dialect).items()}


def native_forms(dialect: Dialect) -> dict[str, dict[str, Form]]:
    """Return the forms, best first, of every composite that the dialect writes as operators of its own at its opset."""
    usable = {
        composite: {name: FORMS[name] for name in names if FORMS[name].since <= dialect.opset}
        for composite, names in dialect.composites.items()
    }
    return {composite: forms for composite, forms in usable.items() if forms}


def _is_limited(forms: Mapping[str, Form]) -> bool:
    """Return whether another form may be needed than the best."""
    return len(forms) > 1 and next(iter(forms.values())).takes is not ANY


def _rule_of(forms: tuple[Form, ...]) -> Rule:
    """Return the rule that writes an equation in the first form that takes it."""

    def rule(e: Emitter, equation: Any) -> None:
        next(form for form in forms if form.takes(equation)).rule(e, equation)

    return rule


def _stays(equation: Any, forms: Mapping[str, Mapping[str, Form]], refused: dict[str, str]) -> bool:
    """Return whether an equation is written as a whole rather than decomposed; forms that refuse it are noted."""
    candidates = forms.get(composite_name(equation) or "", {})
    if not candidates or not asks_for_one_operator(equation):
        return False
    for name, form in candidates.items():
        if form.takes(equation):
            return True
        if form.limit:
            refused[name] = form.limit
    return False
