"""TFLite: a program and its weights become ``NAME.tflite``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import lwmport
from lwmport.choices import metadata, of_source
from lwmport.converters.stored_details import stored_details
from lwmport.converters.tflite import (
    cache,
    contraction,
    convolution,
    elementwise,
    erf,
    integers,
    pooling,
    reductions,
    shapes,
)
from lwmport.converters.tflite.emitter import Emitter, Rule
from lwmport.converters.tflite.flatbuffer import Model
from lwmport.converters.tflite.forms import FORMS
from lwmport.converters.tflite.graph import Channels
from lwmport.converters.tflite.writer import write_model
from lwmport.errors import LoweringError
from lwmport.graphs.atoms import composite_name
from lwmport.graphs.program import Program
from lwmport.types import Artifact, Dialect, Progress, Weights

PRIMITIVES: Final[dict[str, Rule]] = {
    **cache.RULES,
    **contraction.RULES,
    **convolution.RULES,
    **elementwise.RULES,
    **erf.RULES,
    **integers.RULES,
    **pooling.RULES,
    **reductions.RULES,
    **shapes.RULES,
}


def convert(program: Program, weights: Weights, dialect: Dialect, out: Path, progress: Progress) -> Artifact:
    """Write the program as a TFLite model into the folder ``out``.

    Raises:
        LoweringError: the program holds an operation that TFLite cannot express.
    """
    rules = native_rules(dialect)
    expanded = program.expand(lambda equation: composite_name(equation) in rules)
    emitter = Emitter(expanded, weights, {**PRIMITIVES, **rules}, rules)
    inputs, outputs = emitter.run()
    path = out / f"{program.component}.tflite"
    details = {
        "component": program.component,
        "dialect": dialect.name,
        "program": program.digest,
        "version": lwmport.__version__,
        **({"choices": told} if (told := metadata(of_source(weights.source))) else {}),
    }
    model = Model(
        graph=emitter.graph,
        inputs=dict(zip((spec.name for spec in program.signature.inputs), inputs, strict=True)),
        outputs=dict(zip((spec.name for spec in program.signature.outputs), outputs, strict=True)),
        details=details,
        embedded=dialect.embedded,
    )
    write_model(model, path, progress)
    return Artifact(
        component=program.component,
        format="tflite",
        dialect=dialect.name,
        path=path,
        files=(path,),
        signature=program.signature,
        operators=emitter.graph.operators(),
        details={"program": program.digest, **stored_details(weights, _constants(model))},
    )


def _constants(model: Model) -> Iterator[tuple[str | None, str, int]]:
    """Yield checkpoint name, dtype and bytes of every constant, and of the scales that lie in the tables."""
    for tensor in model.constants():
        yield tensor.source, tensor.dtype, tensor.nbytes
        if isinstance(tensor.scales, Channels):
            yield tensor.source, "float32", 4 * tensor.scales.count


def native_rules(dialect: Dialect) -> dict[str, Rule]:
    """Return the rule of every composite that the dialect writes as operators of its own."""
    return {composite: _first_that_fits(composite, names) for composite, names in dialect.composites.items()}


def _first_that_fits(composite: str, names: tuple[str, ...]) -> Rule:
    def rule(e: Emitter, equation: Any) -> None:
        usable = [FORMS[name] for name in names if FORMS[name].fits(e, equation)]
        if not usable:
            raise LoweringError(f"expected a form of {composite} out of {', '.join(names)} to fit {equation.params}")
        usable[0].rule(e, equation)

    return rule
