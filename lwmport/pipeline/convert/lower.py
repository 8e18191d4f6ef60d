"""One component, traced and written in a dialect."""

from pathlib import Path

from lwmport import digest
from lwmport.checkpoints.model_weights import component_weights
from lwmport.converters import converter_for
from lwmport.graphs.program import Program
from lwmport.graphs.trace import trace
from lwmport.pipeline.convert.work import Work
from lwmport.types import Artifact, Component, Dialect


def lower(work: Work, component: Component, dialect: Dialect, folder: Path) -> tuple[Artifact, str]:
    """Return the artifact of a component in a dialect, written into ``folder``, and the program's digest."""
    weights = component_weights(work.family, component, work.weights)
    if not dialect.lowered:
        work.observer.phase(f"{component.name}: write {dialect.format}")
        tokens = [work.vocabulary] if work.vocabulary else []
        renamed: Artifact = converter_for(dialect)(component, weights, dialect, folder, work.observer.progress, *tokens)
        return renamed, digest.of_json({"component": component.name, "config": dict(component.config)})
    program = program_of(work, component)
    work.observer.phase(f"{component.name}: write {dialect.format} in the dialect {dialect.name}")
    shared = [work.shared] if work.shared else []
    artifact: Artifact = converter_for(dialect)(program, weights, dialect, folder, work.observer.progress, *shared)
    return artifact, program.digest


def program_of(work: Work, component: Component, taps: str = "") -> Program:
    """Return the program of a component, with taps if a kind of them is named; it is traced once.

    Raises:
        UsageError: the component has nothing to tap.
    """
    key = (component.name, taps)
    if key not in work.programs:
        work.observer.phase(f"{component.name}: trace{f' with {taps} as taps' if taps else ''}")
        work.programs[key] = trace(component, work.request.batch, taps)
    return work.programs[key]
